//! Whose packet it is, in which order that is decided, and what becomes of removed sessions.

use std::net::IpAddr;

use super::super::engine::{Action, AddError, Admin, Engine, SessionId};
use super::super::path::{Arrival, Hops, Interface, Path, Port};
use super::super::rejected::Rejected;
use super::super::wire::{DecodeError, encode};
use super::*;

const ROUTER: &str = "192.0.2.1";

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn path(remote: &str) -> Path {
    Path { remote: ip(remote), local: None, interface: None, hops: Hops::Single }
}

fn arrival(source: &str) -> Arrival {
    Arrival {
        at: at(0),
        source: ip(source),
        destination: ip("192.0.2.9"),
        interface: None,
        ttl: Some(255),
        port: Port::SingleHop,
    }
}

fn hello() -> Packet {
    Packet { your_discriminator: None, ..from_remote(State::Down) }
}

struct Bed {
    engine: Engine,
    actions: Vec<Action>,
}

impl Bed {
    fn with(paths: &[Path]) -> Self {
        let mut bed = Self { engine: Engine::new(1), actions: Vec::new() };
        for (path, id) in paths.iter().zip(1..) {
            bed.add(id, *path).unwrap();
        }
        bed.actions.clear();
        bed
    }

    fn add(&mut self, id: u64, path: Path) -> Result<(), AddError> {
        self.engine.add(at(0), SessionId(id), path, config(300, 300, 3), &mut self.actions)
    }

    fn receive(&mut self, arrival: &Arrival, octets: &[u8]) -> Result<(), Rejected> {
        self.engine.receive(at(0), arrival, octets, &mut self.actions)
    }

    /// Which session took the packet, by the answer that it gives.
    fn takes(&mut self, arrival: &Arrival, packet: Packet) -> Result<u64, Rejected> {
        self.actions.clear();
        self.receive(arrival, &encode(&Packet { poll: true, ..packet }))?;
        Ok(self.sent()[0].0)
    }

    fn sent(&self) -> Vec<(u64, Packet)> {
        let sent = |action: &Action| match action {
            Action::Send(id, packet) => Some((id.0, *packet)),
            Action::Tell(..) | Action::Gone(_) => None,
        };
        self.actions.iter().filter_map(sent).collect()
    }

    fn gone(&self) -> Vec<u64> {
        let gone = |action: &Action| match action {
            Action::Gone(id) => Some(id.0),
            Action::Tell(..) | Action::Send(..) => None,
        };
        self.actions.iter().filter_map(gone).collect()
    }

    /// Ticks at every deadline until then.
    fn run_until(&mut self, end: Instant) {
        while let Some(due) = self.engine.deadline().filter(|&due| due <= end) {
            assert_eq!(self.engine.tick(due, &mut self.actions), Some(Duration::ZERO));
        }
    }

    /// The discriminator that a session calls its own.
    fn discriminator(&mut self, source: &str) -> Discriminator {
        self.takes(&arrival(source), hello()).unwrap();
        self.sent()[0].1.my_discriminator
    }
}

/// RFC 5880 §6.8.6, "in the order specified": a packet with every fault, which are mended one by one.
#[test]
fn a_packet_is_discarded_for_the_first_fault_in_the_order_of_the_rfc() {
    let mut bed = Bed::with(&[path(ROUTER)]);
    let stranger = Arrival { ttl: Some(254), ..arrival("192.0.2.77") };
    let mut octets = encode(&hello()).to_vec();
    let mut faults = Vec::new();
    let reason = |octets: &[u8], arrival: &Arrival, bed: &mut Bed| bed.receive(arrival, octets).unwrap_err();

    // Version 0, length 9, no multiplier, authenticated multipoint in Up, discriminators: zero and unknown.
    octets[..4].copy_from_slice(&[0x00, 0xc5, 0, 9]);
    octets[4..8].fill(0);
    octets[8..12].fill(0xff);
    faults.push(reason(&octets, &stranger, &mut bed));
    octets[0] = 0x20;
    faults.push(reason(&octets, &stranger, &mut bed));
    octets[3] = 26;
    faults.push(reason(&octets, &stranger, &mut bed));
    octets.extend([1, 2]);
    faults.push(reason(&octets, &stranger, &mut bed));
    octets[2] = 3;
    faults.push(reason(&octets, &stranger, &mut bed));
    octets[1] = 0xc4;
    faults.push(reason(&octets, &stranger, &mut bed));
    octets[7] = 5;
    faults.push(reason(&octets, &stranger, &mut bed));
    octets[8..12].fill(0);
    faults.push(reason(&octets, &stranger, &mut bed));
    octets[1] = 0x44;
    faults.push(reason(&octets, &stranger, &mut bed));
    let known = Arrival { ttl: Some(254), ..arrival(ROUTER) };
    faults.push(reason(&octets, &known, &mut bed));
    octets[1] = 0x40;
    faults.push(reason(&octets, &known, &mut bed));
    assert_eq!(
        faults,
        [
            Rejected::Decode(DecodeError::Version),
            Rejected::Decode(DecodeError::Length),
            Rejected::Decode(DecodeError::Truncated),
            Rejected::Decode(DecodeError::DetectMult),
            Rejected::Decode(DecodeError::Multipoint),
            Rejected::Decode(DecodeError::MyDiscriminator),
            Rejected::YourDiscriminator,
            Rejected::State,
            Rejected::NoSession,
            Rejected::Authenticated,
            Rejected::TimeToLive,
        ]
    );
    assert_eq!(faults, Rejected::ALL);
    assert!(bed.actions.is_empty(), "nothing of it was seen by a session: {:?}", bed.actions);
    assert_eq!(bed.receive(&arrival(ROUTER), &octets), Ok(()));
    assert_eq!(bed.sent()[0].1.state, State::Init);
}

#[test]
fn first_packets_are_known_by_source_port_interface_and_destination() {
    let link = "fe80::1";
    let on = |interface| Path { interface: Some(Interface(interface)), ..path(link) };
    let multihop = Path { hops: Hops::Multiple { minimum_ttl: 250 }, ..path(ROUTER) };
    let to = |local: &str| Path { local: Some(ip(local)), ..path("192.0.2.2") };
    let paths = [path(ROUTER), multihop, on(3), on(4), to("192.0.2.9"), to("192.0.2.10")];
    let mut bed = Bed::with(&paths);
    let came_in = |interface| Arrival { interface: Some(Interface(interface)), ..arrival(link) };
    let from_afar = Arrival { port: Port::MultiHop, ttl: Some(251), ..arrival(ROUTER) };
    assert_eq!(bed.takes(&arrival(ROUTER), hello()), Ok(1));
    assert_eq!(bed.takes(&from_afar, hello()), Ok(2));
    assert_eq!(bed.takes(&came_in(3), hello()), Ok(3));
    assert_eq!(bed.takes(&came_in(4), hello()), Ok(4));
    assert_eq!(bed.takes(&came_in(5), hello()), Err(Rejected::NoSession));
    assert_eq!(bed.takes(&arrival(link), hello()), Err(Rejected::NoSession));
    assert_eq!(bed.takes(&arrival("192.0.2.2"), hello()), Ok(5));
    let other = Arrival { destination: ip("192.0.2.10"), ..arrival("192.0.2.2") };
    assert_eq!(bed.takes(&other, hello()), Ok(6));
    assert_eq!(bed.takes(&arrival("192.0.2.3"), hello()), Err(Rejected::NoSession));
}

/// "The source address field can change or the interface over which the packets are received can change, but the packets will
/// still be associated with the proper session" (RFC 5880 §6.3).
#[test]
fn later_packets_are_known_by_our_discriminator_alone_but_only_on_their_port() {
    let mut bed = Bed::with(&[path(ROUTER), path("192.0.2.2")]);
    let ours = bed.discriminator("192.0.2.2");
    let known = Packet { your_discriminator: Some(ours), ..from_remote(State::Init) };
    assert_eq!(bed.takes(&arrival(ROUTER), known), Ok(2));
    assert_eq!(bed.takes(&arrival("198.51.100.1"), known), Ok(2));
    let elsewhere = Arrival { port: Port::MultiHop, ..arrival("192.0.2.2") };
    assert_eq!(bed.takes(&elsewhere, known), Err(Rejected::YourDiscriminator));
    let guessed = Discriminator::new(ours.number() ^ 1);
    assert_eq!(
        bed.takes(&arrival("192.0.2.2"), Packet { your_discriminator: guessed, ..known }),
        Err(Rejected::YourDiscriminator)
    );
}

#[test]
fn a_neighbour_s_packet_has_a_ttl_of_255_however_it_is_known() {
    let multihop = Path { hops: Hops::Multiple { minimum_ttl: 250 }, ..path("192.0.2.2") };
    let mut bed = Bed::with(&[path(ROUTER), multihop]);
    let ours = bed.discriminator(ROUTER);
    let known = Packet { your_discriminator: Some(ours), ..from_remote(State::Init) };
    for ttl in [None, Some(0), Some(1), Some(254)] {
        let near = Arrival { ttl, ..arrival(ROUTER) };
        assert_eq!(bed.takes(&near, hello()), Err(Rejected::TimeToLive));
        assert_eq!(bed.takes(&near, known), Err(Rejected::TimeToLive));
    }
    for (ttl, expected) in [(None, false), (Some(249), false), (Some(250), true), (Some(255), true)] {
        let far = Arrival { port: Port::MultiHop, ttl, ..arrival("192.0.2.2") };
        assert_eq!(bed.takes(&far, hello()).is_ok(), expected, "{ttl:?}");
    }
}

#[test]
fn paths_that_a_packet_cannot_tell_apart_are_refused() {
    let on = |interface| Path { interface: Some(Interface(interface)), ..path(ROUTER) };
    let mut bed = Bed::with(&[on(3)]);
    assert_eq!(bed.add(1, on(4)), Err(AddError::Known));
    assert_eq!(bed.add(2, on(3)), Err(AddError::Overlaps(SessionId(1))));
    assert_eq!(bed.add(2, path(ROUTER)), Err(AddError::Overlaps(SessionId(1))));
    assert_eq!(bed.add(2, on(4)), Ok(()));
    assert_eq!(bed.add(3, Path { hops: Hops::Multiple { minimum_ttl: 1 }, ..path(ROUTER) }), Ok(()));
}

#[test]
fn a_removed_session_says_admin_down_for_a_detection_time_of_the_other_side_and_is_gone() {
    let mut bed = Bed::with(&[path(ROUTER)]);
    bed.receive(&arrival(ROUTER), &encode(&hello())).unwrap();
    bed.run_until(at(500));
    bed.actions.clear();
    bed.engine.remove(at(500), SessionId(1), &mut bed.actions);
    // Three times a second, as it is not Up.
    bed.run_until(at(3499));
    assert!(bed.gone().is_empty());
    let sent = bed.sent();
    let told = |(_, packet): &(u64, Packet)| {
        (packet.state, packet.diagnostic) == (State::AdminDown, Diagnostic::AdministrativelyDown)
    };
    assert!((3..=4).contains(&sent.len()) && sent.iter().all(told), "{sent:?}");
    assert_eq!(bed.takes(&arrival(ROUTER), hello()), Err(Rejected::NoSession));
    bed.run_until(at(3500));
    assert_eq!(bed.gone(), [1]);
    assert!(bed.engine.is_empty() && bed.engine.deadline().is_none());
}

#[test]
fn a_session_that_nobody_answered_is_gone_at_once() {
    let mut bed = Bed::with(&[path(ROUTER)]);
    bed.engine.remove(at(0), SessionId(1), &mut bed.actions);
    assert_eq!(bed.actions, [Action::Gone(SessionId(1))]);
    assert!(bed.engine.is_empty());
}

#[test]
fn a_new_session_on_the_path_of_a_leaving_one_takes_its_place() {
    let mut bed = Bed::with(&[path(ROUTER)]);
    let old = bed.discriminator(ROUTER);
    bed.engine.remove(at(0), SessionId(1), &mut bed.actions);
    bed.actions.clear();
    bed.add(2, path(ROUTER)).unwrap();
    assert_eq!(bed.gone(), [1]);
    assert_eq!(bed.takes(&arrival(ROUTER), hello()), Ok(2));
    let late = Packet { your_discriminator: Some(old), ..from_remote(State::Up) };
    assert_eq!(bed.takes(&arrival(ROUTER), late), Err(Rejected::YourDiscriminator));
    assert_eq!(bed.engine.ids().collect::<Vec<_>>(), [SessionId(2)]);
}

#[test]
fn the_owner_is_told_what_is_new_and_nothing_else() {
    let mut bed = Bed::with(&[path(ROUTER)]);
    let told = |bed: &Bed| {
        let told = |action: &Action| match action {
            Action::Tell(_, status) => Some((status.state, status.remote_state)),
            Action::Send(..) | Action::Gone(_) => None,
        };
        bed.actions.iter().filter_map(told).collect::<Vec<_>>()
    };
    bed.receive(&arrival(ROUTER), &encode(&hello())).unwrap();
    assert_eq!(told(&bed), [(State::Init, State::Down)]);
    bed.receive(&arrival(ROUTER), &encode(&hello())).unwrap();
    assert_eq!(told(&bed).len(), 1);
    let id = SessionId(1);
    bed.engine.admin(at(0), id, Admin::Down, &mut bed.actions);
    bed.engine.admin(at(0), id, Admin::Down, &mut bed.actions);
    bed.engine.admin(at(0), id, Admin::Up, &mut bed.actions);
    bed.engine.configure(at(0), id, config(300, 300, 3), &mut bed.actions);
    let expected = [State::Init, State::AdminDown, State::Down].map(|state| (state, State::Down));
    assert_eq!(told(&bed), expected);
    assert_eq!(bed.sent().len(), 3);
}

#[test]
fn discriminators_are_never_zero_and_never_alike() {
    let paths: Vec<Path> = (0..=255).map(|host| path(&format!("192.0.2.{host}"))).collect();
    let mut bed = Bed::with(&paths);
    bed.run_until(at(100));
    let mut seen: Vec<u32> = bed.sent().iter().map(|(_, packet)| packet.my_discriminator.number()).collect();
    assert_eq!(seen.len(), 256);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 256);
    assert!(seen[255] - seen[0] > u32::MAX / 2, "not simply counted");
}

#[test]
fn lateness_is_told_and_a_stall_is_counted_once_for_all_sessions() {
    let mut bed = Bed::with(&[path(ROUTER), path("192.0.2.2")]);
    let fast =
        Packet { detect_mult: DetectMult::new(3).unwrap(), desired_min_tx: Some(interval(300)), ..hello() };
    for source in [ROUTER, "192.0.2.2"] {
        bed.receive(&arrival(source), &encode(&fast)).unwrap();
    }
    assert_eq!(bed.engine.tick(at(0), &mut bed.actions), None, "nothing is due");
    bed.actions.clear();
    let lateness = bed.engine.tick(at(5000), &mut bed.actions).unwrap();
    assert!((ms(4100)..=ms(5000)).contains(&lateness), "{lateness:?}");
    assert_eq!(bed.engine.stalls(), 1);
    assert!(bed.sent().iter().all(|(_, packet)| packet.state == State::Init), "{:?}", bed.actions);
    bed.run_until(at(5300));
    assert_eq!(bed.sent().last().unwrap().1.state, State::Down);
    assert_eq!(bed.engine.stalls(), 1);
}

#[test]
fn many_sessions_share_awakenings_and_no_gap_is_shorter_than_jitter_permits() {
    let paths: Vec<_> = (0..250).map(|last: u8| path(&format!("192.0.2.{last}"))).collect();
    let mut bed = Bed::with(&paths);
    let (mut awakenings, mut packets) = (0, 0);
    let mut last = std::collections::BTreeMap::new();
    while let Some(due) = bed.engine.deadline().filter(|&due| due <= at(60_000)) {
        bed.actions.clear();
        bed.engine.tick(due, &mut bed.actions);
        awakenings += 1;
        for (id, _) in bed.sent() {
            packets += 1;
            if let Some(before) = last.insert(id, due) {
                // Nobody has answered: a packet a second.
                assert!((ms(750)..=ms(1000)).contains(&(due - before)), "{:?}", due - before);
            }
        }
    }
    assert!(awakenings * 3 < packets * 2, "{awakenings} for {packets} packets");
}
