//! The driver on a scripted API server, in time that only passes when everybody waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::FutureExt as _;
use tokio::task::JoinSet;
use vipcast_proto::election::{Answer, Intent, Predecessor, Record, Stamp};

use super::*;
use crate::kube::lease::{LeaseName, Observed};
use crate::witness::Witness;

/// Requests as they left: milliseconds from the start, what, and how long it may take.
type Requests = Arc<Mutex<Vec<(u128, Action, Duration)>>>;

/// A store that answers as told, each time after a while; what comes after is never answered.
struct Fake {
    start: Instant,
    requests: Requests,
    script: VecDeque<(u64, Answer)>,
}

struct Bench {
    start: Instant,
    requests: Requests,
    conditions: watch::Sender<Conditions>,
    lease: watch::Sender<Option<Observed>>,
    vacancy: watch::Sender<Vacancy>,
    rulings: watch::Receiver<Ruling>,
    election: JoinSet<()>,
}

impl Fake {
    async fn ask(&mut self, action: Action, limit: Duration) -> Outcome {
        let left = (clock::now() - self.start).as_millis();
        self.requests.lock().unwrap().push((left, action, limit));
        let Some((takes, answer)) = self.script.pop_front() else { return std::future::pending().await };
        let latency = Duration::from_millis(takes);
        clock::pause(latency).await;
        Outcome { answer, failure: None, latency }
    }
}

impl Store for Fake {
    async fn read(&mut self, limit: Duration) -> Outcome {
        self.ask(Action::Read, limit).await
    }

    async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        self.ask(Action::Write(write.clone()), limit).await
    }
}

impl Bench {
    fn new(conditions: Conditions, script: impl IntoIterator<Item = (u64, Answer)>) -> Self {
        let start = clock::now();
        let requests = Requests::default();
        let store = Fake { start, requests: requests.clone(), script: script.into_iter().collect() };
        let (conditions, fitness) = watch::channel(conditions);
        let (lease, observed) = watch::channel(None);
        let (vacancy, vacated) = watch::channel(Vacancy { serial: 0, vacated: true });
        let (ruled, rulings) = watch::channel(Ruling::unknown());
        let inputs = Inputs::new(fitness, observed, vacated);
        let name = LeaseName { namespace: "kube-system".into(), name: "plndr-cp-lock".into() };
        let reporter = Reporter::new(&name, "n1".into(), Witness::for_tests().0);
        let elector = Elector::new("n1", TIMING);
        let mut election = JoinSet::new();
        election.spawn(run(elector, TIMING, "n1".into(), store, inputs, ruled, reporter));
        Self { start, requests, conditions, lease, vacancy, rulings, election }
    }

    async fn until(&self, milliseconds: u64) {
        clock::until(Some(self.at(milliseconds))).await;
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    fn requests(&self) -> Vec<(u128, Action)> {
        self.requests.lock().unwrap().iter().map(|(left, action, _)| (*left, action.clone())).collect()
    }

    fn ruling(&self) -> Ruling {
        self.rulings.borrow().clone()
    }

    fn has_ended(&mut self) -> bool {
        self.election.join_next().now_or_never().is_some_and(|ended| ended.unwrap().is_ok())
    }
}

fn record(version: &str, holder: &str, stamp: i64) -> Record {
    Record {
        version: version.into(),
        holder: (!holder.is_empty()).then(|| holder.into()),
        renewed: Some(Stamp(stamp)),
        lease_duration: Some(Duration::from_secs(5)),
        transitions: 0,
        vacated: holder.is_empty(),
    }
}

fn written(version: &str, holder: &str, stamp: i64) -> Answer {
    Answer::Written(record(version, holder, stamp))
}

fn seen(record: Record) -> Option<Observed> {
    Some(Observed { record: Some(record), ..Observed::default() })
}

fn write(based_on: Option<&str>, intent: Intent) -> Action {
    Action::Write(Write { based_on: based_on.map(Into::into), intent })
}

/// The Lease does not exist yet and is created at once.
fn acquired() -> [(u64, Answer); 2] {
    [(0, Answer::Read(None)), (0, written("1", "n1", 1))]
}

#[tokio::test(start_paused = true)]
async fn a_write_that_succeeded_is_a_grant_from_its_departure_and_is_renewed() {
    let script = [
        (10, Answer::Read(None)),
        (20, written("1", "n1", 1)),
        (30, written("2", "n1", 2)),
        (40, written("3", "n1", 3)),
    ];
    let bench = Bench::new(Conditions::FIT, script);
    bench.until(29).await;
    assert_eq!(bench.ruling().grant, None);
    bench.until(31).await;
    let grant = Grant { until: bench.at(3_010), fence: bench.at(4_910), predecessor: Predecessor::Unknown };
    let holding = Ruling {
        serial: 1,
        grant: Some(grant),
        role: Role::Holder,
        holder: Some("n1".into()),
        known: true,
        bar: None,
    };
    assert_eq!(bench.ruling(), holding);
    bench.until(2_051).await;
    let grant = Grant { until: bench.at(5_010), fence: bench.at(6_910), ..grant };
    assert_eq!(bench.ruling(), Ruling { grant: Some(grant), ..holding });
    let expected = [
        (0, Action::Read),
        (10, write(None, Intent::Claim { transitions: 0 })),
        (1_010, write(Some("1"), Intent::Renew)),
        (2_010, write(Some("2"), Intent::Renew)),
    ];
    assert_eq!(bench.requests(), expected);
}

#[tokio::test(start_paused = true)]
async fn every_request_is_given_the_time_that_leaves_room_for_a_second() {
    let bench = Bench::new(Conditions::FIT, acquired());
    bench.until(1_500).await;
    let limits: Vec<_> = bench.requests.lock().unwrap().iter().map(|(_, _, limit)| *limit).collect();
    assert_eq!(limits, [Duration::from_secs(1); 3]);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_only_when_the_addresses_of_this_very_grant_are_gone() {
    let mut bench = Bench::new(Conditions::FIT, acquired().into_iter().chain([(0, written("2", "", 2))]));
    bench.until(500).await;
    bench.vacancy.send_replace(Vacancy { serial: 1, vacated: true });
    bench.conditions.send_replace(Conditions { stopping: true, ..Conditions::FIT });
    bench.until(600).await;
    let leaving = Ruling {
        serial: 2,
        grant: None,
        role: Role::Leaving,
        holder: Some("n1".into()),
        known: true,
        bar: Some(Bar::Stopping),
    };
    assert_eq!(bench.ruling(), leaving);
    for stale in [Vacancy { serial: 0, vacated: true }, Vacancy { serial: 1, vacated: true }] {
        bench.vacancy.send_replace(stale);
        bench.until(650).await;
    }
    bench.vacancy.send_replace(Vacancy { serial: 2, vacated: false });
    bench.until(700).await;
    assert_eq!(bench.requests().len(), 2);
    bench.vacancy.send_replace(Vacancy { serial: 2, vacated: true });
    bench.until(701).await;
    assert_eq!(bench.requests().split_off(2), [(700, write(Some("1"), Intent::Release))]);
    assert_eq!(bench.ruling(), Ruling { role: Role::Standby, holder: None, ..leaving });
    assert!(bench.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_comes_through_while_stopping_is_given_back_at_once() {
    let script = [(0, Answer::Read(None)), (500, written("1", "n1", 1)), (0, written("2", "", 2))];
    let mut bench = Bench::new(Conditions::FIT, script);
    bench.until(200).await;
    bench.conditions.send_replace(Conditions { stopping: true, ..Conditions::FIT });
    bench.until(501).await;
    // Nothing was ever announced under it: the core's word on the ruling before is still good.
    assert_eq!(bench.requests().split_off(2), [(500, write(Some("1"), Intent::Release))]);
    assert!(bench.has_ended());
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_shows_during_a_request_is_taken_at_once() {
    let bench = Bench::new(Conditions::FIT, [(800, Answer::Read(Some(record("7", "n2", 70))))]);
    bench.until(200).await;
    bench.lease.send_replace(seen(record("8", "n3", 80)));
    bench.until(201).await;
    assert_eq!((bench.ruling().holder.as_deref(), bench.ruling().known), (Some("n3"), true));
    assert_eq!(bench.requests(), [(0, Action::Read)]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_the_watch_shows_is_acted_on_at_once() {
    let script = [(0, Answer::Read(Some(record("7", "n2", 70)))), (0, written("9", "n1", 90))];
    let bench = Bench::new(Conditions::FIT, script);
    bench.until(300).await;
    bench.lease.send_replace(seen(record("8", "", 80)));
    bench.until(301).await;
    assert_eq!(bench.requests().split_off(1), [(300, write(Some("8"), Intent::Claim { transitions: 1 }))]);
    assert_eq!(bench.ruling().grant.map(|grant| grant.predecessor), Some(Predecessor::Left));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_met_a_rival_holds_on_when_it_is_unhealthy() {
    let bench = Bench::new(ALONE, acquired());
    bench.until(500).await;
    bench.conditions.send_replace(Conditions { healthy: false, ..ALONE });
    bench.until(900).await;
    assert_eq!((bench.ruling().role, bench.ruling().bar), (Role::Holder, None));
    assert_eq!(bench.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_met_a_rival_hands_over_whatever_the_snapshot_says() {
    let script = [
        (0, Answer::Read(Some(record("7", "n2", 70)))),
        (0, written("9", "n1", 90)),
        (0, written("10", "n1", 100)),
        (0, written("11", "", 110)),
    ];
    let bench = Bench::new(ALONE, script);
    bench.until(300).await;
    bench.lease.send_replace(seen(record("8", "", 80)));
    bench.until(500).await;
    bench.conditions.send_replace(Conditions { healthy: false, ..ALONE });
    bench.until(600).await;
    assert_eq!((bench.ruling().role, bench.ruling().bar), (Role::Leaving, Some(Bar::Health)));
    bench.vacancy.send_replace(Vacancy { serial: 2, vacated: true });
    bench.until(700).await;
    let expected = [(500, write(Some("9"), Intent::Renew)), (600, write(Some("10"), Intent::Release))];
    assert_eq!(bench.requests().split_off(2), expected);
    assert_eq!((bench.ruling().role, bench.ruling().bar), (Role::Standby, Some(Bar::Health)));
}

#[tokio::test(start_paused = true)]
async fn an_unfit_node_asks_for_nothing_and_a_pulled_cable_is_told() {
    let bench = Bench::new(Conditions { healthy: false, ..Conditions::FIT }, []);
    bench.until(500).await;
    assert_eq!(bench.ruling(), Ruling { bar: Some(Bar::Health), ..Ruling::unknown() });
    bench.conditions.send_replace(Conditions { healthy: false, proven: false, ..Conditions::FIT });
    bench.until(700).await;
    assert_eq!(bench.ruling(), Ruling::unknown());
    bench.conditions.send_replace(Conditions { link_up: false, ..Conditions::FIT });
    bench.until(60_000).await;
    assert_eq!(bench.ruling(), Ruling { bar: Some(Bar::Link), ..Ruling::unknown() });
    assert_eq!(bench.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_is_stopped_ends_without_a_word() {
    let mut bench = Bench::new(Conditions::FIT, [(0, Answer::Read(Some(record("7", "n2", 70))))]);
    bench.until(500).await;
    assert!(!bench.has_ended());
    bench.conditions.send_replace(Conditions { stopping: true, ..Conditions::FIT });
    bench.until(501).await;
    assert!(bench.has_ended());
    assert_eq!(bench.requests(), [(0, Action::Read)]);
}

#[tokio::test(start_paused = true)]
async fn an_election_that_nobody_listens_to_ends() {
    let mut bench = Bench::new(Conditions { healthy: false, ..Conditions::FIT }, []);
    bench.until(500).await;
    drop(std::mem::replace(&mut bench.rulings, watch::channel(Ruling::unknown()).1));
    bench.until(501).await;
    assert!(bench.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_cannot_be_renewed_ends_by_itself() {
    let bench = Bench::new(Conditions::FIT, acquired());
    bench.until(2_999).await;
    assert_eq!(bench.ruling().role, Role::Holder);
    bench.until(3_001).await;
    let ruling = bench.ruling();
    assert_eq!((ruling.serial, ruling.grant, ruling.role), (2, None, Role::Standby));
}

#[tokio::test(start_paused = true)]
async fn sources_that_are_gone_say_nothing_and_cost_nothing() {
    let (conditions, fitness) = watch::channel(Conditions::FIT);
    let (lease, observed) = watch::channel(None);
    let (vacancy, vacated) = watch::channel(Vacancy::default());
    let mut inputs = Inputs::new(fitness, observed, vacated);
    assert_eq!(inputs.next(None).await, Event::Tick);
    drop((conditions, lease, vacancy));
    assert_eq!(inputs.next(None).now_or_never(), None);
    let deadline = clock::now() + Duration::from_secs(1);
    assert_eq!(inputs.next(Some(deadline)).await, Event::Tick);
    assert_eq!(clock::now(), deadline);
}

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};
const ALONE: Conditions = Conditions { rivals: Rivals::Nobody, ..Conditions::FIT };
