//! The allocator without a clock that passes, and its task on a scripted API server.

mod contest;
mod running;

use vipcast_proto::election::{Grant, Predecessor, Role};
use vipcast_proto::ipam::{
    Assignment, Family, FamilyPolicy, Labels, PoolId, Port, Protocol, Source, TrafficPolicy,
};

use super::shown::Patch;
use super::*;
use crate::admin::board::StatusBoard;
use crate::admin::metrics::Metrics;
use crate::kube::events::{Events, Notice, Reason};

/// An allocator whose writes are answered by hand.
struct Bench {
    allocator: Allocator,
    notices: mpsc::Receiver<Notice>,
    vacancy: watch::Receiver<Vacancy>,
    report: watch::Receiver<AllocatorReport>,
}

impl Bench {
    /// One that leads, knows everything, and has one pool.
    fn leading(range: &str, views: Vec<Arc<ServiceView>>) -> Self {
        let mut bench = Self::following(range);
        bench.allocator.ruled(ruling(1, true));
        bench.feed(Feed::Forbidden(Forbidden::default()));
        bench.feed(Feed::Loaded(views));
        bench
    }

    fn following(range: &str) -> Self {
        let (outputs, notices, vacancy, report) = outputs();
        let desk = Desk::new(ipam::Settings::default(), pools(range));
        Self { allocator: Allocator::new(desk, outputs), notices, vacancy, report }
    }

    fn feed(&mut self, feed: Feed) {
        self.allocator.feed(feed);
    }

    /// Everything that is to be written now, by name.
    fn writes(&mut self) -> Vec<(String, Patch)> {
        let next = || self.allocator.next_write(clock::now());
        std::iter::from_fn(next).map(|(key, patch, _)| (key.name.to_string(), patch)).collect()
    }

    /// The same in short: name, status, annotation.
    fn brief(&mut self) -> Vec<(String, Option<String>, Option<String>)> {
        self.writes().into_iter().map(|(name, patch)| short(name, &patch)).collect()
    }

    fn land(&mut self, name: &str, patch: Patch, result: Result<(), Failure>) {
        self.allocator.landed(&Landed { key: key(name), patch, result });
    }

    /// Lets everything be written, and shows each Service as it is then.
    fn write_all(&mut self, views: &[Arc<ServiceView>]) -> Vec<Arc<ServiceView>> {
        let mut after = vec![];
        for (name, patch) in self.writes() {
            let view = views.iter().find(|view| *view.key.name == *name).unwrap();
            after.push(shown(view, &patch));
            self.land(&name, patch, Ok(()));
        }
        for view in &after {
            self.feed(Feed::Upsert(Arc::clone(view)));
        }
        after
    }

    /// Who leads, whether that is us, and how many addresses of the pool are used.
    fn reported(&mut self) -> (Option<String>, bool, Option<u128>) {
        self.allocator.report(clock::now());
        let report = self.report.borrow().clone();
        (report.leader, report.is_us, report.pools.first().map(|pool| pool.usage[0].used))
    }

    fn told(&mut self) -> Vec<(Reason, String)> {
        std::iter::from_fn(|| self.notices.try_recv().ok()).map(|it| (it.reason, it.note)).collect()
    }
}

fn outputs() -> (Outputs, mpsc::Receiver<Notice>, watch::Receiver<Vacancy>, watch::Receiver<AllocatorReport>)
{
    let (board, status) = StatusBoard::new("0.1.0", "n1");
    let metrics = Metrics::new("0.1.0", None, status);
    let (events, notices) = Events::channel();
    let (vacancy_out, vacancy) = watch::channel(Vacancy::default());
    let (report_out, report) = watch::channel(AllocatorReport::default());
    let witness = Witness { board, metrics, events };
    (Outputs { report: report_out, vacancy: vacancy_out, witness }, notices, vacancy, report)
}

fn ruling(serial: u64, leads: bool) -> Ruling {
    let now = clock::now();
    let until = now + Duration::from_secs(10);
    let grant = Grant { until, fence: until + Duration::from_secs(5), predecessor: Predecessor::Left };
    let role = if leads { Role::Holder } else { Role::Standby };
    let holder = Some(if leads { "n1" } else { "n2" }.into());
    Ruling { serial, grant: leads.then_some(grant), role, holder, known: true, bar: None }
}

fn pools(range: &str) -> Pools {
    let id = PoolId { source: Source::Own, name: "lab".into() };
    let pool = Pool::new(id, vec![range.parse().unwrap()]);
    Pools { complete: true, pools: vec![pool], faults: vec![] }
}

fn key(name: &str) -> ServiceKey {
    ServiceKey { namespace: "web".into(), name: name.into() }
}

/// A Service that is ours and has nothing yet.
pub(super) fn view(name: &str) -> Arc<ServiceView> {
    Arc::new(ServiceView {
        key: key(name),
        uid: format!("uid-{name}"),
        created: 0,
        standing: Standing::Ours,
        labels: Labels::new(),
        namespace_labels: Arc::default(),
        request: None,
        pool: None,
        sharing_key: None,
        ports: vec![],
        traffic: TrafficPolicy::Cluster,
        family_policy: FamilyPolicy::SingleStack,
        families: vec![Family::V4],
        ingress: vec![],
        ports_shown: true,
        status_writer: None,
        record: vec![],
    })
}

fn with(view: &ServiceView, change: impl FnOnce(&mut ServiceView)) -> Arc<ServiceView> {
    let mut view = view.clone();
    change(&mut view);
    Arc::new(view)
}

/// A Service that has an address from the pool, in status and annotation.
fn served(name: &str, address: &str) -> Arc<ServiceView> {
    with(&view(name), |view| {
        view.ingress = vec![address.parse().unwrap()];
        view.record = vec![Assignment { address: address.parse().unwrap(), pool: Some("lab".into()) }];
    })
}

/// A Service after a write.
fn shown(view: &ServiceView, patch: &Patch) -> Arc<ServiceView> {
    with(view, |view| {
        if let Some(status) = &patch.status {
            view.ingress.clone_from(&status.addresses);
            view.ports_shown = status.ports == view.ports;
        }
        if let Some(record) = &patch.record {
            view.record.clone_from(record);
        }
    })
}

fn short(name: String, patch: &Patch) -> (String, Option<String>, Option<String>) {
    let status = patch
        .status
        .as_ref()
        .map(|status| status.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    (name, status, patch.record.as_ref().map(|record| annotation(record)))
}

fn brief(name: &str, status: Option<&str>, record: Option<&str>) -> (String, Option<String>, Option<String>) {
    (name.to_owned(), status.map(Into::into), record.map(Into::into))
}

fn status(code: u16) -> Result<(), Failure> {
    Err(Failure::Status { code, message: "no".into() })
}

#[test]
fn a_service_gets_address_and_annotation_in_one_write_and_what_is_right_costs_none() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![view("a"), served("b", "192.0.2.1")]);
    let written = bench.writes();
    let pool = r#"[{"address":"192.0.2.2","pool":"lab"}]"#;
    let [(name, patch)] = &written[..] else { panic!("{written:?}") };
    assert_eq!(short(name.clone(), patch), brief("a", Some("192.0.2.2"), Some(pool)));
    bench.land("a", patch.clone(), Ok(()));
    // The feed may be late, or show an older change first.
    assert_eq!(bench.brief(), []);
    bench.feed(Feed::Upsert(shown(&view("a"), patch)));
    assert_eq!(bench.brief(), []);
    assert_eq!(bench.told(), [(Reason::AddressAssigned, "192.0.2.2 from pool lab".into())]);
}

#[test]
fn other_ports_of_a_service_are_one_write_and_a_status_without_ports_too() {
    let before = with(&served("a", "192.0.2.1"), |view| view.ports_shown = false);
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![Arc::clone(&before)]);
    let shown = bench.write_all(&[before]);
    assert_eq!((shown.clone(), bench.brief()), (vec![served("a", "192.0.2.1")], vec![]));
    let http = Port { protocol: Protocol::Tcp, number: 80 };
    let changed = with(&shown[0], |view| (view.ports, view.ports_shown) = (vec![http], false));
    bench.feed(Feed::Upsert(Arc::clone(&changed)));
    let [(name, patch)] = &bench.writes()[..] else { panic!("one write") };
    assert_eq!(patch.status.as_ref().map(|it| it.ports.clone()), Some(vec![http]));
    // They change once more while that is under way: the status has the older ones then.
    let https = Port { protocol: Protocol::Tcp, number: 443 };
    bench.feed(Feed::Upsert(with(&changed, |view| view.ports = vec![https])));
    bench.land(name, patch.clone(), Ok(()));
    let [(_, patch)] = &bench.writes()[..] else { panic!("one more") };
    assert_eq!(patch.status.as_ref().map(|it| it.ports.clone()), Some(vec![https]));
    assert_eq!(bench.told(), []);
}

#[test]
fn nothing_is_decided_before_everything_is_known() {
    let mut bench = Bench::following("192.0.2.1-192.0.2.9");
    bench.feed(Feed::Loaded(vec![view("a")]));
    assert_eq!(bench.brief(), []);
    bench.allocator.ruled(ruling(1, true));
    assert_eq!(bench.brief(), []);
    bench.allocator.set_pools(Pools { complete: false, ..pools("192.0.2.1-192.0.2.9") });
    bench.feed(Feed::Forbidden(Forbidden::default()));
    assert_eq!((bench.brief(), bench.allocator.obstacle(clock::now())), (vec![], Some("the pools")));
    bench.allocator.set_pools(pools("192.0.2.1-192.0.2.9"));
    assert_eq!(bench.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn pools_that_cannot_be_read_are_not_waited_for_without_end() {
    let mut bench = Bench::following("192.0.2.1-192.0.2.9");
    bench.allocator.set_pools(Pools { complete: false, ..pools("192.0.2.1-192.0.2.9") });
    bench.allocator.ruled(ruling(1, true));
    bench.feed(Feed::Forbidden(Forbidden::default()));
    bench.feed(Feed::Loaded(vec![view("a")]));
    assert_eq!(bench.brief(), []);
    clock::pause(PATIENCE).await;
    assert_eq!(bench.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_after_the_grant_has_ended_by_the_clock() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![view("a")]);
    let until = bench.allocator.ruling.grant.unwrap().until;
    clock::until(Some(until)).await;
    assert_eq!(bench.brief(), []);
}

#[test]
fn a_follower_writes_nothing_and_says_what_it_would_decide() {
    let mut bench = Bench::following("192.0.2.1-192.0.2.9");
    bench.allocator.ruled(ruling(1, false));
    bench.feed(Feed::Forbidden(Forbidden::default()));
    bench.feed(Feed::Loaded(vec![served("a", "192.0.2.7"), view("b")]));
    assert_eq!(bench.brief(), []);
    let has = |name: &str| {
        let decision = bench.allocator.desk.decision(&key(name)).unwrap();
        decision.assigned.iter().map(|it| it.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((has("a"), has("b")), (vec!["192.0.2.7".into()], vec!["192.0.2.1".into()]));
    let (used, _) = bench.allocator.desk.usage();
    assert_eq!(used[0].usage[0].used, 2);
    assert_eq!(bench.reported(), (Some("n2".into()), false, Some(2)));
}

/// Deciding about everything is much for one who only counts.
#[tokio::test(start_paused = true)]
async fn a_follower_counts_its_pools_seldom_and_at_once_when_they_are_others() {
    let mut bench = Bench::following("192.0.2.1-192.0.2.9");
    assert_eq!(bench.reported(), (None, false, None));
    bench.allocator.ruled(ruling(1, false));
    bench.feed(Feed::Forbidden(Forbidden::default()));
    bench.feed(Feed::Loaded(vec![served("a", "192.0.2.7")]));
    let counted = clock::now();
    let used = |used| (Some("n2".to_owned()), false, Some(used));
    assert_eq!(bench.reported(), used(1));
    bench.feed(Feed::Upsert(served("b", "192.0.2.8")));
    clock::until(bench.allocator.deadline()).await;
    assert_eq!(bench.reported(), used(1));
    clock::until(bench.allocator.deadline()).await;
    assert_eq!((bench.reported(), clock::now() - counted), (used(2), FOLLOWERS_REPORT));
    assert_eq!(bench.allocator.deadline(), None);
    bench.allocator.set_pools(pools("192.0.2.8-192.0.2.9"));
    clock::until(bench.allocator.deadline()).await;
    assert_eq!(bench.reported(), used(1));
}

#[test]
fn who_lost_the_election_lands_what_is_under_way_and_then_says_so() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![view("a"), view("b")]);
    let (key, patch, _) = bench.allocator.next_write(clock::now()).unwrap();
    bench.allocator.ruled(ruling(2, false));
    assert_eq!(*bench.vacancy.borrow(), Vacancy { serial: 2, vacated: false });
    assert_eq!(bench.brief(), []);
    bench.land(&key.name, patch, Ok(()));
    assert_eq!(*bench.vacancy.borrow(), Vacancy { serial: 2, vacated: true });
    assert_eq!(bench.brief(), []);
}

#[test]
fn a_new_leader_goes_on_where_the_last_one_ended() {
    let views = vec![view("a"), view("b")];
    let mut first = Bench::leading("192.0.2.1-192.0.2.9", views.clone());
    let (name, patch) = first.writes().remove(0);
    // The first dies with one of two written; another Service is younger and came to the list first.
    let after: Vec<_> = views
        .iter()
        .map(|view| if *view.key.name == *name { shown(view, &patch) } else { view.clone() })
        .collect();
    let mut second = Bench::leading("192.0.2.1-192.0.2.9", after);
    let other = brief("b", Some("192.0.2.2"), Some(r#"[{"address":"192.0.2.2","pool":"lab"}]"#));
    assert_eq!((name.as_str(), second.brief()), ("a", vec![other]));
}

/// No precondition on the Service that is written would help: the address is another's by now, and that is another object.
#[test]
fn what_an_older_leader_writes_too_late_is_set_right_when_the_watch_shows_it() {
    let range = "192.0.2.1-192.0.2.9";
    let mut first = Bench::leading(range, vec![view("a")]);
    let (_, late) = first.writes().remove(0);
    // While its request was under way, its successor gave the address to another one.
    let mut second = Bench::leading(range, vec![served("b", "192.0.2.1"), view("a")]);
    let mut all = second.write_all(&[view("a")]);
    assert_eq!(all[0].ingress, ["192.0.2.2".parse::<std::net::IpAddr>().unwrap()]);
    let overwritten = shown(&view("a"), &late);
    second.feed(Feed::Upsert(Arc::clone(&overwritten)));
    all = second.write_all(&[overwritten, served("b", "192.0.2.1")]);
    let written: Vec<_> = all.iter().map(|view| (view.key.name.as_ref(), view.ingress.clone())).collect();
    let has: Vec<_> = ["a", "b"]
        .map(|name| second.allocator.desk.ipam().unwrap().addresses(&key(name)).collect::<Vec<_>>())
        .concat();
    assert!(has.len() == 2 && has[0] != has[1], "{has:?} after {written:?}");
    assert_eq!((written.len(), second.brief()), (1, vec![]));
}

#[test]
fn a_grant_after_a_grant_begins_with_what_the_cluster_has() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![view("a")]);
    assert_eq!(bench.writes().len(), 1);
    // While this node was frozen another one led, and gave another address.
    bench.feed(Feed::Upsert(served("a", "192.0.2.5")));
    bench.allocator.ruled(ruling(3, true));
    let has: Vec<_> = bench.allocator.desk.ipam().unwrap().addresses(&key("a")).collect();
    assert_eq!(has, ["192.0.2.5".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn what_we_wrote_is_cleared_where_a_service_is_ours_no_more() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![served("a", "192.0.2.1"), view("b")]);
    bench.write_all(&[view("b")]);
    bench.feed(Feed::Upsert(with(&served("a", "192.0.2.1"), |view| view.standing = Standing::Foreign)));
    assert_eq!(bench.brief(), [brief("a", Some(""), Some("[]"))]);
    // What somebody else gave it stays.
    let others = with(&view("c"), |view| {
        view.standing = Standing::Foreign;
        view.ingress = vec!["192.0.2.3".parse().unwrap()];
    });
    bench.feed(Feed::Upsert(others));
    assert_eq!(bench.brief(), []);
}

#[test]
fn a_service_that_is_gone_is_forgotten_and_one_that_may_still_be_there_loses_our_annotation() {
    let views = vec![served("a", "192.0.2.1"), served("b", "192.0.2.2"), view("c")];
    let mut bench = Bench::leading("192.0.2.1-192.0.2.2", views);
    assert_eq!(bench.brief(), []);
    bench.feed(Feed::Deleted(key("a")));
    let given = brief("c", Some("192.0.2.1"), Some(r#"[{"address":"192.0.2.1","pool":"lab"}]"#));
    assert_eq!(bench.brief(), [given]);
    bench.feed(Feed::Removed(key("b")));
    let written = bench.writes();
    assert_eq!(written, [("b".to_owned(), Patch::forgetting("uid-b"))]);
    bench.land("b", written[0].1.clone(), status(422));
    assert_eq!((bench.brief(), bench.allocator.outbox.deadline()), (vec![], None));
}

#[test]
fn a_list_after_a_lost_watch_shows_what_is_gone_and_what_somebody_wiped() {
    let mut bench =
        Bench::leading("192.0.2.1-192.0.2.9", vec![served("a", "192.0.2.1"), served("b", "192.0.2.2")]);
    assert_eq!(bench.brief(), []);
    let wiped = with(&served("b", "192.0.2.2"), |view| view.ingress.clear());
    bench.feed(Feed::Loaded(vec![wiped]));
    assert_eq!(bench.brief(), [brief("a", None, Some("[]")), brief("b", Some("192.0.2.2"), None)]);
}

#[test]
fn each_failure_is_followed_by_what_can_help() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![view("a"), view("b"), view("c"), view("d")]);
    let written = bench.writes();
    for ((name, patch), code) in written.into_iter().zip([404, 409, 403, 503]) {
        bench.land(&name, patch, status(code));
    }
    // News help where the write was based on something stale, and nowhere else.
    for name in ["b", "c", "d"] {
        let news = with(&view(name), |view| view.labels = [("app".into(), "x".into())].into());
        bench.feed(Feed::Upsert(news));
    }
    let names: Vec<_> = bench.writes().into_iter().map(|(name, _)| name).collect();
    assert_eq!((names, bench.allocator.outbox.len()), (vec!["b".to_owned()], 3));
    assert_eq!(bench.allocator.refused.keys().collect::<Vec<_>>(), [&key("c")]);
    bench.allocator.report(clock::now());
    assert_eq!(bench.report.borrow().refused.as_deref(), Some("status 403: no"));
}

#[test]
fn who_cannot_be_served_is_told_once_with_the_numbers() {
    let asks = with(&view("b"), |view| {
        let fields = ipam::RequestFields { kube_vip: Some("127.0.0.1"), ..ipam::RequestFields::default() };
        view.request = ipam::Request::from_fields(fields);
    });
    let mut bench = Bench::leading("192.0.2.1-192.0.2.1", vec![served("a", "192.0.2.1"), asks, view("c")]);
    let expected = [
        (
            Reason::RequestRefused,
            "127.0.0.1: not for Services: not a unicast address that a host can have on a network",
        ),
        (Reason::PoolExhausted, "an IPv4 address: pool lab (vipcast): 1 of 1 IPv4 addresses used"),
    ];
    assert_eq!(bench.told(), expected.map(|(reason, note)| (reason, note.to_owned())));
    bench.feed(Feed::Upsert(with(&view("c"), |view| view.labels = [("app".into(), "x".into())].into())));
    assert_eq!((bench.told(), bench.brief()), (vec![], vec![]));
}

#[test]
fn a_second_family_that_is_only_preferred_is_not_missed_and_the_only_one_is() {
    let prefers = |name| {
        with(&view(name), |view| {
            (view.family_policy, view.families) =
                (FamilyPolicy::PreferDualStack, vec![Family::V4, Family::V6]);
        })
    };
    let mut bench = Bench::leading("192.0.2.1-192.0.2.1", vec![prefers("a")]);
    bench.write_all(&[prefers("a")]);
    assert_eq!(bench.told(), [(Reason::AddressAssigned, "192.0.2.1 from pool lab".to_owned())]);
    bench.feed(Feed::Upsert(prefers("b")));
    assert_eq!(bench.told().into_iter().map(|(reason, _)| reason).next(), Some(Reason::PoolExhausted));
}

#[test]
fn an_address_outside_its_shrunk_pool_is_kept_and_told_once() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![served("a", "192.0.2.7")]);
    assert_eq!((bench.told(), bench.brief()), (vec![], vec![]));
    for range in ["192.0.2.1-192.0.2.3", "192.0.2.1-192.0.2.2"] {
        bench.allocator.set_pools(pools(range));
    }
    let note =
        "192.0.2.7 is not in pool lab any more; the Service keeps it, and pool lab gives it to no other";
    assert_eq!((bench.told(), bench.brief()), (vec![(Reason::AddressRetained, note.to_owned())], vec![]));
}

#[test]
fn an_address_that_becomes_forbidden_is_replaced_in_one_write_with_the_reason_told() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![served("a", "192.0.2.1")]);
    let mut forbidden = Forbidden::default();
    forbidden.address("192.0.2.1".parse().unwrap(), ipam::ForbiddenReason::Node("n3".into()));
    bench.feed(Feed::Forbidden(forbidden));
    let after = bench.write_all(&[served("a", "192.0.2.1")]);
    assert_eq!(after, [served("a", "192.0.2.2")]);
    let told = [
        (Reason::AddressWithdrawn, "192.0.2.1: not for Services: the address of node n3"),
        (Reason::AddressAssigned, "192.0.2.2 from pool lab"),
    ];
    assert_eq!(bench.told(), told.map(|(reason, note)| (reason, note.to_owned())));
}
