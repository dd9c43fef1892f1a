//! A hundred thousand routes: how long until a router has them, in how many octets, and what it costs to have them.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use vipcast::clock;
use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;

use vipcast_proto::bgp::adj_rib_out::{Export, Local, Policy, Routes};
use vipcast_proto::bgp::fsm::{Negotiated, Peering};
use vipcast_proto::bgp::types::{self, Asn, HoldTime};
use vipcast_proto::bgp::wire::AsNumbers;

use super::{longest, median, millis};
use crate::announcer;
use crate::counter::{self, Heard};
use crate::figure::Figure;
use crate::net::{self, Net};
use crate::plan::{ROUTER_AS, SPEAKER_AS};
use crate::router::{Brand, Router};
use crate::setup::{Family, Peer, Setup};
use crate::wait::{SOON, resident, wait};

pub(super) fn measure(runs: usize) -> Vec<Figure> {
    let heard = count();
    // By turns: what else the machine does meets both.
    let turns: Vec<_> = (0..runs).map(|_| [Who::Vipcast, Who::GoBgp].map(span)).collect();
    let all = [0, 1].map(|who| turns.iter().map(|turn| turn[who]).collect::<Vec<_>>());
    all.iter().zip([Who::Vipcast, Who::GoBgp]).for_each(|(spans, who)| eprintln!("    {who:?}: {spans:?}"));
    let [ours, gobgp] = all.map(|spans| median(&spans));
    let memory = [Who::Vipcast, Who::GoBgp, Who::Bird].map(|who| memory(who) as f64 / 1e6);
    let encoded = encode();
    vec![
        Figure::millis(OF, format!("first to last at BIRD, median of {runs}"), ours)
            .at_most(millis(gobgp))
            .beside("GoBGP", millis(gobgp)),
        Figure::count(OF, "UPDATEs", heard.updates).at_most(124.0),
        Figure::count(OF, "octets in them", heard.octets).at_most((505_332.0_f64 * 1.01).floor()),
        Figure::millis(OF, "first to last UPDATE at a router that only counts", heard.span),
        Figure::new(OF, format!("resident memory with {PEERS} peers"), memory[0], "MB")
            .at_most(20.0)
            .beside("GoBGP", memory[1])
            .beside("BIRD", memory[2]),
        Figure::millis(OF, format!("encoded, median of {}", encoded.len()), median(&encoded)).at_most(1.0),
        Figure::millis(OF, "encoded, longest", longest(&encoded)),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Vipcast,
    GoBgp,
    Bird,
}

/// The speaker's process, whoever it is.
enum Announcer {
    Vipcast(Process, WorkDir),
    Other(Box<Router>, Option<Box<Router>>),
}

impl Announcer {
    fn resident(&self) -> u64 {
        match self {
            Self::Vipcast(process, _) => resident(process.pid()),
            Self::Other(router, _) => router.resident(),
        }
    }
}

fn count() -> Heard {
    let (near, far) = wired();
    let listener = far.run(|| TcpListener::bind((router(1), 179)).unwrap()).unwrap();
    let counting = thread::spawn(move || counter::hear(&listener, ROUTER_AS));
    let _announcer = vipcast(&near, 1);
    counting.join().unwrap()
}

/// From the first route that BIRD has to the last one.
fn span(who: Who) -> Duration {
    announced(who, 1, |far, _| {
        let has = || far.announced(OURS);
        wait_for(|| has() > 0, "no route");
        let first = clock::now();
        wait_for(|| has() == u64::from(COUNT), "not every route");
        clock::now() - first
    })
}

/// Asked without a pause: the figure is small.
fn wait_for(mut there: impl FnMut() -> bool, otherwise: &str) {
    let begin = clock::now();
    while !there() {
        assert!(clock::now() < begin + SOON * 4, "{otherwise}");
    }
}

fn memory(who: Who) -> u64 {
    announced(who, PEERS, |far, announcer| {
        let all = COUNT as usize * usize::from(PEERS);
        wait("every session has every route", SOON * 4, || (far.count(Family::V4) == all).then_some(()));
        announcer.resident()
    })
}

/// All routes as UPDATEs, with other attributes each time, so that nothing is there already.
fn encode() -> Vec<Duration> {
    let plain = Policy::default();
    let routes = Routes::new((0..COUNT).map(|number| (announcer::address(number).into(), &plain)));
    let negotiated = Negotiated {
        peer_as: Asn(ROUTER_AS),
        peer_identifier: Ipv4Addr::new(10, 88, 0, 1),
        peering: Peering::External,
        hold_time: HoldTime::new(90).unwrap(),
        families: [types::Family::IPV4_UNICAST].into(),
        as_numbers: AsNumbers::FourOctets,
        extended_next_hop: false,
        route_refresh: true,
        enhanced_route_refresh: false,
        graceful_restart: None,
        preserved: [].into(),
        notification: false,
    };
    let local = Local { v4: Some(Ipv4Addr::new(10, 88, 0, 2)), ..Local::default() };
    let once = |med| {
        let policy = Policy { med: Some(med), ..Policy::default() };
        let export = Export::new(Asn(SPEAKER_AS), policy, &negotiated, &local);
        let begin = clock::now();
        let dump = routes.export(&export).dump(types::Family::IPV4_UNICAST);
        let span = clock::now() - begin;
        assert_eq!(dump.routes, COUNT as usize);
        span
    };
    (1..=ENCODED).map(once).collect()
}

fn announced<T>(who: Who, sessions: u8, measure: impl FnOnce(&Router, &Announcer) -> T) -> T {
    let (near, far) = wired();
    let mut setup = Setup::new(ROUTER_AS, [10, 88, 0, 1], (1..=sessions).map(waiting).collect());
    setup.peers.iter_mut().for_each(|peer| peer.passive = true);
    let announcer = match who {
        Who::Vipcast => None,
        // They have their routes before there is somebody to tell them to.
        Who::GoBgp => Some(gobgp(&near, sessions)),
        Who::Bird => Some(bird(&near, sessions)),
    };
    let router = Router::start(Brand::Bird, &far, setup);
    let announcer = announcer.unwrap_or_else(|| vipcast(&near, sessions));
    measure(&router, &announcer)
}

fn vipcast(net: &Net, sessions: u8) -> Announcer {
    let mut command = net.command(&std::env::current_exe().unwrap()).unwrap();
    command.args([announcer::WORD, &COUNT.to_string(), &OURS.to_string()]);
    command.args((1..=sessions).map(|number| router(number).to_string()));
    let directory = WorkDir::create().unwrap();
    let process = Process::spawn("announcer", command, &directory.file("log")).unwrap();
    Announcer::Vipcast(process, directory)
}

fn bird(net: &Net, sessions: u8) -> Announcer {
    let mut setup = Setup::new(SPEAKER_AS, [10, 88, 0, 2], dialling(sessions));
    setup.routes = (0..COUNT).map(|number| announcer::address(number).into()).collect();
    Announcer::Other(Box::new(Router::start(Brand::Bird, net, setup)), None)
}

/// It cannot be configured with routes: a BIRD beside it tells it.
fn gobgp(net: &Net, sessions: u8) -> Announcer {
    let beside = net::net();
    net::cable((net, "eth1"), (&beside, "eth0"));
    net::addresses(net, "eth1", &["10.91.0.1/24"]);
    net::addresses(&beside, "eth0", &["10.91.0.2/24"]);
    let (here, there) = (IpAddr::from([10, 91, 0, 1]), IpAddr::from([10, 91, 0, 2]));
    let only = |peer: Peer| Peer { families: [Family::V4].into(), hold: 90, ..peer };
    let mut peers = dialling(sessions);
    peers.push(only(Peer { passive: true, ..Peer::new(here, there, FEEDER_AS) }));
    let gobgp = Router::start(Brand::GoBgp, net, Setup::new(SPEAKER_AS, [10, 88, 0, 2], peers));
    let mut setup = Setup::new(FEEDER_AS, [10, 91, 0, 2], vec![only(Peer::new(there, here, SPEAKER_AS))]);
    setup.routes = (0..COUNT).map(|number| announcer::address(number).into()).collect();
    let feeder = Router::start(Brand::Bird, &beside, setup);
    wait("GoBGP has its routes", SOON * 4, || (gobgp.accepted(there) == u64::from(COUNT)).then_some(()));
    Announcer::Other(Box::new(gobgp), Some(Box::new(feeder)))
}

fn dialling(sessions: u8) -> Vec<Peer> {
    let peer = |number| Peer {
        families: [Family::V4].into(),
        hold: 90,
        ..Peer::new(OURS, router(number), ROUTER_AS)
    };
    (1..=sessions).map(peer).collect()
}

fn waiting(number: u8) -> Peer {
    Peer { families: [Family::V4].into(), hold: 90, ..Peer::new(router(number), OURS, SPEAKER_AS) }
}

fn wired() -> (Net, Net) {
    let (near, far) = (net::net(), net::net());
    net::cable((&near, "eth0"), (&far, "eth0"));
    net::addresses(&near, "eth0", &["10.88.0.2/16"]);
    let addresses: Vec<String> = (1..=PEERS).map(|number| format!("{}/16", router(number))).collect();
    net::addresses(&far, "eth0", &addresses.iter().map(String::as_str).collect::<Vec<_>>());
    (near, far)
}

fn router(number: u8) -> IpAddr {
    [10, 88, 1, number].into()
}

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 88, 0, 2));
const COUNT: u32 = 100_000;
const PEERS: u8 = 4;
const ENCODED: u32 = 50;
const OF: &str = "100,000 /32";
const FEEDER_AS: u32 = 65003;
