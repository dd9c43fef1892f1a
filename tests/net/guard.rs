//! Service addresses behind their guard: what passes to them, and that nothing else does at any time.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast::clock::{now, pause};
use vipcast::guard::{Guard, GuardState};
use vipcast::net::namespace::Namespace;
use vipcast::net::wiring::LinkState;
use vipcast_proto::guard::{Demand, Others, Rules};
use vipcast_proto::ipam::{Port, Protocol};

use crate::lan::{Lan, SOON, ip, shell};

const WEB: Port = Port { protocol: Protocol::Tcp, number: 80 };
const NAMES: Port = Port { protocol: Protocol::Udp, number: 53 };
const TIME: Port = Port { protocol: Protocol::Udp, number: 123 };
const VIP4: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
const FRIEND: &str = "192.0.2.10";
const STRANGER: &str = "192.0.2.20";
/// An address to be guarded, and who may reach it and who may not.
const FAMILIES: [(&str, &str, &str); 2] = [(VIP4, FRIEND, STRANGER), (VIP6, "2001:db8::10", "2001:db8::20")];

/// A node with Service addresses on its interface, whose network `a` is, and clients with two addresses of each family
/// in `b`.
fn lan() -> Lan {
    let lan = Lan::new();
    lan.a.set_link("lo", LinkState::Up).unwrap();
    for address in ["192.0.2.1/24", "2001:db8::1/64", "192.0.2.100/32", "2001:db8::100/128", "192.0.2.101/32"]
    {
        lan.a.add_address("eth0", address.parse().unwrap()).unwrap();
    }
    for address in ["192.0.2.10/24", "2001:db8::10/64", "192.0.2.20/24", "2001:db8::20/64"] {
        lan.b.add_address("eth0", address.parse().unwrap()).unwrap();
    }
    lan
}

/// A guard that runs, and what it has in force.
struct Running {
    rules: watch::Sender<Option<Arc<Rules>>>,
    state: watch::Receiver<GuardState>,
    task: JoinSet<()>,
}

impl Running {
    fn start(namespace: &Namespace) -> Self {
        let (rules, wanted) = watch::channel(None);
        let (guard, state) = namespace.open(|| Guard::new(wanted)).unwrap();
        let mut task = JoinSet::new();
        task.spawn(guard.run());
        Self { rules, state, task }
    }

    async fn enforce(&mut self, rules: Rules) {
        let rules = Arc::new(rules);
        self.rules.send_replace(Some(Arc::clone(&rules)));
        let settled = |state: &GuardState| state.in_force == rules || state.trouble.is_some();
        let state = timeout(SOON, self.state.wait_for(settled)).await.unwrap().unwrap().clone();
        assert_eq!(state, GuardState { in_force: rules, trouble: None });
    }

    async fn stop(mut self) {
        drop(self.rules);
        timeout(SOON, self.task.join_next()).await.unwrap();
    }
}

fn nets(nets: &[&str]) -> Vec<IpNet> {
    nets.iter().map(|net| net.parse().unwrap()).collect()
}

fn rules(ports: &[Port], ranges: &[&str], others: Others) -> Rules {
    let ranges = nets(ranges);
    Rules::of([VIP4, VIP6].map(|vip| Demand { address: ip(vip), ports, source_ranges: &ranges, others }))
}

fn friends(others: Others) -> Rules {
    rules(&[NAMES], &["192.0.2.10/32", "2001:db8::10/128"], others)
}

/// Echoes what it gets at the port of each address, for as long as the value lives.
struct Echo(Arc<AtomicBool>);

impl Echo {
    fn start(namespace: &Namespace, addresses: &[&str], ports: &[Port]) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        for (address, port) in
            addresses.iter().flat_map(|address| ports.iter().map(move |port| (*address, port.number)))
        {
            let ended = Arc::clone(&ended);
            let socket =
                namespace.run(|| UdpSocket::bind(SocketAddr::new(ip(address), port)).unwrap()).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 8192];
                while !ended.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                        let _ = socket.send_to(buffer.get(..length).unwrap(), from);
                    }
                }
            });
        }
        Self(ended)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a datagram from `source` is answered. The wait for one that is not is short; a wrong "no" makes a test fail,
/// so an answer gets three chances.
fn answered(client: &Namespace, source: &str, vip: &str, port: Port) -> bool {
    asked(client, source, vip, port, b"hello")
}

fn asked(client: &Namespace, source: &str, vip: &str, port: Port, payload: &[u8]) -> bool {
    let ask = || {
        let socket = UdpSocket::bind(SocketAddr::new(ip(source), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        socket.connect(SocketAddr::new(ip(vip), port.number)).unwrap();
        let mut buffer = [0; 8192];
        (0..3).any(|_| {
            // A refusal by ICMP is no answer.
            let sent = socket.send(payload).is_ok();
            sent && socket.recv(&mut buffer).is_ok_and(|length| buffer.get(..length) == Some(payload))
        })
    };
    client.run(ask).unwrap()
}

/// Who of friend and stranger is answered by each family's address at the port.
fn served(lan: &Lan, port: Port) -> [[bool; 2]; 2] {
    FAMILIES
        .map(|(vip, friend, stranger)| [friend, stranger].map(|source| answered(&lan.b, source, vip, port)))
}

/// A friend and a stranger who send to the first address as fast as they can, and who of them is heard there.
struct Flood {
    ended: Arc<AtomicBool>,
    sender: thread::JoinHandle<u64>,
    receiver: thread::JoinHandle<(u64, u64)>,
}

impl Flood {
    fn start(lan: &Lan) -> Self {
        let bound = |namespace: &Namespace, address: &str, port| {
            namespace.run(|| UdpSocket::bind(SocketAddr::new(ip(address), port)).unwrap()).unwrap()
        };
        let server = bound(&lan.a, VIP4, NAMES.number);
        server.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let clients = [(bound(&lan.b, STRANGER, 0), 20), (bound(&lan.b, FRIEND, 0), 1)];
        let ended = Arc::new(AtomicBool::new(false));
        let (until, to_the_end) = (Arc::clone(&ended), Arc::clone(&ended));
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while !until.load(Ordering::Relaxed) {
                for (client, share) in &clients {
                    for _ in 0..*share {
                        sent += u64::from(client.send_to(b"x", (ip(VIP4), NAMES.number)).is_ok());
                    }
                }
            }
            sent
        });
        let receiver = thread::spawn(move || {
            let (mut heard, mut leaked, mut buffer) = (0, 0, [0; 64]);
            while !to_the_end.load(Ordering::Relaxed) {
                match server.recv_from(&mut buffer) {
                    Ok((_, from)) if from.ip() == ip(FRIEND) => heard += 1,
                    Ok(_) => leaked += 1,
                    Err(_) => {}
                }
            }
            (heard, leaked)
        });
        Self { ended, sender, receiver }
    }

    /// How many were sent, of how many of the friend something was heard, and of the stranger.
    fn stop(self) -> (u64, u64, u64) {
        self.ended.store(true, Ordering::Relaxed);
        let (heard, leaked) = self.receiver.join().unwrap();
        (self.sender.join().unwrap(), heard, leaked)
    }
}

/// `nft` lists the whole ruleset, with the types of addresses and the rules in its words; what is left without our table,
/// it can load again.
fn is_listed(namespace: &Namespace) {
    let list = namespace.run(|| shell("nft add table inet other && nft list ruleset")).unwrap();
    for line in [
        "type ipv4_addr",
        "type ipv6_addr",
        "ip daddr @guarded4_a goto guard4",
        "ip daddr . meta l4proto . th dport . ip saddr @permitted4_a accept",
        "ip6 daddr . meta l4proto . th dport . ip6 saddr @permitted6_a accept",
    ] {
        assert!(list.lines().any(|listed| listed.trim() == line), "{line}: {list}");
    }
    // As docs/services.md has it.
    let saved = "nft list tables | grep -vx 'table inet vipcast' | xargs -L1 nft list";
    let saved = namespace.run(|| shell(&format!("({saved}) | nft -c -f - && {saved}"))).unwrap();
    assert_eq!(saved.lines().next(), Some("table inet other {"), "{saved}");
    namespace.run(|| shell("nft delete table inet other")).unwrap();
}

/// What `nft` prints of our table; `None` if there is none.
fn listed(namespace: &Namespace) -> Option<String> {
    let list = "nft list table inet vipcast 2>/dev/null || true";
    Some(namespace.run(|| shell(list)).unwrap()).filter(|list| !list.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn source_ranges_say_who_is_served_at_the_ports_of_their_service_and_nowhere_else() {
    let lan = lan();
    let _echo = Echo::start(&lan.a, &[VIP4, VIP6, "192.0.2.101"], &[NAMES, TIME]);
    assert_eq!([NAMES, TIME].map(|port| served(&lan, port)), [[[true; 2]; 2]; 2], "before there are rules");

    let mut guard = Running::start(&lan.a);
    guard.enforce(friends(Others::Pass)).await;
    println!("{}", listed(&lan.a).unwrap());
    is_listed(&lan.a);
    assert_eq!(served(&lan, NAMES), [[true, false]; 2]);
    assert_eq!(served(&lan, TIME), [[true; 2]; 2], "the port of nobody who asked for ranges");
    assert!(answered(&lan.b, STRANGER, "192.0.2.101", NAMES), "an address of nobody who asked for ranges");
    for vip in [VIP4, VIP6] {
        lan.b.run(|| shell(&format!("ping -c1 -W2 {vip}"))).unwrap();
    }

    guard.enforce(friends(Others::Drop)).await;
    assert_eq!([NAMES, TIME].map(|port| served(&lan, port)), [[[true, false]; 2], [[false; 2]; 2]]);
    for vip in [VIP4, VIP6] {
        lan.b.run(|| shell(&format!("ping -c1 -W2 {vip}"))).unwrap();
    }
    assert!(answered(&lan.a, "192.0.2.1", VIP4, TIME), "the node itself");

    guard.enforce(rules(&[NAMES], &[], Others::Drop)).await;
    assert_eq!([NAMES, TIME].map(|port| served(&lan, port)), [[[true; 2]; 2], [[false; 2]; 2]]);
    guard.stop().await;
    assert_eq!([NAMES, TIME].map(|port| served(&lan, port)), [[[true; 2]; 2]; 2], "after the end");
    assert_eq!(listed(&lan.a), None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn tcp_is_guarded_and_fragments_pass_with_their_first_one_only() {
    let lan = lan();
    let listener = lan.a.run(|| std::net::TcpListener::bind((ip(VIP4), WEB.number)).unwrap()).unwrap();
    let _echo = Echo::start(&lan.a, &[VIP4, VIP6], &[NAMES]);
    let mut guard = Running::start(&lan.a);
    guard.enforce(rules(&[WEB, NAMES], &["192.0.2.10/32", "2001:db8::10/128"], Others::Drop)).await;
    let connects = |source: &str| {
        let address = ip(source);
        let connect = move || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::new(address, 0).into()).unwrap();
            socket.connect_timeout(&SocketAddr::new(ip(VIP4), 80).into(), Duration::from_millis(1500))
        };
        lan.b.run(connect).unwrap().map_err(|error| error.kind())
    };
    assert_eq!(connects(FRIEND), Ok(()));
    assert_eq!(connects(STRANGER), Err(ErrorKind::TimedOut));
    drop(listener);

    let large = [7; 4000];
    for (vip, friend, stranger) in FAMILIES {
        assert!(asked(&lan.b, friend, vip, NAMES, &large), "fragments to {vip}");
        assert!(!asked(&lan.b, stranger, vip, NAMES, &large), "fragments to {vip}");
    }
    guard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_leftover_filters_until_the_rules_are_known_and_is_swept_then() {
    let lan = lan();
    let _echo = Echo::start(&lan.a, &[VIP4, VIP6], &[NAMES]);
    let mut killed = Running::start(&lan.a);
    killed.enforce(friends(Others::Pass)).await;
    killed.task.shutdown().await;
    drop(killed);
    assert_eq!(served(&lan, NAMES), [[true, false]; 2], "kill -9 takes no protection away");

    let mut next = Running::start(&lan.a);
    pause(Duration::from_millis(200)).await;
    assert_eq!(served(&lan, NAMES), [[true, false]; 2], "nothing is known yet");
    next.enforce(rules(&[NAMES], &["192.0.2.20/32", "2001:db8::20/128"], Others::Pass)).await;
    assert_eq!(served(&lan, NAMES), [[false, true]; 2]);
    let list = listed(&lan.a).unwrap();
    assert_eq!(["guarded4_a", "guarded4_b"].map(|set| list.contains(&format!("set {set} "))), [false, true]);
    next.enforce(Rules::default()).await;
    assert_eq!(listed(&lan.a), None);
    next.stop().await;

    // The table of another version, which ours cannot take the place of.
    let alien = "nft add table inet vipcast; nft 'add chain inet vipcast prerouting { type filter hook prerouting priority 7; }'; \
                 nft 'add set inet vipcast guarded4_a { type inet_service; }'; nft add rule inet vipcast prerouting drop";
    lan.a.run(|| shell(alien)).unwrap();
    assert_eq!(served(&lan, NAMES), [[false; 2]; 2]);
    let idle = Running::start(&lan.a);
    idle.stop().await;
    assert_eq!(
        served(&lan, NAMES),
        [[false; 2]; 2],
        "who never knew any rules leaves alone what others made"
    );
    let mut last = Running::start(&lan.a);
    last.enforce(friends(Others::Pass)).await;
    assert_eq!(served(&lan, NAMES), [[true, false]; 2]);
    last.enforce(Rules::default()).await;
    last.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn what_others_do_to_the_table_is_undone() {
    let lan = lan();
    let mut guard = Running::start(&lan.a);
    guard.enforce(friends(Others::Pass)).await;
    let content = |list: Option<String>| {
        let list = list.unwrap_or_default().replace("_b", "_a");
        list.lines().filter(|line| !line.contains("counter")).map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = content(listed(&lan.a));
    assert_eq!(expected.iter().filter(|line| line.trim().starts_with("set ")).count(), 4);
    for damage in [
        "nft flush ruleset",
        "nft flush table inet vipcast",
        "nft flush set inet vipcast guarded4_a || nft flush set inet vipcast guarded4_b",
        "nft insert rule inet vipcast guard4 accept",
        "nft 'add table inet vipcast { flags dormant; }'",
    ] {
        lan.a.run(|| shell(&format!("({damage}) 2>/dev/null"))).unwrap();
        let damaged = now();
        while content(listed(&lan.a)) != expected {
            assert!(now() - damaged < SOON, "{damage}: {:?}", listed(&lan.a));
            pause(Duration::from_millis(5)).await;
        }
        println!("{damage}: undone {:?} later", now() - damaged);
    }
    guard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn nothing_leaks_while_rules_and_guards_are_replaced_under_traffic() {
    let lan = lan();
    let mut guard = Running::start(&lan.a);
    guard.enforce(friends(Others::Drop)).await;
    let flood = Flood::start(&lan);
    for round in 0..40_u32 {
        // Ranges of neighbours come and go; the stranger is in none of them.
        let more = format!("192.0.2.{}/32", 30 + round);
        guard.enforce(rules(&[NAMES], &["192.0.2.10/32", &more], Others::Drop)).await;
        if round % 4 == 0 {
            // Another life takes over what this one left.
            guard.task.shutdown().await;
            guard = Running::start(&lan.a);
            guard.enforce(rules(&[NAMES, TIME], &["192.0.2.10/32"], Others::Pass)).await;
        }
    }
    let (sent, heard, leaked) = flood.stop();
    println!("{sent} datagrams sent, {heard} of a friend heard, {leaked} of a stranger");
    assert_eq!(leaked, 0);
    assert!(heard > 100, "the friend was heard {heard} times");
    guard.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn ten_thousand_addresses_are_guarded_in_one_transaction_and_one_of_them_changes_alone() {
    let lan = lan();
    let mut guard = Running::start(&lan.a);
    let ranges = nets(&["192.0.2.10/32", "10.0.0.0/8", "172.16.0.0/12", "2001:db8::10/128", "fd00::/8"]);
    let own = nets(&["192.0.2.20/32"]);
    let first = u32::from(Ipv4Addr::new(100, 64, 0, 0));
    let many = |changed: Option<u32>| {
        Rules::of((0..10_000_u32).map(|n| Demand {
            address: IpAddr::from(Ipv4Addr::from(first + n)),
            ports: &[WEB, NAMES],
            source_ranges: if changed == Some(n) { &own } else { &ranges },
            others: if n % 2 == 0 { Others::Drop } else { Others::Pass },
        }))
    };
    let mut timed = async |what: &str, rules: Rules| {
        let asked = now();
        guard.enforce(rules).await;
        let span = now() - asked;
        println!("{what}: {span:?}");
        span
    };
    timed("10,000 addresses, from nothing", many(None)).await;
    let mut one = Vec::new();
    for changed in 0..10 {
        one.push(timed("one of 10,000 changed", many(Some(changed))).await);
    }
    one.sort();
    // The bound is loose: other tests run at the same time. What it guards against is minutes.
    assert!(one[5] < Duration::from_secs(2), "{one:?}");
    timed(
        "9,990 of 10,000 removed",
        Rules::of((0..10).map(|n| Demand {
            address: IpAddr::from(Ipv4Addr::from(first + n)),
            ports: &[WEB],
            source_ranges: &own,
            others: Others::Pass,
        })),
    )
    .await;
    guard.stop().await;
    assert_eq!(listed(&lan.a), None);
}
