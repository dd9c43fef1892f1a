//! A hundred thousand routes: how long until a router has them, in how many octets, and what it costs to have them.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use vipcast::clock;
use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;

use super::announcer;
use super::counter::{self, Heard};
use super::net::{self, Net};
use super::page::{Row, millis};
use super::plan::{ROUTER_AS, SPEAKER_AS};
use super::router::{Brand, Router};
use super::setup::{Family, Peer, Setup};
use super::wait::{SOON, resident, wait};

pub(crate) fn measure() -> Vec<Row> {
    let heard = count();
    let (ours, gobgp, bird) = (arrival(Who::Vipcast), arrival(Who::GoBgp), arrival(Who::Bird));
    let what = format!("{COUNT} /32 to one BIRD");
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    vec![
        Row::millis(format!("{what}: first to last route seen"), ours.span)
            .beside("GoBGP", millis(gobgp.span))
            .beside("BIRD", millis(bird.span))
            .at_most_of("GoBGP"),
        Row::new(format!("{what}: UPDATEs"), "", heard.updates as f64).at_most(124.0),
        Row::new(format!("{what}: octets"), "", heard.octets as f64).at_most(505_332.0 * 1.01),
        Row::millis(format!("{COUNT} /32 to a router that only counts: first to last UPDATE"), heard.span),
        Row::new(format!("memory with {COUNT} routes and {PEERS} peers"), "MiB", mib(ours.memory))
            .beside("GoBGP", mib(gobgp.memory))
            .beside("BIRD", mib(bird.memory))
            .at_most(20.0),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Vipcast,
    GoBgp,
    Bird,
}

struct Arrival {
    span: Duration,
    memory: u64,
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
    let counting = thread::spawn(move || counter::hear(&listener));
    let _announcer = vipcast(&near, 1);
    counting.join().unwrap()
}

/// The time is one router's; the memory is with all of them.
fn arrival(who: Who) -> Arrival {
    let span = announced(who, 1, |far, _| {
        let has = || far.count(Family::V4);
        wait("the first route", SOON * 4, || (has() > 0).then_some(()));
        let first = clock::now();
        // Asked without a pause: the figure is small.
        while has() < COUNT as usize {
            assert!(clock::now() < first + SOON, "the router has {} routes", has());
        }
        clock::now() - first
    });
    let memory = announced(who, PEERS, |far, announcer| {
        let all = COUNT as usize * usize::from(PEERS);
        wait("every session has every route", SOON * 4, || (far.count(Family::V4) == all).then_some(()));
        announcer.resident()
    });
    Arrival { span, memory }
}

fn announced<T>(who: Who, sessions: u8, measure: impl FnOnce(&Router, &Announcer) -> T) -> T {
    let (near, far) = wired();
    let mut setup =
        Setup::new(ROUTER_AS, [10, 88, 0, 1], (1..=sessions).map(|number| waiting(number)).collect());
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
    (Arc::clone(&near), far)
}

fn router(number: u8) -> IpAddr {
    [10, 88, 1, number].into()
}

const OURS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 88, 0, 2));
const COUNT: u32 = 100_000;
const PEERS: u8 = 4;
const FEEDER_AS: u32 = 65003;
