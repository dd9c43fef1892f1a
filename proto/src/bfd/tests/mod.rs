//! What sessions do, case by case.

mod engine;
mod matrix;
mod poll;
mod timers;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::session::{Config, Session, Tick};
use super::types::{DetectMult, Diagnostic, Discriminator, Interval, State};
use super::wire::Packet;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(millis: u64) -> Instant {
    *START + ms(millis)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn interval(millis: u64) -> Interval {
    Interval::from_duration(ms(millis)).unwrap()
}

fn config(tx: u64, rx: u64, detect_mult: u8) -> Config {
    let detect_mult = DetectMult::new(detect_mult).unwrap();
    Config { desired_min_tx: interval(tx), required_min_rx: interval(rx), detect_mult }
}

const OURS: u32 = 1;
const THEIRS: u32 = 2;

/// Ours: 300 ms both ways, three times.
fn session() -> Session {
    with(config(300, 300, 3))
}

fn with(config: Config) -> Session {
    Session::new(at(0), Discriminator::new(OURS).unwrap(), config, 7)
}

/// Theirs: slow, and patient enough for every test.
fn from_remote(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::None,
        state,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        authenticated: false,
        demand: false,
        detect_mult: DetectMult::new(200).unwrap(),
        my_discriminator: Discriminator::new(THEIRS).unwrap(),
        your_discriminator: Discriminator::new(OURS),
        desired_min_tx: Some(Interval::SECOND),
        required_min_rx: Some(interval(1)),
        required_min_echo_rx: None,
    }
}

/// Received as soon as it arrived.
fn hear(session: &mut Session, now: Instant, packet: Packet) -> Option<Packet> {
    session.receive(now, now, &packet)
}

/// Up, with a Poll Sequence that tells of the fast timers under way.
fn up(config: Config) -> Session {
    let mut session = with(config);
    assert!(hear(&mut session, at(0), from_remote(State::Down)).is_some());
    assert!(hear(&mut session, at(0), from_remote(State::Up)).is_some());
    session
}

/// Up, and the other side has confirmed the timers.
fn settled(config: Config) -> Session {
    let mut session = up(config);
    hear(&mut session, at(0), Packet { is_final: true, ..from_remote(State::Up) });
    hear(&mut session, at(0), from_remote(State::Up));
    session
}

/// Everything that is sent until then, by a driver that is never late.
fn sent_until(session: &mut Session, end: Instant) -> Vec<(Instant, Packet)> {
    let mut sent = Vec::new();
    while let Some(due) = session.deadline().filter(|&due| due <= end) {
        let Tick { packet, excused } = session.tick(due, Duration::ZERO);
        assert!(!excused);
        sent.extend(packet.map(|packet| (due, packet)));
    }
    sent
}

fn gaps(sent: &[(Instant, Packet)]) -> Vec<Duration> {
    sent.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
}
