//! What holds after any sequence of events, however unlikely, and however late the ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use vipcast_proto::advertiser::Desired;
use vipcast_proto::election::{
    self, Answer, Elector, Grant, Intent, Predecessor, Record, Role, Stamp, Timing, Write,
};
use vipcast_proto::l2::announcer::{self, Announcer, Config, Link, WireCheck};
use vipcast_proto::l2::ethernet::{MacAddr, SightingKind};
use vipcast_proto::standing::Standing;

/// What happens to a candidate next.
#[derive(Clone, Debug)]
enum Turn {
    Tick,
    Standing(Standing),
    Observed(Option<Record>),
    /// The request under way succeeds; a read shows this, or what we wrote last.
    Succeeds(Option<Record>, bool),
    Conflicts,
    Refused,
    /// A write may have happened.
    Lost,
    Vacated,
}

/// A driver that checks what it is told, and the API server's view of our own writes.
struct Candidate {
    elector: Elector,
    start: Instant,
    now: Instant,
    under_way: Option<(election::Action, Instant)>,
    standing: Standing,
    /// From when a grant may count: the newest successful write, or failure of a lone holder.
    basis: Option<Instant>,
    ours: Option<Record>,
    writes: i64,
}

impl Candidate {
    fn new(start: Instant) -> Self {
        Self {
            elector: Elector::new("a", TIMING),
            start,
            now: start,
            under_way: None,
            standing: Standing::Barred,
            basis: None,
            ours: None,
            writes: 0,
        }
    }

    fn turn(&mut self, turn: Turn) {
        let event = match turn {
            Turn::Tick => election::Event::Tick,
            Turn::Standing(standing) => {
                self.standing = standing;
                election::Event::Standing(standing)
            }
            Turn::Observed(record) => election::Event::Observed(record),
            Turn::Vacated => election::Event::Vacated,
            Turn::Succeeds(..) | Turn::Conflicts | Turn::Refused | Turn::Lost => {
                let Some((action, departed)) = self.under_way.take() else { return };
                let answer = self.answer(&turn, action, departed);
                let alone = self.standing == (Standing::Candidate { alone: true });
                if alone && matches!(answer, Answer::Refused | Answer::Unknown(_)) {
                    self.basis = self.basis.map(|_| self.now);
                }
                election::Event::Answered(answer)
            }
        };
        self.handle(event);
    }

    fn answer(&mut self, turn: &Turn, action: election::Action, departed: Instant) -> Answer {
        let election::Action::Write(Write { intent, .. }) = action else {
            return match turn {
                Turn::Succeeds(_, true) => Answer::Read(self.ours.clone()),
                Turn::Succeeds(record, false) => Answer::Read(record.clone()),
                Turn::Lost => Answer::Unknown(None),
                Turn::Tick
                | Turn::Standing(_)
                | Turn::Observed(_)
                | Turn::Conflicts
                | Turn::Refused
                | Turn::Vacated => Answer::Refused,
            };
        };
        match turn {
            Turn::Succeeds(..) => {
                self.basis = Some(self.basis.map_or(departed, |basis| basis.max(departed)));
                Answer::Written(self.write(intent))
            }
            Turn::Lost => Answer::Unknown(self.write(intent).renewed),
            Turn::Conflicts => Answer::Conflict,
            Turn::Tick | Turn::Standing(_) | Turn::Observed(_) | Turn::Refused | Turn::Vacated => {
                Answer::Refused
            }
        }
    }

    fn write(&mut self, intent: Intent) -> Record {
        self.writes += 1;
        let release = intent == Intent::Release;
        let record = Record {
            version: format!("own{}", self.writes),
            holder: (!release).then(|| "a".to_owned()),
            renewed: Some(Stamp(1_000_000 + self.writes)),
            lease_duration: Some(TIMING.lease_duration),
            transitions: 0,
            vacated: release,
        };
        self.ours = Some(record.clone());
        record
    }

    fn handle(&mut self, event: election::Event) {
        let action = self.elector.handle(self.now, event);
        if let Some(action) = action {
            assert_eq!(self.under_way, None, "a second request at {:?}", self.now - self.start);
            self.under_way = Some((action, self.now));
        }
        assert!(self.elector.deadline().is_none_or(|due| due > self.now), "a deadline in the past");
        assert_eq!(self.elector.grant().is_some(), self.elector.role() == Role::Holder);
        if self.standing == Standing::Withdrawn {
            assert_eq!(self.elector.grant(), None);
        }
        if let Some(grant) = self.elector.grant() {
            let basis = self.basis.unwrap_or_else(|| panic!("a grant needs a write that succeeded"));
            assert!(self.now < grant.until && grant.until < grant.fence);
            assert!(grant.until <= basis + TIMING.renew_deadline);
            assert!(grant.fence <= basis + TIMING.lease_duration);
        }
    }
}

/// What the driver and the kernel know, beside the announcer.
struct Interface {
    announcer: Announcer,
    now: Instant,
    desired: Desired,
    /// Held, and not dropped since.
    present: BTreeSet<IpAddr>,
    /// Of these, those that were held once only: if that is refused, nothing is there.
    tried: BTreeSet<IpAddr>,
}

impl Interface {
    fn handle(&mut self, event: announcer::Event) {
        match &event {
            announcer::Event::Desired(desired) => self.desired = desired.clone(),
            announcer::Event::Gone(vip) => _ = self.present.remove(vip),
            announcer::Event::Stuck(vip) => {
                self.present.insert(*vip);
                self.tried.remove(vip);
            }
            announcer::Event::Refused(vip) if self.tried.contains(vip) => _ = self.present.remove(vip),
            announcer::Event::Tick
            | announcer::Event::Seen { .. }
            | announcer::Event::Link(_)
            | announcer::Event::Refused(_) => {}
        }
        for action in self.announcer.handle(self.now, event) {
            match action {
                announcer::Action::Hold { vip, fence } => {
                    assert_eq!(self.live(vip).fence, fence);
                    if self.present.insert(vip) {
                        self.tried.insert(vip);
                    } else {
                        self.tried.remove(&vip);
                    }
                }
                announcer::Action::Announce(vip) => {
                    _ = self.live(vip);
                    assert!(self.present.contains(&vip), "{vip} announced and not held");
                }
                announcer::Action::Probe(vip) => {
                    _ = self.live(vip);
                    assert!(!self.present.contains(&vip), "{vip} asked for and held");
                }
                announcer::Action::Drop(vip) => _ = self.present.remove(&vip),
                announcer::Action::Tell(_) => {}
            }
        }
        let report = self.announcer.report();
        assert_eq!(report.applied, self.desired.serial);
        assert!(report.present.is_superset(&self.present), "{:?} hides {:?}", report.present, self.present);
        assert!(self.announcer.deadline().is_none_or(|due| due > self.now), "a deadline in the past");
    }

    fn live(&self, vip: IpAddr) -> Grant {
        let grant = self.desired.vips.get(&vip).copied().filter(|grant| self.now < grant.until);
        grant.unwrap_or_else(|| panic!("{vip} without a live grant"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_candidate_asks_one_thing_at_a_time_never_spins_and_is_granted_no_more_than_it_wrote(
        turns in vec((gap(), any::<bool>(), turn()), 1..80),
    ) {
        let start = start();
        let mut candidate = Candidate::new(start);
        for (gap, prompt, turn) in turns {
            let then = candidate.now + gap;
            while let Some(due) = candidate.elector.deadline().filter(|&due| prompt && due <= then) {
                candidate.now = due;
                candidate.handle(election::Event::Tick);
            }
            candidate.now = then;
            candidate.turn(turn);
        }
    }

    #[test]
    fn an_interface_holds_and_says_only_what_is_granted_hides_nothing_and_never_spins(
        checks in any::<bool>(),
        steps in vec((gap(), any::<bool>(), step()), 1..80),
    ) {
        let start = start();
        let config = Config { wire_check: checks.then_some(CHECK), ..CONFIG };
        let mut interface = Interface {
            announcer: Announcer::new(config, 7),
            now: start,
            desired: Desired::default(),
            present: BTreeSet::new(),
            tried: BTreeSet::new(),
        };
        for (gap, prompt, step) in steps {
            let then = interface.now + gap;
            while let Some(due) = interface.announcer.deadline().filter(|&due| prompt && due <= then) {
                interface.now = due;
                interface.handle(announcer::Event::Tick);
            }
            interface.now = then;
            let event = match step {
                Step::Want(vips) => announcer::Event::Desired(wanted(&interface, vips)),
                Step::Other(event) => event,
            };
            interface.handle(event);
        }
    }
}

/// What happens to an interface next.
#[derive(Clone, Debug)]
enum Step {
    /// Address to milliseconds from now, and whether somebody handed over.
    Want(BTreeMap<u8, (u64, bool)>),
    Other(announcer::Event),
}

fn wanted(interface: &Interface, vips: BTreeMap<u8, (u64, bool)>) -> Desired {
    let grant = |(millis, left)| {
        let until = interface.now + Duration::from_millis(millis);
        let predecessor = if left { Predecessor::Left } else { Predecessor::Unknown };
        Grant { until, fence: until + Duration::from_secs(2), predecessor }
    };
    let vips: BTreeMap<_, _> = vips.into_iter().map(|(last, wish)| (vip(last), grant(wish))).collect();
    Desired { serial: interface.desired.serial + 1, vips: vips.into() }
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => Just(Turn::Tick),
        2 => standing().prop_map(Turn::Standing),
        2 => option::weighted(0.8, record()).prop_map(Turn::Observed),
        6 => (option::of(record()), any::<bool>()).prop_map(|(record, own)| Turn::Succeeds(record, own)),
        1 => Just(Turn::Conflicts),
        1 => Just(Turn::Refused),
        1 => Just(Turn::Lost),
        1 => Just(Turn::Vacated),
    ]
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        3 => any::<bool>().prop_map(|alone| Standing::Candidate { alone }),
        1 => Just(Standing::Barred),
        1 => Just(Standing::Withdrawn),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let holder = prop_oneof![Just(None), Just(Some("a".to_owned())), Just(Some("b".to_owned()))];
    (holder, option::of(0_i64..4), option::of(0_u64..9), 0_u32..3).prop_map(
        |(holder, renewed, seconds, transitions)| Record {
            version: format!("{transitions}"),
            vacated: holder.is_none() && renewed == Some(0),
            holder,
            renewed: renewed.map(Stamp),
            lease_duration: seconds.map(Duration::from_secs),
            transitions,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let vip = || (0_u8..3).prop_map(vip);
    let kind = prop_oneof![Just(SightingKind::Claim), Just(SightingKind::Probe)];
    let seen = (vip(), 0_u8..3, kind).prop_map(|(vip, by, kind)| announcer::Event::Seen {
        vip,
        by: MacAddr::from([2, 0, 0, 0, 0, by]),
        kind,
    });
    let link = prop_oneof![Just(Link::Up), Just(Link::Down)];
    let other = prop_oneof![
        3 => Just(announcer::Event::Tick),
        3 => seen,
        1 => link.prop_map(announcer::Event::Link),
        1 => vip().prop_map(announcer::Event::Gone),
        1 => vip().prop_map(announcer::Event::Refused),
        1 => vip().prop_map(announcer::Event::Stuck),
    ];
    prop_oneof![
        1 => btree_map(0_u8..3, (0_u64..6000, any::<bool>()), 0..3).prop_map(Step::Want),
        2 => other.prop_map(Step::Other),
    ]
}

/// Often nothing, mostly short, sometimes a stall.
fn gap() -> impl Strategy<Value = Duration> {
    let millis = prop_oneof![1 => Just(0_u64), 4 => 0_u64..30, 4 => 0_u64..1500, 1 => 0_u64..9000];
    millis.prop_map(Duration::from_millis)
}

fn vip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};

const CONFIG: Config =
    Config { lifetime: Duration::from_secs(3), refresh: Duration::from_secs(60), wire_check: None };

const CHECK: WireCheck = WireCheck {
    probes: 3,
    interval: Duration::from_millis(10),
    wait: Duration::from_millis(10),
    retry: Duration::from_secs(1),
};
