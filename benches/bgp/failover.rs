//! Three nodes behind a router share a VIP; one of them ends in various ways, and six flows are watched.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use vipcast::clock;
use vipcast::demo::lab::echo::Echo;

use super::flows::{self, Flows, Seen};
use super::net::{self, Net};
use super::page::{Row, millis};
use super::plan::{ROUTER_AS, SPEAKER_AS};
use super::router::{Brand, Router};
use super::setup::{Family, Peer, Setup};
use super::speaker::Speaker;
use super::wait::{SOON, wait};

pub(crate) fn measure() -> Vec<Row> {
    let mut rows = Vec::new();
    for (interval, bound) in [(100, 290.0), (300, 800.0)] {
        let (ours, bird) = (Rack::build(true, interval).cut(), Rack::build(false, interval).cut());
        let what = format!("ECMP, link cut without loss of carrier, BFD {interval} ms x 3");
        let seen = |outcome: &Outcome| millis(outcome.seen.gap);
        rows.push(
            Row::millis(format!("{what}: longest gap"), ours.seen.gap)
                .beside("BIRD", seen(&bird))
                .at_most(bound),
        );
        let lost = Row::new(format!("{what}: lost"), "", ours.seen.lost as f64);
        rows.push(lost.beside("BIRD", bird.seen.lost as f64));
        let back = Row::millis(format!("{what}: route back after the link"), ours.back);
        rows.push(back.beside("BIRD", millis(bird.back)).at_most(2000.0));
    }
    for (what, event) in
        [("planned stop", Event::Stop), ("kill -9", Event::Kill), ("carrier lost", Event::Carrier)]
    {
        let (ours, bird) = (Rack::build(true, 100).end(event), Rack::build(false, 100).end(event));
        let lost = Row::new(format!("ECMP, {what}: lost"), "", ours.seen.lost as f64);
        rows.push(lost.beside("BIRD", bird.seen.lost as f64).at_most(0.0));
        let gone = Row::millis(format!("ECMP, {what}: route withdrawn"), ours.gone);
        rows.push(gone.beside("BIRD", millis(bird.gone)).at_most(10.0));
    }
    rows
}

/// How the node in the middle ends.
#[derive(Clone, Copy, Debug)]
enum Event {
    Stop,
    Kill,
    Carrier,
}

struct Outcome {
    seen: Seen,
    gone: Duration,
    back: Duration,
}

/// A router, a client and three nodes, each on a link of its own.
struct Rack {
    flows: Flows,
    speakers: Vec<Speaker>,
    router: Router,
    nodes: Vec<Net>,
    _echoes: Vec<Echo>,
}

impl Rack {
    fn build(ours: bool, interval: u32) -> Self {
        let (top, client) = (net::net(), net::net());
        net::forward(&top);
        top.run(|| std::fs::write("/proc/sys/net/ipv4/fib_multipath_hash_policy", "1").unwrap()).unwrap();
        net::cable((&client, "eth0"), (&top, "client"));
        net::addresses(&client, "eth0", &["10.90.0.2/24"]);
        net::addresses(&top, "client", &["10.90.0.1/24"]);
        net::ip(&client, &["route add default via 10.90.0.1"]);
        let nodes: Vec<Net> = NODES.map(|number| node(&top, number)).into();
        let peer = |number: u8, ours: u8, theirs: u8, remote| {
            let at = |host| IpAddr::from([10, 88, number, host]);
            Peer {
                families: [Family::V4].into(),
                bfd: Some(interval),
                ..Peer::new(at(ours), at(theirs), remote)
            }
        };
        let passive = |number| Peer { passive: true, ..peer(number, 1, 2, SPEAKER_AS) };
        let mut setup = Setup::new(ROUTER_AS, [10, 88, 0, 1], NODES.map(passive).into());
        setup.installs = true;
        let router = Router::start(Brand::Bird, &top, setup);
        let speakers = NODES.iter().zip(&nodes).map(|(number, node)| {
            let mut setup =
                Setup::new(SPEAKER_AS, [10, 88, *number, 2], vec![peer(*number, 2, 1, ROUTER_AS)]);
            setup.routes = vec![IpAddr::V4(VIP).into()];
            if ours {
                return Speaker::start(node, &setup);
            }
            // BIRD announces; somebody else has to hold.
            net::addresses(node, "lo", &[&format!("{VIP}/32")]);
            Speaker::stand_in(node, &setup)
        });
        let speakers: Vec<Speaker> = speakers.collect();
        let echoes = NODES.iter().zip(&nodes).map(|(number, node)| flows::echo(node, VIP, *number)).collect();
        let flows = Flows::start(&client, VIP);
        let rack = Self { flows, speakers, router, nodes, _echoes: echoes };
        wait("three next hops, and BFD", SOON, || (rack.is_whole() && rack.bfd_is_up()).then_some(()));
        // Every flow has found its way, and BFD its pace.
        thread::sleep(Duration::from_millis(2000));
        rack
    }

    fn paths(&self) -> usize {
        self.router.count(Family::V4)
    }

    fn is_whole(&self) -> bool {
        self.paths() == NODES.len() && kernel_paths(&self.router.site.net) == NODES.len()
    }

    fn bfd_is_up(&self) -> bool {
        NODES.iter().all(|number| self.router.bfd_is_up([10, 88, *number, 2].into()))
    }

    fn end(mut self, event: Event) -> Outcome {
        let begin = clock::now();
        match event {
            Event::Stop => self.speakers[VICTIM].ask_to_end(),
            Event::Kill => self.speakers[VICTIM].kill(),
            Event::Carrier => net::ip(&self.nodes[VICTIM], &["link set eth0 down"]),
        }
        let gone = self.wait_gone(begin);
        thread::sleep(Duration::from_millis(1500));
        let seen = self.flows.seen(begin, clock::now() - SETTLED);
        Outcome { seen, gone, back: Duration::ZERO }
    }

    /// Both ends hear nothing, and neither knows why.
    fn cut(mut self) -> Outcome {
        let (node, top) = (self.nodes[VICTIM].clone(), self.router.site.net.clone());
        let port = format!("eth{}", NODES[VICTIM]);
        let begin = clock::now();
        lose(&top, &port);
        lose(&node, "eth0");
        let gone = self.wait_gone(begin);
        thread::sleep(Duration::from_millis(2000));
        let seen = self.flows.seen(begin, clock::now() - SETTLED);
        net::nft(&node, "delete table inet cut");
        net::nft(&top, "delete table inet cut");
        let mended = clock::now();
        wait("the route is back", SOON, || self.is_whole().then_some(()));
        Outcome { seen, gone, back: clock::now() - mended }
    }

    fn wait_gone(&self, begin: Instant) -> Duration {
        while self.paths() == NODES.len() {
            assert!(clock::now() < begin + SOON, "the route stays");
        }
        clock::now() - begin
    }
}

fn node(top: &Net, number: u8) -> Net {
    let node = net::net();
    let port = format!("eth{number}");
    net::cable((&node, "eth0"), (top, &port));
    net::addresses(&node, "eth0", &[&format!("10.88.{number}.2/24")]);
    net::addresses(top, &port, &[&format!("10.88.{number}.1/24")]);
    net::ip(&node, &[&format!("route add default via 10.88.{number}.1")]);
    node
}

fn lose(net: &Net, interface: &str) {
    let rule = format!("type filter hook prerouting priority -300; iifname \"{interface}\" drop;");
    net::nft(net, &format!("table inet cut {{ chain in {{ {rule} }}; }}"));
}

/// How many next hops the kernel has for the VIP.
fn kernel_paths(net: &Net) -> usize {
    let shown = net::output(net, "ip", &["route", "show", &VIP.to_string()]);
    String::from_utf8_lossy(&shown.stdout).matches(" via ").count()
}

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NODES: [u8; 3] = [1, 2, 3];
const VICTIM: usize = 1;
/// What has just left may still be answered.
const SETTLED: Duration = Duration::from_millis(100);
