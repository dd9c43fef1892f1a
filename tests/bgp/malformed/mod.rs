//! Every malformed message over TCP: the daemon dials a peer that sends one, and its answer is compared octet by octet.
//! What must not end a session comes in one session after the other, and the route stays in it.

mod side;
#[path = "../../../proto/tests/bgp_malformed/cases/mod.rs"]
mod table;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::mpsc;

pub(crate) use self::side::{Heard, Side};
pub(crate) use self::table::{Answer, Case, Place, Session, State, all};
use super::daemon::Daemon;
use super::net;
use super::setup::{Family, Peer, Setup};
use super::support::{Needs, Test, trial};
use super::wait::SOON;

pub(crate) fn tests() -> Vec<Test> {
    let needs = [Needs::Root, Needs::Program("ip")];
    vec![trial("malformed::every_case_is_answered_right", &needs, every_case)]
}

/// Cases by the peer that sends them.
type Peers = BTreeMap<Ipv4Addr, Vec<Case>>;

fn every_case() {
    let peers = peers(all());
    let net = net::net();
    net::addresses(&net, "lo", &["10.88.0.2/32", "10.90.0.1/16"]);
    let (verdicts, outcome) = mpsc::channel();
    let script = peers.clone();
    let serve = move |listener| serve(&listener, script, &verdicts);
    net.spawn("peers", || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 179)), serve).unwrap();
    let mut setup = Setup::new(table::session::SPEAKER_AS.into(), SPEAKER.octets(), Vec::new());
    setup.peers = peers.iter().map(|(address, cases)| peer(*address, cases[0].session)).collect();
    setup.routes = vec!["192.0.2.1/32".parse().unwrap()];
    let daemon = Daemon::start(&net, &setup);
    let (mut count, mut wrong) = (0, Vec::new());
    for _ in 0..peers.values().map(Vec::len).sum::<usize>() {
        let verdict = outcome.recv_timeout(SOON * 2).unwrap_or_else(|_| panic!("{}", daemon.complaint()));
        count += 1;
        wrong.extend(verdict);
    }
    println!("{} of {count} are answered right", count - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for session in SURVIVORS {
        assert!(daemon.is_established(survivor(session).into()), "{session:?}");
    }
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

/// Connections as they come; none is refused, so that nobody waits for its peer.
fn serve(listener: &TcpListener, mut peers: Peers, verdicts: &mpsc::Sender<Option<String>>) {
    let mut survivors = Vec::new();
    for stream in listener.incoming().map_while(Result::ok) {
        let Ok(IpAddr::V4(address)) = stream.local_addr().map(|address| address.ip()) else { continue };
        // It has had its say.
        let Some(cases) = peers.remove(&address) else { continue };
        let mut side = Side::new(stream);
        play(&mut side, address, &cases, verdicts);
        survivors.push(side);
    }
}

/// The verdict on each: what is wrong with it.
fn play(side: &mut Side, address: Ipv4Addr, cases: &[Case], verdicts: &mpsc::Sender<Option<String>>) {
    let mut reached = side.reach(&cases[0], &place(address, cases[0].session));
    for case in cases {
        let place = place(address, case.session);
        let verdict = match &reached {
            Err(why) => Some(why.clone()),
            Ok(()) => {
                let heard = side.deliver(case, &place);
                let right = heard.answers(case, &place);
                if !right && cases.len() > 1 {
                    reached = Err(format!("not after {heard:?}"));
                }
                (!right).then(|| format!("{:?}, but {heard:?}", case.answer))
            }
        };
        let named = verdict.map(|why| format!("RFC {}: {}: {why}", case.rfc, case.what));
        if verdicts.send(named).is_err() {
            return;
        }
    }
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
