//! Packets that no well-behaved neighbour sends, on a real wire.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use vipcast::bfd::{Counted, Report, Trouble};
use vipcast_proto::bfd::rejected::Rejected;
use vipcast_proto::bfd::session::Verdict;
use vipcast_proto::bfd::types::{DetectMult, Diagnostic, Discriminator, Interval, State};
use vipcast_proto::bfd::wire::{DecodeError, Packet, encode};

use crate::bed::{Bed, Family, SOON, timers, towards_the_node, wait, wait_report, wait_up};
use crate::support::{Needs, Test, trial};

pub(crate) fn all() -> Vec<Test> {
    let case = |name, body: fn()| trial(name, &[Needs::Root], body);
    vec![
        case("a_packet_from_behind_a_router_is_not_believed", a_packet_from_behind_a_router_is_not_believed),
        case("padding_is_accepted_and_rubbish_counted", padding_is_accepted_and_rubbish_counted),
        case("a_session_may_be_begun_before_the_one_that_it_replaces_is_removed", replaced),
        case("a_port_that_is_taken_is_said_and_waited_for", a_port_that_is_taken_is_said_and_waited_for),
        case("an_interface_that_comes_later_is_waited_for", an_interface_that_comes_later_is_waited_for),
    ]
}

/// A socket of the router, towards the node's port.
struct Stranger(Socket);

impl Stranger {
    fn new(bed: &Bed, family: Family, ttl: u32) -> Self {
        let to = SocketAddr::new(family.of(bed.node()), 3784);
        let open = || {
            let domain = Domain::for_address(to);
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            if to.is_ipv4() { socket.set_ttl_v4(ttl) } else { socket.set_unicast_hops_v6(ttl) }.unwrap();
            socket.connect(&to.into()).unwrap();
            socket
        };
        Self(bed.router().namespace.run(open).unwrap())
    }

    fn send(&self, octets: &[u8]) {
        // The node may have answered a packet before with "port unreachable".
        let sent = self.0.send(octets).or_else(|_| self.0.send(octets));
        assert_eq!(sent.unwrap(), octets.len());
    }
}

/// What a neighbour says first.
fn hello() -> Packet {
    Packet {
        diagnostic: Diagnostic::None,
        state: State::Down,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        authenticated: false,
        demand: false,
        detect_mult: DetectMult::new(3).unwrap(),
        my_discriminator: Discriminator::new(7).unwrap(),
        your_discriminator: None,
        desired_min_tx: Some(Interval::SECOND),
        required_min_rx: Some(Interval::SECOND),
        required_min_echo_rx: None,
    }
}

fn wait_rejected(bed: &Bed, reason: Rejected, times: u64) -> Counted {
    let counted = || bed.bfd.stats().counted();
    wait(
        || format!("{reason:?}: {:?}", counted()),
        SOON,
        || Some(counted()).filter(|counted| counted.rejected[reason.index()] >= times),
    )
}

/// Sent before every packet that must do nothing: the port is open once a session speaks.
fn wait_listening(bed: &Bed) {
    wait(|| "the first packet".to_owned(), SOON, || (bed.bfd.stats().counted().sent > 0).then_some(()));
}

fn a_packet_from_behind_a_router_is_not_believed() {
    for family in [Family::V4, Family::V6] {
        let bed = Bed::new();
        let session = bed.session(family, timers(100, 100, 3));
        wait_listening(&bed);
        for ttl in [254, 64, 1] {
            Stranger::new(&bed, family, ttl).send(&encode(&hello()));
        }
        wait_rejected(&bed, Rejected::TimeToLive, 3);
        assert_eq!(session.report().status.state, State::Down);
        Stranger::new(&bed, family, 255).send(&encode(&hello()));
        wait_report("a neighbour is believed", &session.reports(), |r| r.status.state == State::Init);
    }
}

fn padding_is_accepted_and_rubbish_counted() {
    let bed = Bed::new();
    let session = bed.session(Family::V4, timers(100, 100, 3));
    wait_listening(&bed);
    let stranger = Stranger::new(&bed, Family::V4, 255);
    stranger.send(b"");
    // By the look of it a poll of somebody who is administratively down.
    stranger.send(&[0x20; 1400]);
    stranger.send(&encode(&hello())[..23]);
    stranger.send(&encode(&Packet { your_discriminator: Discriminator::new(1), ..hello() }));
    stranger.send(&encode(&Packet { state: State::Up, ..hello() }));
    wait_rejected(&bed, Rejected::State, 1);
    let counted = bed.bfd.stats().counted();
    let seen = |reason: Rejected| counted.rejected[reason.index()];
    assert_eq!(
        [
            seen(Rejected::Decode(DecodeError::Version)),
            seen(Rejected::Decode(DecodeError::Truncated)),
            seen(Rejected::YourDiscriminator),
            seen(Rejected::State),
        ],
        [1, 1, 2, 1],
        "{counted:?}"
    );
    assert_eq!(counted.received, 0);
    let mut padded = encode(&hello()).to_vec();
    padded.resize(60, 0xff);
    stranger.send(&padded);
    wait_report("padding is none of our business", &session.reports(), |r| r.status.state == State::Init);
}

fn replaced() {
    let bed = Bed::new();
    let peer = crate::bed::start(bed.router());
    let other = peer.add(towards_the_node(&bed, Family::V4)).unwrap();
    let old = bed.session(Family::V4, timers(100, 100, 3));
    wait_up(&old);
    wait_up(&other);
    let new = bed.session(Family::V4, timers(200, 200, 3));
    let waits = |report: &Report| report.trouble == Some(Trouble::Overlaps);
    wait_report("it waits", &new.reports(), waits);
    assert_eq!(old.report().status.verdict, Verdict::Up);
    drop(old);
    assert_eq!(wait_up(&new).trouble, None);
    wait_up(&other);
    assert_eq!(other.report().status.failures, 0, "the old one said good-bye");
}

fn a_port_that_is_taken_is_said_and_waited_for() {
    let bed = Bed::new();
    let other = bed.node().namespace.run(|| std::net::UdpSocket::bind("0.0.0.0:3784").unwrap()).unwrap();
    let session = bed.session(Family::V4, timers(100, 100, 3));
    let expected = Some(Trouble::Listen { port: 3784, errno: libc::EADDRINUSE });
    let report = wait_report("it is said", &session.reports(), |report| report.trouble.is_some());
    assert_eq!(report.trouble, expected);
    assert_eq!(
        report.trouble.unwrap().to_string(),
        "cannot receive on UDP port 3784: Address already in use (os error 98)"
    );
    drop(other);
    wait_report("the port is free", &session.reports(), |report| report.trouble.is_none());
}

fn an_interface_that_comes_later_is_waited_for() {
    let bed = Bed::new();
    let peer = crate::bed::start(bed.router());
    let rename = |host: &vipcast::demo::lab::lan::Host, script: &str| {
        let run = || std::process::Command::new("sh").args(["-ec", script]).status().unwrap();
        assert!(host.namespace.run(run).unwrap().success(), "{script}");
    };
    rename(bed.node(), "ip link set eth0 down; ip link set eth0 name later0; ip link set later0 up");
    let session = bed.session(Family::LinkLocal, timers(100, 100, 3));
    let report = wait_report("it is said", &session.reports(), |report| report.trouble.is_some());
    assert_eq!(report.trouble, Some(Trouble::NoInterface));
    rename(bed.node(), "ip link set later0 down; ip link set later0 name eth0; ip link set eth0 up");

    let other = peer.add(towards_the_node(&bed, Family::LinkLocal)).unwrap();
    wait_up(&session);
    wait_up(&other);
    assert_eq!(session.report().status.verdict, Verdict::Up);
    assert_eq!(session.report().trouble, None);
}
