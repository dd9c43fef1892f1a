//! A node that answers for Service addresses, on a thread of its own that can be frozen, and one who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::mpsc as sync;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use vipcast::admin::board::StatusBoard;
use vipcast::admin::metrics::Metrics;
use vipcast::announce::responder::{self, Interfaces, Standing, Wires};
use vipcast::clock::{now, pause};
use vipcast::kube::events::Events;
use vipcast::net::burst::{BurstSocket, Sent};
use vipcast::net::frames;
use vipcast::net::namespace::Namespace;
use vipcast::witness::Witness;
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::election::{Grant, Predecessor};
use vipcast_proto::l2::announcer::{Link, WireCheck};
use vipcast_proto::l2::ethernet::{MacAddr, SightingKind, sighting};
use vipcast_proto::l2::responder::Config;

use crate::lan::Lan;

pub(crate) const CONFIG: Config = Config {
    refresh: Duration::from_secs(60),
    refresh_frames: 350,
    wire_check: Some(WireCheck {
        probes: 3,
        interval: Duration::from_millis(10),
        wait: Duration::from_millis(10),
        retry: Duration::from_secs(1),
    }),
};

/// What the thread of a speaker is told.
enum Order {
    /// Do nothing at all for so long.
    Freeze(Duration),
    /// Say how much processor time it has taken, its share of the kernel's included.
    Cpu(sync::Sender<Duration>),
}

pub(crate) struct Speaker {
    desired: watch::Sender<Desired>,
    interfaces: mpsc::Sender<Interfaces>,
    orders: mpsc::UnboundedSender<Order>,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    pub(crate) links: watch::Receiver<BTreeMap<Arc<str>, Link>>,
    pub(crate) standings: watch::Receiver<BTreeMap<Arc<str>, Standing>>,
    pub(crate) metrics: Metrics,
    thread: Option<thread::JoinHandle<()>>,
}

impl Speaker {
    pub(crate) fn start(namespace: &Namespace, config: Config) -> Self {
        let (desired, wanted) = watch::channel(Desired::default());
        let (interfaces, named) = mpsc::channel(64);
        let (orders, ordered) = mpsc::unbounded_channel();
        let (report_out, mut reported) = mpsc::channel(64);
        let (reports_out, reports) = mpsc::unbounded_channel();
        let (links_out, links) = watch::channel(BTreeMap::new());
        let (standings_out, standings) = watch::channel(BTreeMap::new());
        let (board, status) = StatusBoard::new("0.1.0", "n1");
        let metrics = Metrics::new("0.1.0", None, status);
        let witness = Witness { board, metrics: metrics.clone(), events: Events::channel().0 };
        let wires = Wires {
            desired: wanted,
            interfaces: named,
            reports: report_out,
            links: links_out,
            standings: standings_out,
        };
        let work = move |()| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let pass_on = async {
                while let Some((name, report)) = reported.recv().await {
                    assert_eq!(name, "layer2-services");
                    drop(reports_out.send(report));
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = responder::run(config, wires, witness) => {}
                    () = obey(ordered) => {}
                    () = pass_on => {}
                }
            });
        };
        let thread = namespace.spawn("speaker", || Ok(()), work).unwrap();
        Self { desired, interfaces, orders, reports, links, standings, metrics, thread: Some(thread) }
    }

    /// All of these are announced on `eth0` until then, and nothing else is.
    pub(crate) fn want(&self, vips: &BTreeSet<IpAddr>, until: Instant, predecessor: Predecessor) {
        let eth0: Arc<str> = "eth0".into();
        let interfaces = vips.iter().map(|&vip| (vip, Some(eth0.clone()))).collect();
        self.interfaces.try_send(interfaces).unwrap();
        self.permit(vips, until, predecessor);
    }

    pub(crate) fn permit(&self, vips: &BTreeSet<IpAddr>, until: Instant, predecessor: Predecessor) {
        let grant = Grant { until, fence: until + Duration::from_secs(1), predecessor };
        let vips = Arc::new(vips.iter().map(|&vip| (vip, grant)).collect());
        self.desired.send_modify(|desired| *desired = Desired { serial: desired.serial + 1, vips });
    }

    pub(crate) fn freeze(&self, span: Duration) {
        assert!(self.orders.send(Order::Freeze(span)).is_ok());
    }

    pub(crate) fn cpu(&self) -> Duration {
        let (sender, receiver) = sync::channel();
        assert!(self.orders.send(Order::Cpu(sender)).is_ok());
        receiver.recv().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        drop(std::mem::replace(&mut self.orders, mpsc::unbounded_channel().0));
        self.thread.take().unwrap().join().unwrap();
    }

    pub(crate) async fn held(&mut self, count: usize) {
        let held = |standings: &BTreeMap<Arc<str>, Standing>| {
            standings.get("eth0").is_some_and(|standing| standing.tally.held == count)
        };
        tokio::time::timeout(crate::lan::SOON, self.standings.wait_for(held))
            .await
            .expect("all held within ten seconds")
            .unwrap();
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.kill();
        }
    }
}

async fn obey(mut orders: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Freeze(span) => thread::sleep(span),
            Order::Cpu(answer) => answer.send(cpu()).unwrap(),
        }
    }
}

/// Processor time of this thread.
pub(crate) fn cpu() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
}

/// Whoever asks, at the other end of the cable.
pub(crate) struct Asker {
    socket: BurstSocket,
    mac: MacAddr,
}

impl Asker {
    pub(crate) fn new(lan: &Lan) -> Self {
        let index = lan.b.link_index("eth0").unwrap();
        let socket = lan.b.open(|| BurstSocket::open(index)).unwrap().unwrap();
        Self { socket, mac: lan.mac_b }
    }

    /// Asks for each of these once.
    pub(crate) async fn ask(&self, vips: impl IntoIterator<Item = IpAddr>) {
        let frames: Vec<Vec<u8>> = vips.into_iter().map(|vip| question(self.mac, vip)).collect();
        self.send(&frames).await;
    }

    pub(crate) async fn send(&self, frames: &[Vec<u8>]) {
        let mut rest = frames;
        while !rest.is_empty() {
            match self.socket.send(rest.iter().map(Vec::as_slice)).unwrap() {
                Sent::Some(count) => rest = rest.get(count..).unwrap(),
                Sent::Full => pause(Duration::from_millis(1)).await,
                Sent::Down => panic!("the cable has no carrier"),
            }
        }
    }

    /// Everything that claims an address within `span`.
    pub(crate) async fn claims(&mut self, span: Duration) -> Vec<(IpAddr, MacAddr)> {
        let (end, mut claims) = (now() + span, vec![]);
        while let Ok(readable) = tokio::time::timeout(end - now().min(end), self.socket.readable()).await {
            readable.unwrap();
            self.read(&mut claims);
        }
        claims
    }

    fn read(&mut self, claims: &mut Vec<(IpAddr, MacAddr)>) {
        self.socket.receive().unwrap();
        for frame in self.socket.frames() {
            if let Ok(Some(seen)) = sighting(frame.octets)
                && seen.kind == SightingKind::Claim
            {
                claims.push((seen.address, seen.from));
            }
        }
    }

    /// How many of them are claimed by `mac` within `span` of being asked for.
    pub(crate) async fn answered(
        &mut self,
        vips: &BTreeSet<IpAddr>,
        mac: MacAddr,
        span: Duration,
    ) -> BTreeSet<IpAddr> {
        drop(self.claims(Duration::from_millis(1)).await);
        self.ask(vips.iter().copied()).await;
        let claims = self.claims(span).await;
        claims.into_iter().filter(|(_, by)| *by == mac).map(|(vip, _)| vip).collect()
    }
}

/// As the kernel of one who has 192.0.2.7 and 2001:db8::7 asks.
pub(crate) fn question(mac: MacAddr, vip: IpAddr) -> Vec<u8> {
    match vip {
        IpAddr::V4(vip) => {
            let mut frame = frames::arp_announcement_request(mac, Ipv4Addr::new(192, 0, 2, 7));
            frame.truncate(38);
            frame.extend(vip.octets());
            frame
        }
        // From nobody; a question from somebody is the kernel's part.
        IpAddr::V6(vip) => frames::duplicate_address_detection(mac, vip),
    }
}

/// Addresses of 10.0.0.0/8.
pub(crate) fn v4(count: u32) -> BTreeSet<IpAddr> {
    (1..=count).map(|number| Ipv4Addr::from(0x0a00_0000 + number).into()).collect()
}

/// Addresses of 2001:db8::/32, each with a solicited-node group of its own.
pub(crate) fn v6(count: u32) -> BTreeSet<IpAddr> {
    let base = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0));
    (1..=count).map(|number| Ipv6Addr::from(base + u128::from(number)).into()).collect()
}
