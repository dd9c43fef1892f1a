//! Every malformed message over TCP: the daemon dials a peer that sends one, and its answer is compared octet by octet.
//! What must not end a session comes in one session after the other, and the route stays in it.

mod others;
mod side;
#[path = "../../../proto/tests/bgp_malformed/cases/mod.rs"]
mod table;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::mpsc;

use self::side::Side;
use self::table::{Answer, Case, Place, Session, State, all};
use super::daemon::Daemon;
use super::net;
use super::setup::{Family, Peer, Setup};
use super::support::{Needs, Test, trial};
use super::wait::SOON;

pub(crate) fn tests() -> Vec<Test> {
    let needs = [Needs::Root, Needs::Program("ip")];
    let own = trial("malformed::every_case_is_answered_right", &needs, every_case);
    [vec![own], others::tests()].into_iter().flatten().collect()
}

/// Cases by the peer that sends them.
type Peers = BTreeMap<Ipv4Addr, Vec<Case>>;

fn every_case() {
    let mut peers = peers(all());
    let net = net::net();
    net::addresses(&net, "lo", &["10.88.0.2/32", "10.90.0.1/16"]);
    let (accepted, connections) = mpsc::channel();
    let accept = move |listener: TcpListener| {
        // As they come, so that none waits for the kernel: its queue is short.
        for stream in listener.incoming().map_while(Result::ok) {
            if accepted.send(stream).is_err() {
                return;
            }
        }
    };
    net.spawn("peers", || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 179)), accept).unwrap();
    let daemon = Daemon::start(&net, &setup(&peers));
    let (mut count, mut wrong, mut survivors) = (0, Vec::new(), Vec::new());
    while !peers.is_empty() {
        let stream = connections.recv_timeout(SOON).unwrap_or_else(|_| panic!("{}", daemon.complaint()));
        let Ok(IpAddr::V4(address)) = stream.local_addr().map(|address| address.ip()) else { continue };
        // Those who have had their say are dialled again and again.
        let Some(cases) = peers.remove(&address) else { continue };
        let mut side = Side::new(stream);
        wrong.extend(play(&mut side, address, &cases));
        count += cases.len();
        survivors.push(side);
    }
    println!("{} of {count} are answered right", count - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for session in SURVIVORS {
        assert!(daemon.is_established(survivor(session).into()), "{session:?}");
    }
}

fn setup(peers: &Peers) -> Setup {
    let peers = peers.iter().map(|(address, cases)| peer(*address, cases[0].session));
    let mut setup = Setup::new(table::session::SPEAKER_AS.into(), SPEAKER.octets(), peers.collect());
    setup.routes = vec!["192.0.2.1/32".parse().unwrap()];
    setup
}

/// One for each case that ends a session or begins one; one for all others of a kind.
fn peers(cases: Vec<Case>) -> Peers {
    let mut peers = Peers::new();
    for (number, case) in (0_u16..).zip(cases) {
        let stays = case.state == State::Established && matches!(case.answer, Answer::Nothing(_));
        let own = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 90, 1, 0)) + u32::from(number));
        let address = if stays { survivor(case.session) } else { own };
        peers.entry(address).or_default().push(case);
    }
    peers
}

fn survivor(session: Session) -> Ipv4Addr {
    let number = SURVIVORS.iter().position(|one| *one == session).unwrap();
    Ipv4Addr::new(10, 90, 0, 2 + number as u8)
}

fn peer(address: Ipv4Addr, session: Session) -> Peer {
    let mut peer = Peer::new(SPEAKER.into(), address.into(), session.system().into());
    peer.hold = 90;
    if session == Session::Ipv6 {
        peer.families = [Family::V6].into();
    }
    peer
}

/// What is wrong with each.
fn play(side: &mut Side, address: Ipv4Addr, cases: &[Case]) -> Vec<String> {
    let mut reached = side.reach(&cases[0], &place(address, cases[0].session));
    let mut wrong = Vec::new();
    for case in cases {
        let place = place(address, case.session);
        if reached.is_ok() {
            let heard = side.deliver(case, &place);
            if heard.answers(case, &place) {
                continue;
            }
            reached = Err(format!("{:?}, but {heard:?}", case.answer));
        }
        // What comes after it is not sent.
        let why = reached.as_ref().err().map_or("", String::as_str);
        wrong.push(format!("RFC {}: {}: {why}", case.rfc, case.what));
    }
    wrong
}

fn place(address: Ipv4Addr, session: Session) -> Place {
    Place { route: [24, 198, 18, 1], sender: address, identifier: SPEAKER, system: session.system() }
}

const SPEAKER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 2);
const SURVIVORS: [Session; 5] = [
    Session::External,
    Session::Internal,
    Session::TwoOctets,
    Session::TwoOctetsInternal,
    Session::PlainRefresh,
];
