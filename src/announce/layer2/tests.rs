//! The driver on a segment that keeps a diary, in time that only passes when everybody waits.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::JoinSet;
use vipcast_proto::advertiser::Desired;
use vipcast_proto::election::{Grant, Predecessor};
use vipcast_proto::l2::announcer::{Config, Presence};

use super::*;
use crate::witness::Witness;

#[derive(Clone, Debug, Eq, PartialEq)]
enum Entry {
    Hold(IpAddr, Duration),
    Drop(IpAddr),
    Announce(IpAddr),
    Report(u64, BTreeSet<IpAddr>),
}

/// What was done, and how many milliseconds after the start.
#[derive(Clone, Debug)]
struct Diary(Instant, Arc<Mutex<Vec<(u128, Entry)>>>);

/// A segment whose first calls go as told; later ones work at once.
struct Fake {
    diary: Diary,
    holds: VecDeque<(Duration, Result<(), ()>)>,
    drops: VecDeque<Result<(), ()>>,
    events: mpsc::UnboundedReceiver<Result<Event, NetError>>,
}

struct Bench {
    diary: Diary,
    desired: watch::Sender<Desired>,
    events: mpsc::UnboundedSender<Result<Event, NetError>>,
    announcer: JoinSet<(Announcer, End)>,
    _core: JoinSet<()>,
}

impl Diary {
    fn write(&self, entry: Entry) {
        self.1.lock().unwrap().push(((clock::now() - self.0).as_millis(), entry));
    }

    fn entries(&self) -> Vec<(u128, Entry)> {
        self.1.lock().unwrap().clone()
    }
}

impl Segment for Fake {
    async fn hold(&mut self, vip: IpAddr, lifetime: Duration) -> Result<(), NetError> {
        self.diary.write(Entry::Hold(vip, lifetime));
        let (takes, result) = self.holds.pop_front().unwrap_or((Duration::ZERO, Ok(())));
        clock::pause(takes).await;
        result.map_err(|()| NetError::Hold { address: vip.into(), source: io::ErrorKind::OutOfMemory.into() })
    }

    async fn drop(&mut self, vip: IpAddr) -> Result<(), NetError> {
        self.diary.write(Entry::Drop(vip));
        let result = self.drops.pop_front().unwrap_or(Ok(()));
        result.map_err(|()| NetError::Drop { address: vip.into(), source: io::ErrorKind::OutOfMemory.into() })
    }

    async fn probe(&mut self, _: IpAddr) -> Result<(), NetError> {
        Ok(())
    }

    async fn announce(&mut self, vip: IpAddr) -> Result<(), NetError> {
        self.diary.write(Entry::Announce(vip));
        Ok(())
    }

    async fn next(&mut self) -> Result<Event, NetError> {
        self.events.recv().await.unwrap()
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(desired(1, &[(vip(1), 10_000)]), &[], &[])
    }

    fn with(first: Desired, holds: &[(u64, Result<(), ()>)], drops: &[Result<(), ()>]) -> Self {
        let diary = Diary(clock::now(), Arc::default());
        let (events, incoming) = mpsc::unbounded_channel();
        let holds = holds.iter().map(|&(takes, result)| (Duration::from_millis(takes), result)).collect();
        let drops = drops.iter().copied().collect();
        let fake = Fake { diary: diary.clone(), holds, drops, events: incoming };
        let (desired, seen) = watch::channel(first);
        let (reports, mut reported) = mpsc::channel(1);
        let mut wires = Wires {
            name: "eth0".into(),
            vips: [vip(1), vip(2)].into(),
            desired: seen,
            reports,
            refused: watch::channel(false).0,
        };
        let mut announcer = JoinSet::new();
        announcer.spawn(async move {
            let (mut announcer, mut reporter) = (Announcer::new(CONFIG, 1), reporter());
            let end = run(&mut announcer, CONFIG.lifetime, fake, &mut wires, &mut reporter).await;
            (announcer, end)
        });
        let mut core = JoinSet::new();
        let written = diary.clone();
        core.spawn(async move {
            while let Some((_, report)) = reported.recv().await {
                written.write(Entry::Report(report.applied, (*report.present).clone()));
            }
        });
        Self { diary, desired, events, announcer, _core: core }
    }

    async fn until(&self, milliseconds: u64) {
        clock::until(Some(self.diary.0 + Duration::from_millis(milliseconds))).await;
    }
}

fn vip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn reporter() -> Reporter {
    let (witness, _) = Witness::for_tests();
    let vips = [1, 2].map(|last| (vip(last), vip(last).into()));
    Reporter::new("eth0".into(), vips.into(), witness)
}

/// Each address with its permission in milliseconds from now.
fn desired(serial: u64, vips: &[(IpAddr, u64)]) -> Desired {
    let now = clock::now();
    let grant = |milliseconds| {
        let until = now + Duration::from_millis(milliseconds);
        Grant { until, fence: until + Duration::from_millis(1_900), predecessor: Predecessor::Left }
    };
    Desired { serial, vips: Arc::new(vips.iter().map(|&(vip, until)| (vip, grant(until))).collect()) }
}

fn hold(last: u8) -> Entry {
    Entry::Hold(vip(last), CONFIG.lifetime)
}

fn report(applied: u64, present: &[IpAddr]) -> Entry {
    Entry::Report(applied, present.iter().copied().collect())
}

#[tokio::test(start_paused = true)]
async fn an_address_is_held_then_announced_then_reported() {
    let bench = Bench::with(desired(1, &[(vip(1), 10_000)]), &[(200, Ok(()))], &[]);
    bench.until(900).await;
    let expected = [(0, hold(1)), (200, Entry::Announce(vip(1))), (200, report(1, &[vip(1)]))];
    assert_eq!(bench.diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_address_is_dropped_before_the_report_says_so() {
    let bench = Bench::new();
    bench.until(500).await;
    bench.desired.send_replace(desired(2, &[]));
    bench.until(60_000).await;
    let expected = [
        (0, hold(1)),
        (0, Entry::Announce(vip(1))),
        (0, report(1, &[vip(1)])),
        (500, Entry::Drop(vip(1))),
        (500, report(2, &[])),
    ];
    assert_eq!(bench.diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_kernel_refuses_to_hold_is_not_announced_and_tried_again() {
    let bench = Bench::with(desired(1, &[(vip(1), 10_000)]), &[(0, Err(())), (0, Ok(()))], &[]);
    bench.until(1_900).await;
    let expected = [
        (0, hold(1)),
        (0, report(1, &[])),
        (1_000, hold(1)),
        (1_000, Entry::Announce(vip(1))),
        (1_000, report(1, &[vip(1)])),
    ];
    assert_eq!(bench.diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn one_refused_address_does_not_silence_another() {
    let both = desired(1, &[(vip(1), 10_000), (vip(2), 10_000)]);
    let bench = Bench::with(both, &[(0, Err(()))], &[]);
    bench.until(900).await;
    let expected = [(0, hold(1)), (0, hold(2)), (0, Entry::Announce(vip(2))), (0, report(1, &[vip(2)]))];
    assert_eq!(bench.diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_the_kernel_keeps_is_reported_until_it_is_gone() {
    let bench = Bench::with(desired(1, &[(vip(1), 10_000)]), &[], &[Err(()), Err(()), Ok(())]);
    bench.until(500).await;
    bench.desired.send_replace(desired(2, &[]));
    bench.until(60_000).await;
    let expected = [
        (500, Entry::Drop(vip(1))),
        (500, report(2, &[vip(1)])),
        (600, Entry::Drop(vip(1))),
        (700, Entry::Drop(vip(1))),
        (700, report(2, &[])),
    ];
    assert_eq!(bench.diary.entries().split_off(3), expected);
}

#[tokio::test(start_paused = true)]
async fn permission_that_ends_while_the_kernel_is_slow_is_not_used_any_more() {
    let both = desired(1, &[(vip(1), 2_000), (vip(2), 2_000)]);
    let bench = Bench::with(both, &[(2_500, Ok(()))], &[]);
    bench.until(60_000).await;
    let expected = [
        (0, hold(1)),
        (2_500, Entry::Drop(vip(1))),
        (2_500, Entry::Drop(vip(2))),
        // The core was told of both in between, and reads it only now.
        (2_500, report(1, &[vip(1), vip(2)])),
        (2_500, report(1, &[])),
    ];
    assert_eq!(bench.diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_kernel_could_not_hold_for_a_second_is_neither_held_nor_announced() {
    let mut brief = desired(1, &[(vip(1), 900)]);
    Arc::make_mut(&mut brief.vips).values_mut().for_each(|grant| grant.fence = grant.until);
    let bench = Bench::with(brief, &[], &[]);
    bench.until(60_000).await;
    let expected = [(0, report(1, &[vip(1)])), (900, Entry::Drop(vip(1))), (900, report(1, &[]))];
    assert_eq!(bench.diary.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_somebody_removed_is_put_back_and_said_again() {
    let bench = Bench::new();
    bench.until(500).await;
    bench.events.send(Ok(Event::Gone(vip(1)))).unwrap();
    bench.until(900).await;
    let expected = [(500, hold(1)), (500, Entry::Announce(vip(1)))];
    assert_eq!(bench.diary.entries().split_off(3), expected);
}

#[tokio::test(start_paused = true)]
async fn a_broken_interface_ends_the_run() {
    let mut bench = Bench::new();
    bench.until(500).await;
    bench.events.send(Err(NetError::Closed)).unwrap();
    let (_, end) = bench.announcer.join_next().await.unwrap().unwrap();
    assert!(matches!(end, End::Broken(NetError::Closed)), "{end:?}");
    assert_eq!((clock::now() - bench.diary.0).as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn what_expires_while_the_interface_is_away_does_not_count_as_gone() {
    let mut bench = Bench::new();
    bench.until(500).await;
    bench.events.send(Err(NetError::Closed)).unwrap();
    let (mut announcer, _) = bench.announcer.join_next().await.unwrap().unwrap();
    bench.until(11_000).await;
    interrupt(&mut announcer);
    assert_eq!(announcer.report(), Report::new(1, [vip(1)]));
    assert_eq!(announcer.presence(), [(vip(1), Presence::Stuck)].into());
    assert_eq!(announcer.handle(clock::now() + Duration::from_secs(1), Event::Tick), [Action::Drop(vip(1))]);
}

#[tokio::test(start_paused = true)]
async fn without_the_core_nothing_is_wanted_any_more() {
    let mut bench = Bench::new();
    bench.until(500).await;
    drop(bench.desired);
    let (_, end) = bench.announcer.join_next().await.unwrap().unwrap();
    assert!(matches!(end, End::Unwanted), "{end:?}");
}

const CONFIG: Config =
    Config { lifetime: Duration::from_secs(3), refresh: Duration::from_secs(60), wire_check: None };
