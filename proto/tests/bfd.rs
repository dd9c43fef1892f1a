//! What holds of BFD after any sequence of events, and between two systems over a link that loses packets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use vipcast_proto::bfd::engine::{Action, Admin, Engine, SessionId};
use vipcast_proto::bfd::path::{Arrival, Hops, Path, Port};
use vipcast_proto::bfd::session::{Config, Status, Verdict};
use vipcast_proto::bfd::types::{DetectMult, Diagnostic, Discriminator, Interval, State};
use vipcast_proto::bfd::wire::{Packet, decode, encode};

/// Two systems, a cable, and what is under way on it.
struct Link {
    sides: [Side; 2],
    now: Instant,
    delay: Duration,
    /// Of a hundred packets.
    loss: u64,
    random: u64,
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
}

struct Side {
    engine: Engine,
    address: IpAddr,
    status: Status,
    /// When the status was told.
    since: Instant,
}

impl Link {
    fn new(configs: [Config; 2], delay: Duration, seed: u64) -> Self {
        let now = start();
        let sides = [0, 1].map(|side| Side {
            engine: Engine::new(seed.wrapping_add(side)),
            address: IpAddr::from([192, 0, 2, u8::try_from(side).unwrap()]),
            status: Status::INITIAL,
            since: now,
        });
        let (random, under_way) = (seed | 1, BTreeMap::new());
        let mut link = Self { sides, now, delay, loss: 0, random, under_way, sent: 0 };
        for (side, config) in configs.into_iter().enumerate() {
            let remote = link.sides[1 - side].address;
            let path = Path { remote, local: None, interface: None, hops: Hops::Single };
            let mut actions = Vec::new();
            link.sides[side].engine.add(now, ONLY, path, config, &mut actions).unwrap();
            link.perform(side, actions);
        }
        link
    }

    fn configure(&mut self, side: usize, config: Config) {
        let mut actions = Vec::new();
        self.sides[side].engine.configure(self.now, ONLY, config, &mut actions);
        self.perform(side, actions);
    }

    /// Everything that happens within `span`, in its order and without lateness.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let delivery = self.under_way.first_key_value().map(|(&(at, _), _)| at);
            let deadlines = self.sides.each_ref().map(|side| side.engine.deadline());
            let next = delivery.into_iter().chain(deadlines.into_iter().flatten()).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            if delivery == Some(next) {
                self.deliver();
                continue;
            }
            for side in [0, 1] {
                let mut actions = Vec::new();
                self.sides[side].engine.tick(self.now, &mut actions);
                self.perform(side, actions);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        let (_, (to, octets)) = self.under_way.pop_first().unwrap();
        let arrival = Arrival {
            at: self.now,
            source: self.sides[1 - to].address,
            destination: self.sides[to].address,
            interface: None,
            ttl: Some(255),
            port: Port::SingleHop,
        };
        let mut actions = Vec::new();
        // A packet to a session that is not what it was is discarded.
        let _ = self.sides[to].engine.receive(self.now, &arrival, &octets, &mut actions);
        self.perform(to, actions);
    }

    fn perform(&mut self, side: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(_, packet) => self.send(1 - side, &packet),
                Action::Tell(_, status) => {
                    if self.sides[side].status.state != status.state {
                        self.sides[side].since = self.now;
                    }
                    self.sides[side].status = status;
                }
                Action::Gone(_) => {}
            }
        }
    }

    fn send(&mut self, to: usize, packet: &Packet) {
        self.sent += 1;
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if (self.random >> 33) % 100 >= self.loss {
            self.under_way.insert((self.now + self.delay, self.sent), (to, encode(packet).to_vec()));
        }
    }

    fn verdicts(&self) -> [Verdict; 2] {
        self.sides.each_ref().map(|side| side.status.verdict)
    }

    fn failures(&self) -> [u64; 2] {
        self.sides.each_ref().map(|side| side.status.failures)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn two_systems_agree_whatever_was_lost_before_and_notice_a_cut(
        configs in [config(), config()],
        delay in delay(),
        loss in 0_u64..95,
        seed: u64,
    ) {
        let mut link = Link::new(configs, delay, seed);
        link.loss = loss;
        link.run(20 * SECOND);
        link.loss = 0;
        // The slow rate or the configured one, and a detection time for what is left of a half-dead session.
        link.run(30 * SECOND);
        prop_assert_eq!(link.verdicts(), [Verdict::Up; 2]);
        let before = link.failures();
        link.run(30 * SECOND);
        prop_assert_eq!((link.verdicts(), link.failures()), ([Verdict::Up; 2], before), "nothing was lost");

        link.loss = 100;
        let (cut, detection_times) = (link.now, link.sides.each_ref().map(|side| side.status.detection_time.unwrap()));
        link.run(30 * SECOND);
        prop_assert_eq!(link.verdicts(), [Verdict::Failed; 2]);
        for (side, detection_time) in link.sides.iter().zip(detection_times) {
            prop_assert_eq!(side.status.diagnostic, Diagnostic::ControlDetectionTimeExpired);
            prop_assert!(side.since - cut <= detection_time + delay, "{:?}", side.since - cut);
        }
        link.loss = 0;
        link.run(5 * SECOND + delay);
        prop_assert_eq!(link.verdicts(), [Verdict::Up; 2]);
    }

    /// The point of every rule about which timer counts when.
    #[test]
    fn no_change_of_timers_is_ever_taken_for_a_failure(
        configs in [config(), config()],
        delay in delay(),
        changes in vec((0_usize..2, config(), 0_u64..3000), 1..20),
        seed: u64,
    ) {
        let mut link = Link::new(configs, delay, seed);
        link.run(5 * SECOND);
        prop_assert_eq!(link.verdicts(), [Verdict::Up; 2]);
        for (side, config, wait) in changes {
            link.configure(side, config);
            link.run(Duration::from_millis(wait));
            prop_assert_eq!((link.verdicts(), link.failures()), ([Verdict::Up; 2], [0; 2]));
        }
        link.run(20 * SECOND);
        prop_assert_eq!((link.verdicts(), link.failures()), ([Verdict::Up; 2], [0; 2]));
        // And in the end each has what the other wants.
        let polling = link.sides.each_ref().map(|side| side.status.transmit_interval.unwrap());
        prop_assert!(polling.iter().all(|interval| *interval <= SECOND));
    }
}

/// What happens to an engine next.
#[derive(Clone, Debug)]
enum Turn {
    Octets(Vec<u8>, Option<u8>),
    /// A packet that passes the first checks; the number chooses whose discriminator it has.
    Heard(Packet, u8, u64),
    Wait(Duration),
    Admin(u64, bool),
    Configure(u64, Config),
    Remove(u64),
    Add(u64, Config),
}

struct Driver {
    engine: Engine,
    now: Instant,
    known: Vec<Discriminator>,
}

impl Driver {
    fn turn(&mut self, turn: Turn) {
        let mut actions = Vec::new();
        let (now, actions_of) = (self.now, &mut actions);
        match turn {
            Turn::Octets(octets, ttl) => {
                let _ = self.engine.receive(now, &arrival(now, ttl, 0), &octets, actions_of);
                assert!(sends(&actions).count() <= 1);
            }
            Turn::Heard(packet, whose, age) => {
                let your_discriminator = self.known.get(usize::from(whose)).copied();
                let arrival = arrival(now - Duration::from_millis(age), Some(255), whose % 3);
                let octets = encode(&Packet { your_discriminator, ..packet });
                let _ = self.engine.receive(now, &arrival, &octets, actions_of);
                assert!(sends(&actions).count() <= 1);
            }
            Turn::Wait(span) => {
                self.now += span;
                self.engine.tick(self.now, actions_of);
            }
            Turn::Admin(id, true) => self.engine.admin(now, SessionId(id), Admin::Up, actions_of),
            Turn::Admin(id, false) => self.engine.admin(now, SessionId(id), Admin::Down, actions_of),
            Turn::Configure(id, config) => self.engine.configure(now, SessionId(id), config, actions_of),
            Turn::Remove(id) => self.engine.remove(now, SessionId(id), actions_of),
            Turn::Add(id, config) => {
                let remote = IpAddr::from([192, 0, 2, u8::try_from(id % 3).unwrap()]);
                let path = Path { remote, local: None, interface: None, hops: Hops::Single };
                let _ = self.engine.add(now, SessionId(id), path, config, actions_of);
            }
        }
        self.check(&actions);
    }

    fn check(&mut self, actions: &[Action]) {
        for packet in sends(actions) {
            assert_eq!(decode(&encode(packet)), Ok(*packet));
            assert!(!(packet.poll && packet.is_final));
            assert!(
                packet.state == State::Up || packet.desired_min_tx >= Some(Interval::SECOND),
                "{packet:?}"
            );
            if !self.known.contains(&packet.my_discriminator) {
                self.known.push(packet.my_discriminator);
            }
        }
        let mut more = Vec::new();
        self.engine.tick(self.now, &mut more);
        assert!(self.engine.deadline().is_none_or(|at| at > self.now), "a driver would never sleep");
    }
}

fn sends(actions: &[Action]) -> impl Iterator<Item = &Packet> {
    actions.iter().filter_map(|action| match action {
        Action::Send(_, packet) => Some(packet),
        Action::Tell(..) | Action::Gone(_) => None,
    })
}

proptest! {
    #[test]
    fn no_octets_and_no_order_of_events_surprise_an_engine(turns in vec(turn(), 1..200), seed: u64) {
        let now = start() + Duration::from_secs(3600);
        let mut driver = Driver { engine: Engine::new(seed), now, known: Vec::new() };
        for turn in turns {
            driver.turn(turn);
        }
    }

    #[test]
    fn what_is_read_is_what_was_written(octets in vec(any::<u8>(), 0..80), first in 0x20_u8..0x40, length in 20_u8..30) {
        let mut octets = octets;
        for (octet, plausible) in octets.iter_mut().zip([Some(first), None, None, Some(length)]) {
            *octet = plausible.unwrap_or(*octet);
        }
        if let Ok(packet) = decode(&octets) {
            let written = encode(&packet);
            prop_assert_eq!(decode(&written), Ok(Packet { authenticated: false, ..packet }));
            // The length and the authentication bit are all that may differ.
            prop_assert_eq!((written[0], written[2]), (octets[0], octets[2]));
            prop_assert_eq!(written[1], octets[1] & !0x04);
            prop_assert_eq!(&written[4..], &octets[4..24]);
        }
    }
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => (vec(any::<u8>(), 0..60), any::<Option<u8>>()).prop_map(|(octets, ttl)| Turn::Octets(octets, ttl)),
        8 => (packet(), 0_u8..6, 0_u64..3000).prop_map(|(packet, whose, age)| Turn::Heard(packet, whose, age)),
        6 => prop_oneof![0_u64..2, 0..400, 0..9000].prop_map(|ms| Turn::Wait(Duration::from_millis(ms))),
        1 => (0_u64..4, any::<bool>()).prop_map(|(id, up)| Turn::Admin(id, up)),
        1 => (0_u64..4, any_config()).prop_map(|(id, config)| Turn::Configure(id, config)),
        1 => (0_u64..4).prop_map(Turn::Remove),
        2 => (0_u64..4, any_config()).prop_map(|(id, config)| Turn::Add(id, config)),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    let intervals = || prop_oneof![Just(0_u32), 1_u32..1000, 1000_u32..3_000_000, any::<u32>()];
    let flags = any::<[bool; 4]>();
    (0_u8..4, 0_u8..32, flags, 1_u8.., 1_u32.., intervals(), intervals()).prop_map(
        |(state, diagnostic, [poll, is_final, demand, independent], detect_mult, my, tx, rx)| Packet {
            diagnostic: Diagnostic::from_bits(diagnostic),
            state: State::from_bits(state),
            poll,
            is_final,
            control_plane_independent: independent,
            authenticated: false,
            demand,
            detect_mult: DetectMult::new(detect_mult).unwrap(),
            my_discriminator: Discriminator::new(my).unwrap(),
            your_discriminator: None,
            desired_min_tx: Interval::from_micros(tx),
            required_min_rx: Interval::from_micros(rx),
            required_min_echo_rx: None,
        },
    )
}

/// What people configure.
fn config() -> impl Strategy<Value = Config> {
    (10_u32..1000, 10_u32..1000, 1_u8..6)
        .prop_map(|(tx, rx, detect_mult)| timers(tx * 1000, rx * 1000, detect_mult))
}

/// What can be configured.
fn any_config() -> impl Strategy<Value = Config> {
    (1_u32.., 1_u32.., 1_u8..).prop_map(|(tx, rx, detect_mult)| timers(tx, rx, detect_mult))
}

fn timers(tx: u32, rx: u32, detect_mult: u8) -> Config {
    Config {
        desired_min_tx: Interval::from_micros(tx).unwrap(),
        required_min_rx: Interval::from_micros(rx).unwrap(),
        detect_mult: DetectMult::new(detect_mult).unwrap(),
    }
}

fn delay() -> impl Strategy<Value = Duration> {
    (0_u64..100).prop_map(Duration::from_millis)
}

fn arrival(at: Instant, ttl: Option<u8>, from: u8) -> Arrival {
    Arrival {
        at,
        source: IpAddr::from([192, 0, 2, from]),
        destination: IpAddr::from([192, 0, 2, 9]),
        interface: None,
        ttl,
        port: Port::SingleHop,
    }
}

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

const ONLY: SessionId = SessionId(1);
const SECOND: Duration = Duration::from_secs(1);
