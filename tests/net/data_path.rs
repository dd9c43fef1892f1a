//! New addresses wait for what kube-proxy writes into the kernel.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast::clock::{now, pause};
use vipcast::data_path::DataPath;
use vipcast::net::namespace::Namespace;
use vipcast::services::Local;
use vipcast_proto::data_path::{LIMIT, Waiting};
use vipcast_proto::ipam::{Port, Protocol};

use crate::lan::{Lan, SOON, ip, shell};

const V4: &str = "192.0.2.7";
const V6: &str = "2001:db8::7";
const PORTS: [Port; 2] =
    [Port { protocol: Protocol::Tcp, number: 80 }, Port { protocol: Protocol::Udp, number: 8053 }];

struct Running {
    waiting: watch::Sender<Arc<Waiting>>,
    _local: watch::Sender<Local>,
    _task: JoinSet<()>,
}

impl Running {
    fn start(node: &Namespace, local: Local) -> Self {
        let (waiting, _) = watch::channel(Arc::default());
        let (local, known) = watch::channel(local);
        let data_path = node.open(|| DataPath::new(waiting.clone(), known)).unwrap();
        let mut task = JoinSet::new();
        task.spawn(async { match data_path.run().await {} });
        Self { waiting, _local: local, _task: task }
    }

    fn wait_for(&self, addresses: &[&str]) {
        let waiting = addresses.iter().map(|address| (ip(address), Arc::from(PORTS))).collect();
        self.waiting.send_replace(Arc::new(waiting));
    }

    async fn left(&self, expected: &[&str]) {
        let expected: Vec<IpAddr> = expected.iter().map(|address| ip(address)).collect();
        let mut waiting = self.waiting.subscribe();
        let same = |waiting: &Arc<Waiting>| waiting.keys().eq(&expected);
        let waited = timeout(SOON, waiting.wait_for(same)).await.is_ok();
        assert!(waited, "{expected:?} should wait, but {:?} do", self.waiting.borrow());
    }

    /// Long enough for twenty looks.
    async fn stays(&self, expected: &[&str]) {
        pause(Duration::from_millis(200)).await;
        self.left(expected).await;
    }
}

/// As kube-proxy has it in nftables mode.
fn table(family: &str, addresses: &str) -> String {
    format!(
        "nft 'add table {family} kube-proxy; add chain {family} kube-proxy web; add map {family} kube-proxy service-ips \
         {{ type {addresses} . inet_proto . inet_service : verdict; }}'"
    )
}

fn serve(node: &Namespace, family: &str, key: &str) {
    let element = format!("nft 'add element {family} kube-proxy service-ips {{ {key} : goto web }}'");
    node.run(|| shell(&element)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn an_address_waits_until_kube_proxy_serves_one_of_its_ports() {
    let node = Lan::new().a;
    node.run(|| shell(&format!("{}; {}", table("ip", "ipv4_addr"), table("ip6", "ipv6_addr")))).unwrap();
    let running = Running::start(&node, Local::default());
    running.wait_for(&[V4, V6]);
    // Another address, another port, another protocol: none of them is it.
    for other in ["192.0.2.8 . tcp . 80", "192.0.2.7 . tcp . 8053", "192.0.2.7 . udp . 80"] {
        serve(&node, "ip", other);
    }
    running.stays(&[V4, V6]).await;
    serve(&node, "ip", "192.0.2.7 . udp . 8053");
    running.left(&[V6]).await;
    serve(&node, "ip6", "2001:db8::7 . tcp . 80");
    running.left(&[]).await;
    // What kube-proxy has already does not have to wait.
    running.wait_for(&[V4]);
    running.left(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn nothing_waits_where_nobody_can_tell_and_nothing_for_ever() {
    let node = Lan::new().a;
    let running = Running::start(&node, Local::default());
    let start = now();
    running.wait_for(&[V4, V6]);
    running.left(&[]).await;
    assert!(now() - start < LIMIT, "without kube-proxy there is nothing to wait for");
    // IPv4 alone: what is not there for IPv6 tells nothing.
    node.run(|| shell(&table("ip", "ipv4_addr"))).unwrap();
    let start = now();
    running.wait_for(&[V4, V6]);
    running.left(&[V4]).await;
    running.left(&[]).await;
    assert!(now() - start >= LIMIT, "{:?}", now() - start);
}
