//! What an interface does with its addresses, action by action, at the instant each is due.

#![expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]

use std::mem;
use std::sync::{Arc, LazyLock};

use super::*;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(millis: u64) -> Instant {
    *START + Duration::from_millis(millis)
}

fn vip() -> IpAddr {
    IpAddr::from([192, 0, 2, 100])
}

fn other() -> IpAddr {
    IpAddr::from([192, 0, 2, 9])
}

fn mac(last: u8) -> MacAddr {
    MacAddr::from([2, 0, 0, 0, 0, last])
}

fn grant(until: u64, predecessor: Predecessor) -> Grant {
    Grant { until: at(until), fence: at(until + 1900), predecessor }
}

fn desired(serial: u64, vips: impl IntoIterator<Item = (IpAddr, Grant)>) -> Event {
    Event::Desired(Desired { serial, vips: Arc::new(vips.into_iter().collect()) })
}

fn seen(by: u8, kind: SightingKind) -> Event {
    Event::Seen { vip: vip(), by: mac(by), kind }
}

fn hold(until: u64) -> Action {
    Action::Hold { vip: vip(), fence: at(until + 1900) }
}

fn announce() -> Action {
    Action::Announce(vip())
}

fn taken(by: u8) -> Action {
    Action::Tell(Finding::Taken { vip: vip(), by: mac(by) })
}

fn conflict(by: u8, defended: bool) -> Action {
    Action::Tell(Finding::Conflict { vip: vip(), by: mac(by), defended })
}

fn report(applied: u64, present: impl IntoIterator<Item = IpAddr>) -> Report {
    Report::new(applied, present)
}

fn presence(announcer: &Announcer) -> Option<Presence> {
    announcer.presence().get(&vip()).copied()
}

/// Holds after a hand-over, until `until`; spoke for the first time at 0.
fn holding(until: u64) -> Announcer {
    let mut announcer = Announcer::new(CONFIG, 7);
    let wanted = desired(1, [(vip(), grant(until, Predecessor::Left))]);
    assert_eq!(announcer.handle(at(0), wanted), [hold(until), announce()]);
    announcer
}

/// Asks since 0; the first probe is out.
fn checking(until: u64) -> Announcer {
    let mut announcer = Announcer::new(CONFIG, 7);
    let wanted = desired(1, [(vip(), grant(until, Predecessor::Unknown))]);
    assert_eq!(announcer.handle(at(0), wanted), [Action::Probe(vip())]);
    announcer
}

/// Would not be dropped at 10; nobody wants it.
fn stuck() -> Announcer {
    let mut announcer = holding(60_000);
    assert_eq!(announcer.handle(at(10), desired(2, [])), [Action::Drop(vip())]);
    assert_eq!(announcer.handle(at(10), Event::Stuck(vip())), []);
    announcer
}

/// Every action at its deadline, in milliseconds, up to `end`.
fn walk(announcer: &mut Announcer, end: u64) -> Vec<(u64, Action)> {
    let mut seen = vec![];
    while let Some(due) = announcer.deadline().filter(|&due| due <= at(end)) {
        let millis = u64::try_from((due - at(0)).as_millis()).unwrap();
        seen.extend(announcer.handle(due, Event::Tick).into_iter().map(|action| (millis, action)));
        assert!(announcer.deadline().is_none_or(|next| next > due), "stands still at {millis} ms");
    }
    seen
}

fn words(announcer: &mut Announcer, end: u64) -> Vec<u64> {
    let walked = walk(announcer, end).into_iter();
    walked.filter(|(_, action)| *action == announce()).map(|(millis, _)| millis).collect()
}

#[test]
fn a_take_over_without_a_check_is_announced_in_a_burst_and_then_refreshed_within_an_eighth() {
    let mut announcer = holding(1_000_000);
    let spoken = words(&mut announcer, 999_999);
    assert_eq!(spoken[..2], [1100, 5000]);
    let pauses: Vec<u64> = spoken[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() > 10 && pauses.iter().all(|pause| (52_499..=67_500).contains(pause)), "{pauses:?}");
    assert!(pauses.iter().max() > pauses.iter().min().map(|shortest| shortest + 1000).as_ref(), "{pauses:?}");
}

#[test]
fn another_seed_refreshes_at_other_times_and_the_same_at_the_same() {
    let [mut first, mut same, mut third] =
        [7, 7, 9].map(|seed| Announcer { jitter: seed, ..holding(300_000) });
    let spoken = words(&mut first, 299_999);
    assert_eq!(spoken, words(&mut same, 299_999));
    assert_ne!(spoken, words(&mut third, 299_999));
}

#[test]
fn a_hold_is_refreshed_after_half_of_its_lifetime_with_the_newest_fence() {
    let mut announcer = holding(60_000);
    let renewed = desired(2, [(vip(), grant(61_000, Predecessor::Left))]);
    assert_eq!(announcer.handle(at(1050), renewed), []);
    let expected = [(1100, announce()), (1650, hold(61_000)), (3300, hold(61_000))];
    assert_eq!(walk(&mut announcer, 3300), expected);
}

#[test]
fn a_hold_that_is_due_soon_comes_with_the_extension_of_the_grant() {
    let mut announcer = holding(60_000);
    assert_eq!(walk(&mut announcer, 1199), [(1100, announce())]);
    for (serial, millis, expected) in [(2, 1199, vec![]), (3, 1200, vec![hold(61_000)]), (4, 1300, vec![])] {
        let renewed = desired(serial, [(vip(), grant(61_000, Predecessor::Left))]);
        assert_eq!(announcer.handle(at(millis), renewed), expected);
    }
    assert_eq!(walk(&mut announcer, 2850), [(2850, hold(61_000))]);
}

#[test]
fn a_wire_check_asks_at_the_configured_times_and_then_holds() {
    let mut announcer = checking(60_000);
    assert_eq!((announcer.report(), presence(&announcer)), (report(1, []), Some(Presence::Checking)));
    let expected = [
        (10, Action::Probe(vip())),
        (20, Action::Probe(vip())),
        (45, Action::Tell(Finding::Free(vip()))),
        (45, hold(60_000)),
        (45, announce()),
    ];
    assert_eq!(walk(&mut announcer, 100), expected);
    assert_eq!((announcer.report(), presence(&announcer)), (report(1, [vip()]), Some(Presence::Held)));
}

#[test]
fn without_a_configured_check_nobody_is_asked() {
    let mut announcer = Announcer::new(Config { wire_check: None, ..CONFIG }, 7);
    let wanted = desired(1, [(vip(), grant(3000, Predecessor::Unknown))]);
    assert_eq!(announcer.handle(at(0), wanted), [hold(3000), announce()]);
}

#[test]
fn an_answer_or_anothers_probe_blocks_until_the_next_attempt_and_each_station_is_told_once() {
    let mut announcer = checking(60_000);
    assert_eq!(announcer.handle(at(5), seen(1, SightingKind::Claim)), [taken(1)]);
    assert_eq!(announcer.handle(at(6), seen(1, SightingKind::Claim)), []);
    assert_eq!(presence(&announcer), Some(Presence::Blocked(mac(1))));
    assert_eq!(walk(&mut announcer, 55), [(55, Action::Probe(vip()))]);
    assert_eq!(announcer.handle(at(57), seen(1, SightingKind::Probe)), []);
    assert_eq!(walk(&mut announcer, 157), [(157, Action::Probe(vip()))]);
    assert_eq!(announcer.handle(at(158), seen(2, SightingKind::Probe)), [taken(2)]);
    assert_eq!((announcer.report(), announcer.deadline()), (report(1, []), Some(at(358))));
    let free = walk(&mut announcer, 500);
    assert_eq!(free.last(), Some(&(403, announce())));
}

#[test]
fn whoever_stays_is_asked_less_often_until_it_is_once_in_a_retry() {
    let mut announcer = checking(60_000);
    let mut now = at(0);
    let attempts = [(); 7].map(|()| {
        _ = announcer.handle(now, seen(1, SightingKind::Claim));
        let next = announcer.deadline().unwrap();
        assert_eq!(announcer.handle(next, Event::Tick), [Action::Probe(vip())]);
        (next - mem::replace(&mut now, next)).as_millis()
    });
    assert_eq!(attempts, [50, 100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn a_probe_of_anothers_is_left_to_the_kernel_where_the_address_is_held() {
    let mut announcer = holding(60_000);
    assert_eq!(announcer.handle(at(10), seen(1, SightingKind::Probe)), []);
}

#[test]
fn every_conflict_is_told_and_one_in_ten_seconds_is_answered() {
    let mut announcer = holding(60_000);
    let claimed = [100, 101, 10_099, 10_100].map(|millis| {
        _ = walk(&mut announcer, millis);
        announcer.handle(at(millis), seen(1, SightingKind::Claim))
    });
    let (told, defended) = (vec![conflict(1, false)], vec![announce(), conflict(1, true)]);
    assert_eq!(claimed, [defended.clone(), told.clone(), told, defended]);
}

#[test]
fn a_flapping_link_or_a_lost_address_does_not_permit_another_defence() {
    let mut announcer = holding(60_000);
    assert_eq!(announcer.handle(at(100), seen(1, SightingKind::Claim)), [announce(), conflict(1, true)]);
    assert_eq!(announcer.handle(at(200), Event::Link(Link::Down)), []);
    assert_eq!(announcer.handle(at(300), Event::Link(Link::Up)), [hold(60_000), announce()]);
    assert_eq!(announcer.handle(at(400), seen(1, SightingKind::Claim)), [conflict(1, false)]);
    assert_eq!(announcer.handle(at(500), Event::Gone(vip())), [hold(60_000), announce()]);
    assert_eq!(announcer.handle(at(600), seen(1, SightingKind::Claim)), [conflict(1, false)]);
}

#[test]
fn drops_come_before_holds() {
    let mut announcer = holding(60_000);
    let wanted = desired(2, [(other(), grant(60_000, Predecessor::Left))]);
    let taken = Action::Hold { vip: other(), fence: at(61_900) };
    assert_eq!(announcer.handle(at(10), wanted), [Action::Drop(vip()), taken, Action::Announce(other())]);
    assert_eq!(announcer.report(), report(2, [other()]));
}

#[test]
fn at_the_end_of_its_grant_an_address_is_dropped_and_nothing_more_is_said() {
    let mut announcer = holding(1000);
    assert_eq!(walk(&mut announcer, 60_000), [(1000, Action::Drop(vip()))]);
    assert_eq!((announcer.report(), announcer.deadline()), (report(1, []), None));
    let mut asking = checking(5);
    assert_eq!((walk(&mut asking, 60_000), presence(&asking)), (vec![], None));
}

#[test]
fn a_grant_that_ended_on_its_way_down_is_none_whatever_was_permitted_before() {
    let mut announcer = holding(60_000);
    let over = desired(2, [(vip(), grant(500, Predecessor::Left))]);
    assert_eq!(announcer.handle(at(500), over), [Action::Drop(vip())]);
    assert_eq!(announcer.report(), report(2, []));
}

#[test]
fn a_new_grant_after_the_end_of_the_last_one_starts_with_the_question() {
    let mut announcer = holding(1000);
    let later = desired(5, [(vip(), grant(9000, Predecessor::Unknown))]);
    assert_eq!(announcer.handle(at(4000), later), [Action::Drop(vip()), Action::Probe(vip())]);
}

#[test]
fn a_check_pauses_without_carrier_and_starts_anew_with_it() {
    let mut announcer = checking(60_000);
    assert_eq!(walk(&mut announcer, 10), [(10, Action::Probe(vip()))]);
    assert_eq!(announcer.handle(at(15), Event::Link(Link::Down)), []);
    assert_eq!(announcer.deadline(), Some(at(60_000)));
    assert_eq!(announcer.handle(at(100), Event::Tick), []);
    assert_eq!(announcer.handle(at(5000), Event::Link(Link::Up)), [Action::Probe(vip())]);
    let rest: Vec<u64> = walk(&mut announcer, 5045).into_iter().map(|(millis, _)| millis).collect();
    assert_eq!(rest, [5010, 5020, 5045, 5045, 5045]);
}

#[test]
fn a_blocked_address_waits_for_the_carrier_before_it_asks_again() {
    let mut announcer = checking(60_000);
    assert_eq!(announcer.handle(at(5), seen(1, SightingKind::Claim)), [taken(1)]);
    assert_eq!(announcer.handle(at(6), Event::Link(Link::Down)), []);
    assert_eq!(walk(&mut announcer, 59_999), []);
    assert_eq!(announcer.handle(at(59_999), Event::Link(Link::Up)), [Action::Probe(vip())]);
}

#[test]
fn what_is_held_is_held_and_said_again_when_the_carrier_returns() {
    let mut announcer = holding(60_000);
    assert_eq!(words(&mut announcer, 8000), [1100, 5000]);
    assert_eq!(announcer.handle(at(8000), Event::Link(Link::Down)), []);
    assert_eq!(announcer.handle(at(8500), Event::Link(Link::Up)), [hold(60_000), announce()]);
    assert_eq!(announcer.handle(at(8500), Event::Link(Link::Up)), []);
    assert_eq!(words(&mut announcer, 14_000), [9600, 13_500]);
}

#[test]
fn an_address_that_the_kernel_lost_is_held_and_announced_at_once() {
    let mut announcer = holding(60_000);
    assert_eq!(announcer.handle(at(50), Event::Gone(vip())), [hold(60_000), announce()]);
    assert_eq!(announcer.handle(at(60), Event::Gone(other())), []);
    assert_eq!(walk(&mut announcer, 1700), [(1150, announce()), (1700, hold(60_000))]);
}

#[test]
fn an_address_that_was_refused_at_once_is_absent_and_tried_again_after_a_second() {
    let mut announcer = holding(1500);
    assert_eq!(announcer.handle(at(10), Event::Refused(vip())), []);
    assert_eq!((announcer.report(), presence(&announcer)), (report(1, []), Some(Presence::Refused)));
    assert_eq!(walk(&mut announcer, 1010), [(1010, hold(1500)), (1010, announce())]);
    assert_eq!(announcer.handle(at(1020), Event::Refused(vip())), []);
    assert_eq!(walk(&mut announcer, 1500), []);
    assert_eq!((announcer.report(), presence(&announcer)), (report(1, []), None));
}

#[test]
fn an_address_whose_extension_was_refused_is_present_until_it_is_dropped() {
    let mut announcer = holding(3500);
    assert_eq!(walk(&mut announcer, 1650), [(1100, announce()), (1650, hold(3500))]);
    assert_eq!(announcer.handle(at(1700), Event::Refused(vip())), []);
    assert_eq!((announcer.report(), presence(&announcer)), (report(1, [vip()]), Some(Presence::Refused)));
    assert_eq!(walk(&mut announcer, 2700), [(2700, hold(3500)), (2700, announce())]);
    assert_eq!(announcer.handle(at(2710), Event::Refused(vip())), []);
    assert_eq!(announcer.report(), report(1, [vip()]));
    assert_eq!(walk(&mut announcer, 9000), [(3500, Action::Drop(vip()))]);
}

#[test]
fn a_refusal_is_remembered_for_half_a_minute() {
    let mut announcer = holding(1500);
    assert!(!announcer.is_refused());
    assert_eq!(announcer.handle(at(10), Event::Refused(vip())), []);
    assert_eq!(announcer.handle(at(20), desired(2, [])), []);
    assert_eq!((announcer.is_refused(), announcer.deadline()), (true, Some(at(30_010))));
    assert_eq!(announcer.handle(at(30_010), Event::Tick), []);
    assert_eq!((announcer.is_refused(), announcer.deadline()), (false, None));
}

#[test]
fn an_address_that_cannot_be_dropped_is_present_and_tried_again_until_it_is_gone() {
    let mut announcer = stuck();
    assert_eq!((announcer.report(), presence(&announcer)), (report(2, [vip()]), Some(Presence::Stuck)));
    assert_eq!(walk(&mut announcer, 110), [(110, Action::Drop(vip()))]);
    assert_eq!(announcer.handle(at(111), Event::Stuck(vip())), []);
    assert_eq!(announcer.report(), report(2, [vip()]));
    assert_eq!(announcer.handle(at(150), Event::Gone(vip())), []);
    assert_eq!((announcer.report(), announcer.deadline()), (report(2, []), None));
}

#[test]
fn a_stuck_address_that_is_wanted_again_is_taken_as_any_other() {
    let mut handed = stuck();
    let wanted = desired(3, [(vip(), grant(9000, Predecessor::Left))]);
    assert_eq!(handed.handle(at(50), wanted), [hold(9000), announce()]);
    assert_eq!(walk(&mut handed, 1700), [(1150, announce()), (1700, hold(9000))]);
    let mut asked = stuck();
    let wanted = desired(3, [(vip(), grant(9000, Predecessor::Unknown))]);
    assert_eq!(asked.handle(at(50), wanted), [Action::Drop(vip()), Action::Probe(vip())]);
}

#[test]
fn a_drop_that_failed_before_the_address_was_held_again_changes_nothing() {
    let mut announcer = holding(1000);
    let later = desired(5, [(vip(), grant(9000, Predecessor::Left))]);
    assert_eq!(announcer.handle(at(1000), later), [Action::Drop(vip()), hold(9000), announce()]);
    assert_eq!(announcer.handle(at(1001), Event::Stuck(vip())), []);
    assert_eq!(presence(&announcer), Some(Presence::Held));
}

#[test]
fn the_report_names_the_newest_serial_and_what_may_be_present() {
    let mut announcer = Announcer::new(CONFIG, 7);
    let mut reports = vec![announcer.report()];
    let both = [(vip(), grant(9000, Predecessor::Left)), (other(), grant(9000, Predecessor::Unknown))];
    for event in [desired(4, both), desired(9, [(other(), grant(9000, Predecessor::Unknown))])] {
        _ = announcer.handle(at(0), event);
        reports.push(announcer.report());
    }
    assert_eq!(reports, [report(0, []), report(4, [vip()]), report(9, [])]);
}

#[test]
fn the_kernel_keeps_an_address_for_whole_seconds_that_end_before_the_fence() {
    let most = Duration::from_secs(3);
    let lifetimes = [0, 1000, 1299, 1300, 2299, 2300, 3300, 60_000]
        .map(|left| kernel_lifetime(at(1000), at(1000 + left), most));
    assert_eq!(lifetimes, [None, None, None, Some(1), Some(1), Some(2), Some(3), Some(3)]);
    assert_eq!(kernel_lifetime(at(1000), at(0), most), None);
}

const CONFIG: Config = Config {
    lifetime: Duration::from_secs(3),
    refresh: Duration::from_secs(60),
    wire_check: Some(WireCheck {
        probes: 3,
        interval: Duration::from_millis(10),
        wait: Duration::from_millis(25),
        retry: Duration::from_secs(1),
    }),
};
