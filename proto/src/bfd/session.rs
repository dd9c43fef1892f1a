//! One session: its state, when it speaks, and when silence is too long (RFC 5880 §6.8).

use std::time::{Duration, Instant};

use super::poll::Poll;
use super::random::Random;
use super::types::{DetectMult, Diagnostic, Discriminator, Interval, State};
use super::wire::Packet;

/// What this side wants of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// `bfd.DesiredMinTxInterval` while the session is Up. Until then it is a second at least (RFC 5880 §6.8.3).
    pub desired_min_tx: Interval,
    /// `bfd.RequiredMinRxInterval`.
    pub required_min_rx: Interval,
    /// `bfd.DetectMult`: after how many missing packets the *other* side gives up. Ours for its packets is its own.
    pub detect_mult: DetectMult,
}

/// What there is to know of a session. Its owner is told whenever this changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status {
    /// `bfd.SessionState`.
    pub state: State,
    /// `bfd.LocalDiag`: why the state is what it is.
    pub diagnostic: Diagnostic,
    /// `bfd.RemoteSessionState`, as last heard.
    pub remote_state: State,
    /// The other side's reason, as last heard.
    pub remote_diagnostic: Diagnostic,
    /// The other side's BFD survives a restart of its control plane (C bit; RFC 5882 §4.3).
    pub remote_independent: bool,
    /// How many times the path has failed: Up was left, and not because one side is administratively down
    /// (RFC 5882 §4.2). Who compares it with what it was misses no failure, however short.
    pub failures: u64,
    /// How often packets are sent at present; `None`: the other side wants none.
    pub transmit_interval: Option<Duration>,
    /// The silence that means failure; `None` while nothing was heard.
    pub detection_time: Option<Duration>,
    /// What may be concluded of the path.
    pub verdict: Verdict,
}

/// What a session is good for at present (RFC 5882).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Both directions of the path work.
    Up,
    /// It has worked, and does not any more.
    Failed,
    /// It has not worked yet, or not since it was switched off: perhaps the other side does not run BFD. Whoever waits for
    /// it may wait for ever (RFC 5882 §4.1).
    Unknown,
    /// One side has switched it off: nothing may be concluded about the path (RFC 5882 §4.2).
    AdminDown,
}

/// What became of a deadline.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "the other side hears nothing until the packet is sent"]
pub struct Tick {
    /// What to send.
    pub packet: Option<Packet>,
    /// The other side was silent for too long, but so was our clock: it gets another interval.
    pub excused: bool,
}

/// A session with one system over one path.
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    local_discriminator: Discriminator,
    state: State,
    diagnostic: Diagnostic,
    remote: Remote,
    in_force: InForce,
    poll: Poll,
    failures: u64,
    /// The last time that it was Up ended with a failure.
    failed: bool,
    /// The newest packet of the other side; none since it was silent for a detection time.
    heard: Option<Instant>,
    /// Given for a stall of ours, until the next packet.
    excused_until: Option<Instant>,
    last_transmission: Transmission,
    random: Random,
}

impl Session {
    /// A session that is Down and speaks soon. `seed` spreads many of them.
    #[must_use]
    pub fn new(now: Instant, local_discriminator: Discriminator, config: Config, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let wait = Duration::from_micros(random.between(0, FIRST_WITHIN_MICROS).into());
        Self {
            config,
            local_discriminator,
            state: State::Down,
            diagnostic: Diagnostic::None,
            remote: Remote::UNKNOWN,
            in_force: InForce { desired_min_tx: slow(config.desired_min_tx), ..InForce::all_of(config) },
            poll: Poll::default(),
            failures: 0,
            failed: false,
            heard: None,
            excused_until: None,
            last_transmission: Transmission::None { first: now + wait },
            random,
        }
    }

    /// A packet for this session was received at `heard`, which may be a while ago. The rest of RFC 5880 §6.8.6, from "Set
    /// bfd.RemoteDiscr" on; returns what to send.
    #[must_use = "the other side waits for the answer"]
    pub fn receive(&mut self, now: Instant, heard: Instant, packet: &Packet) -> Option<Packet> {
        self.remote = Remote::told_by(packet);
        self.failed &= packet.state != State::AdminDown;
        if self.poll.received(packet.is_final) {
            self.in_force = InForce { desired_min_tx: self.desired_min_tx(), ..InForce::all_of(self.config) };
        }
        self.heard = self.heard.max(Some(heard));
        self.excused_until = None;
        if self.state == State::AdminDown {
            return None;
        }
        let changed = self.follow(packet.state);
        match (packet.poll, changed) {
            // It tells of the change as well.
            (true, _) => Some(Packet { poll: false, is_final: true, ..self.packet() }),
            (false, true) => Some(self.transmit(now)),
            (false, false) => None,
        }
    }

    /// To be called at [`Session::deadline`]; `lateness` is how much later than due.
    pub fn tick(&mut self, now: Instant, lateness: Duration) -> Tick {
        let silent = self.silence_deadline().is_some_and(|deadline| deadline <= now);
        let excused = silent && self.excuse(now, lateness);
        let lost = silent && !excused && self.lose();
        let packet = if lost { Some(self.transmit(now)) } else { self.periodic(now) };
        Tick { packet, excused }
    }

    /// The packet that is due so soon that it may leave with others now. Jitter leaves room for it: the time between two
    /// packets stays at or above 75% of the interval.
    pub fn ahead(&mut self, now: Instant) -> Option<Packet> {
        let Transmission::At { .. } = self.last_transmission else { return None };
        let ahead = part(self.transmit_interval()?, AHEAD_PPM);
        self.transmission_deadline().filter(|&at| at <= now + ahead).map(|_| self.transmit(now))
    }

    /// When to call [`Session::tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.transmission_deadline().into_iter().chain(self.silence_deadline()).min()
    }

    /// Changes the timers. An Up session stays Up, and a Poll Sequence tells the other side.
    #[must_use = "the other side has to hear of it"]
    pub fn configure(&mut self, now: Instant, config: Config) -> Option<Packet> {
        let before = (self.desired_min_tx(), self.config);
        self.config = config;
        self.advertise(before.0, before.1.required_min_rx);
        (before != (self.desired_min_tx(), config)).then(|| self.transmit(now))
    }

    /// Switches the session off, without saying that the path has failed.
    #[must_use = "the other side has to hear of it"]
    pub fn admin_down(&mut self, now: Instant) -> Option<Packet> {
        (self.state != State::AdminDown).then(|| {
            self.enter(State::AdminDown, Diagnostic::AdministrativelyDown);
            self.transmit(now)
        })
    }

    /// Switches it on again.
    #[must_use = "the other side has to hear of it"]
    pub fn admin_up(&mut self, now: Instant) -> Option<Packet> {
        (self.state == State::AdminDown).then(|| {
            self.enter(State::Down, self.diagnostic);
            self.transmit(now)
        })
    }

    /// How long the other side has to be told of AdminDown: one detection time, as *it* computes it (RFC 5880 §6.8.16).
    /// `None` where nobody was heard.
    #[must_use]
    pub fn farewell(&self) -> Option<Duration> {
        self.remote.discriminator?;
        let interval = self.remote.required_min_rx.max(Some(self.in_force.desired_min_tx))?;
        Some(self.config.detect_mult.times(interval))
    }

    /// What there is to know.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            state: self.state,
            diagnostic: self.diagnostic,
            remote_state: self.remote.state,
            remote_diagnostic: self.remote.diagnostic,
            remote_independent: self.remote.control_plane_independent,
            failures: self.failures,
            transmit_interval: self.transmit_interval().map(Interval::duration),
            detection_time: self.detection_time(),
            verdict: self.verdict(),
        }
    }

    fn verdict(&self) -> Verdict {
        match (self.state, self.remote.state) {
            (State::Up, _) => Verdict::Up,
            (State::AdminDown, _) | (_, State::AdminDown) => Verdict::AdminDown,
            (State::Down | State::Init, _) if self.failed => Verdict::Failed,
            (State::Down | State::Init, _) => Verdict::Unknown,
        }
    }

    /// The state machine of RFC 5880 §6.8.6. True where the state changed.
    fn follow(&mut self, received: State) -> bool {
        let next = match (self.state, received) {
            (State::Down, State::Down) => (State::Init, self.diagnostic),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                (State::Up, Diagnostic::None)
            }
            (State::Init, State::AdminDown) | (State::Up, State::AdminDown | State::Down) => {
                (State::Down, Diagnostic::NeighborSignaledSessionDown)
            }
            (State::AdminDown, _)
            | (State::Down, State::AdminDown | State::Up)
            | (State::Init, State::Down)
            | (State::Up, State::Init | State::Up) => return false,
        };
        self.enter(next.0, next.1);
        true
    }

    /// Whether silence is our own fault: who did not look for a whole interval cannot tell how long it was. Once.
    fn excuse(&mut self, now: Instant, lateness: Duration) -> bool {
        let interval = self.receive_interval().duration();
        let excused = self.is_established() && self.excused_until.is_none() && lateness >= interval;
        if excused {
            self.excused_until = Some(now + interval);
        }
        excused
    }

    /// A detection time without a packet: "this variable MUST be set to zero" (RFC 5880 §6.8.1, of bfd.RemoteDiscr). True
    /// where that ends a session (§6.8.4).
    fn lose(&mut self) -> bool {
        self.heard = None;
        self.excused_until = None;
        self.remote.discriminator = None;
        let lost = self.is_established();
        if lost {
            self.enter(State::Down, Diagnostic::ControlDetectionTimeExpired);
        }
        lost
    }

    /// Whether "the session has gone down" where the other side falls silent.
    const fn is_established(&self) -> bool {
        matches!(self.state, State::Init | State::Up)
    }

    /// Every change of state passes here, so that none forgets its timers or its failure.
    fn enter(&mut self, state: State, diagnostic: Diagnostic) {
        let advertised = self.desired_min_tx();
        if (self.state, state) == (State::Up, State::Down) && self.remote.state != State::AdminDown {
            self.failures += 1;
            self.failed = true;
        }
        self.failed &= state != State::Up && state != State::AdminDown;
        self.state = state;
        self.diagnostic = diagnostic;
        self.advertise(advertised, self.config.required_min_rx);
    }

    /// What is advertised may differ from what it was: "a Poll Sequence MUST be initiated". What counts at once is what
    /// cannot make the other side, which has not heard of it yet, see a failure (RFC 5880 §6.8.3).
    fn advertise(&mut self, desired_min_tx: Interval, required_min_rx: Interval) {
        let (tx, rx) = (self.desired_min_tx(), self.config.required_min_rx);
        if (tx, rx) != (desired_min_tx, required_min_rx) {
            self.poll.begin();
        }
        let up = self.state == State::Up;
        self.in_force = InForce {
            desired_min_tx: if up { tx.min(self.in_force.desired_min_tx) } else { tx },
            required_min_rx: if up { rx.max(self.in_force.required_min_rx) } else { rx },
        };
    }

    /// "When bfd.SessionState is not Up, the system MUST set bfd.DesiredMinTxInterval to a value of not less than one second".
    fn desired_min_tx(&self) -> Interval {
        if self.state == State::Up { self.config.desired_min_tx } else { slow(self.config.desired_min_tx) }
    }

    /// "The larger of bfd.DesiredMinTxInterval and bfd.RemoteMinRxInterval" (RFC 5880 §6.8.7), or none.
    fn transmit_interval(&self) -> Option<Interval> {
        let unwanted = self.remote.demand
            && (self.state, self.remote.state) == (State::Up, State::Up)
            && !self.poll.is_active();
        let required = self.remote.required_min_rx.filter(|_| !unwanted)?;
        Some(required.max(self.in_force.desired_min_tx))
    }

    /// "The value of Detect Mult received from the remote system, multiplied by the agreed transmit interval of the remote
    /// system" (RFC 5880 §6.8.4).
    fn detection_time(&self) -> Option<Duration> {
        Some(self.remote.detect_mult?.times(self.receive_interval()))
    }

    /// "The greater of bfd.RequiredMinRxInterval and the last received Desired Min TX Interval".
    fn receive_interval(&self) -> Interval {
        let required = self.in_force.required_min_rx;
        self.remote.desired_min_tx.map_or(required, |desired| desired.max(required))
    }

    fn silence_deadline(&self) -> Option<Instant> {
        let silent = self.heard? + self.detection_time()?;
        Some(self.excused_until.map_or(silent, |until| until.max(silent)))
    }

    /// Reckoned anew at each question, so that an interval which became shorter is honoured at once (RFC 5880 §6.8.3).
    fn transmission_deadline(&self) -> Option<Instant> {
        let interval = self.transmit_interval()?;
        Some(match self.last_transmission {
            Transmission::None { first } => first,
            Transmission::At { at, ppm } => at + part(interval, ppm),
        })
    }

    fn periodic(&mut self, now: Instant) -> Option<Packet> {
        self.transmission_deadline().filter(|&at| at <= now).map(|_| self.transmit(now))
    }

    fn transmit(&mut self, now: Instant) -> Packet {
        let most = if self.config.detect_mult.number() == 1 { MOST_PPM_OF_ONE } else { MOST_PPM };
        self.last_transmission = Transmission::At { at: now, ppm: self.random.between(LEAST_PPM, most) };
        self.packet()
    }

    /// RFC 5880 §6.8.7, without the Final bit.
    fn packet(&self) -> Packet {
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: self.poll.is_active(),
            is_final: false,
            // It ends with the process that announces.
            control_plane_independent: false,
            authenticated: false,
            demand: false,
            detect_mult: self.config.detect_mult,
            my_discriminator: self.local_discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: Some(self.desired_min_tx()),
            required_min_rx: Some(self.config.required_min_rx),
            required_min_echo_rx: None,
        }
    }
}

impl Status {
    /// Before anything was heard or sent.
    pub const INITIAL: Self = Self {
        state: State::Down,
        diagnostic: Diagnostic::None,
        remote_state: State::Down,
        remote_diagnostic: Diagnostic::None,
        remote_independent: false,
        failures: 0,
        transmit_interval: None,
        detection_time: None,
        verdict: Verdict::Unknown,
    };
}

/// What the other side says of itself: RFC 5880 §6.8.1 with its initial values.
#[derive(Clone, Copy, Debug)]
struct Remote {
    discriminator: Option<Discriminator>,
    state: State,
    diagnostic: Diagnostic,
    control_plane_independent: bool,
    demand: bool,
    detect_mult: Option<DetectMult>,
    desired_min_tx: Option<Interval>,
    required_min_rx: Option<Interval>,
}

impl Remote {
    const UNKNOWN: Self = Self {
        discriminator: None,
        state: State::Down,
        diagnostic: Diagnostic::None,
        control_plane_independent: false,
        demand: false,
        detect_mult: None,
        desired_min_tx: None,
        // "This variable MUST be initialized to 1."
        required_min_rx: Interval::from_micros(1),
    };

    const fn told_by(packet: &Packet) -> Self {
        Self {
            discriminator: Some(packet.my_discriminator),
            state: packet.state,
            diagnostic: packet.diagnostic,
            control_plane_independent: packet.control_plane_independent,
            demand: packet.demand,
            detect_mult: Some(packet.detect_mult),
            desired_min_tx: packet.desired_min_tx,
            required_min_rx: packet.required_min_rx,
        }
    }
}

/// The timers that count, which may be older than those that are advertised.
#[derive(Clone, Copy, Debug)]
struct InForce {
    desired_min_tx: Interval,
    required_min_rx: Interval,
}

impl InForce {
    const fn all_of(config: Config) -> Self {
        Self { desired_min_tx: config.desired_min_tx, required_min_rx: config.required_min_rx }
    }
}

#[derive(Clone, Copy, Debug)]
enum Transmission {
    None {
        first: Instant,
    },
    /// The next follows after so many millionths of the interval: "jittered on a per-packet basis by up to 25%".
    At {
        at: Instant,
        ppm: u32,
    },
}

fn slow(desired_min_tx: Interval) -> Interval {
    desired_min_tx.max(Interval::SECOND)
}

/// Never nothing: the next packet is always a later one.
fn part(interval: Interval, ppm: u32) -> Duration {
    Duration::from_micros((u64::from(interval.micros()) * u64::from(ppm) / 1_000_000).max(1))
}

/// How much sooner than it is due a packet may leave with others.
const AHEAD_PPM: u32 = 12_000;
/// Many sessions that are made at once do not all speak at once.
const FIRST_WITHIN_MICROS: u32 = 100_000;
const LEAST_PPM: u32 = 750_000 + AHEAD_PPM;
const MOST_PPM: u32 = 1_000_000;
/// "If bfd.DetectMult is equal to 1, the interval […] MUST be no more than 90% of the negotiated transmission interval".
const MOST_PPM_OF_ONE: u32 = 900_000;
