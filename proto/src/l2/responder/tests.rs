//! What a responder does, action by action, at the instant each is due.

#![expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};

use super::*;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(super) fn at(millis: u64) -> Instant {
    *START + Duration::from_millis(millis)
}

fn millis(instant: Instant) -> u64 {
    u64::try_from((instant - at(0)).as_millis()).unwrap()
}

/// Addresses of 10.0.0.0/8.
pub(super) fn vip(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::from([2, 0, 0, 0, 0, last])
}

pub(super) fn grant(until: u64, predecessor: Predecessor) -> Grant {
    Grant { until: at(until), fence: at(until + 1900), predecessor }
}

pub(super) fn desired(serial: u64, vips: impl IntoIterator<Item = (IpAddr, Grant)>) -> Event {
    Event::Desired(Desired { serial, vips: Arc::new(vips.into_iter().collect()) })
}

fn many(serial: u64, count: u32, grant: Grant) -> Event {
    desired(serial, (0..count).map(|number| (vip(number), grant)))
}

/// Later than anything else that happens.
pub(super) fn just_now(heard: Heard) -> Event {
    Event::Heard { heard, at: at(u64::from(u32::MAX)) }
}

fn claim(address: IpAddr, by: u8) -> Event {
    let sighting = Sighting { address, from: mac(by), kind: SightingKind::Claim };
    just_now(Heard { sighting: Some(sighting), solicitation: None })
}

fn probe(address: IpAddr, by: u8) -> Event {
    let sighting = Sighting { address, from: mac(by), kind: SightingKind::Probe };
    let sender = Ipv4Addr::UNSPECIFIED.into();
    let solicitation = Solicitation { target: address, sender, from: mac(by) };
    just_now(Heard { sighting: Some(sighting), solicitation: Some(solicitation) })
}

pub(super) fn question(target: IpAddr) -> Solicitation {
    Solicitation { target, sender: vip(0xff_ffff), from: mac(9) }
}

fn ask(target: IpAddr) -> Event {
    just_now(Heard { sighting: None, solicitation: Some(question(target)) })
}

fn announce(vip: IpAddr, until: u64) -> Action {
    Action::Announce { vip, until: at(until) }
}

fn answer(target: IpAddr, until: u64) -> Action {
    Action::Answer { solicitation: question(target), until: at(until) }
}

fn taken(by: u8) -> Action {
    Action::Tell(Finding::Taken { vip: vip(1), by: mac(by) })
}

fn conflict(defended: bool) -> Action {
    Action::Tell(Finding::Conflict { vip: vip(1), by: mac(1), defended })
}

/// With carrier, and nothing to answer for.
fn idle() -> Responder {
    let mut responder = Responder::new(CONFIG, 7);
    assert_eq!(responder.handle(at(0), Event::Link(Link::Up)), []);
    responder
}

/// Holds address 1 since 0, until `until`.
fn holding(until: u64) -> Responder {
    let mut responder = idle();
    let wanted = desired(1, [(vip(1), grant(until, Predecessor::Left))]);
    assert_eq!(responder.handle(at(0), wanted), [announce(vip(1), until)]);
    responder
}

/// Asks for address 1 since 0.
fn checking(until: u64) -> Responder {
    let mut responder = idle();
    let wanted = desired(1, [(vip(1), grant(until, Predecessor::Unknown))]);
    assert_eq!(responder.handle(at(0), wanted), [Action::Probe(vip(1))]);
    responder
}

/// Every action at its deadline, in milliseconds, up to `end`.
fn walk(responder: &mut Responder, end: u64) -> Vec<(u64, Action)> {
    let (mut seen, mut last) = (vec![], at(0));
    while let Some(due) = responder.deadline().filter(|&due| due <= at(end)) {
        let now = due.max(last);
        let actions = responder.handle(now, Event::Tick);
        assert!(actions.len() <= 2 * MOST_AT_ONCE, "{} actions at once", actions.len());
        seen.extend(actions.into_iter().map(|action| (millis(now), action)));
        last = now;
    }
    seen
}

fn words(walked: &[(u64, Action)]) -> Vec<u64> {
    let spoken = walked.iter().filter(|(_, action)| matches!(action, Action::Announce { .. }));
    spoken.map(|(millis, _)| *millis).collect()
}

#[test]
fn an_address_that_was_handed_over_is_announced_at_once_twice_more_soon_and_then_about_every_minute() {
    let mut responder = holding(1_000_000);
    let spoken = words(&walk(&mut responder, 999_999));
    assert_eq!(spoken[..2], [1100, 5000]);
    let pauses: Vec<u64> = spoken[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((7_500..=67_550).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses[1..].iter().all(|pause| (52_499..=67_550).contains(pause)), "{pauses:?}");
}

#[test]
fn what_was_said_and_asked_before_an_address_was_taken_is_about_its_predecessor() {
    let mut responder = idle();
    let wanted = desired(1, [(vip(1), grant(10_000, Predecessor::Left))]);
    assert_eq!(responder.handle(at(500), wanted), [announce(vip(1), 10_000)]);
    let mut hears = |event: Event, millis| match event {
        Event::Heard { heard, .. } => responder.handle(at(600), Event::Heard { heard, at: at(millis) }),
        Event::Desired(_) | Event::Tick | Event::Link(_) => vec![],
    };
    assert_eq!(hears(ask(vip(1)), 499), []);
    assert_eq!(hears(ask(vip(1)), 500), [answer(vip(1), 10_000)]);
    assert_eq!(hears(claim(vip(1), 1), 499), []);
    assert_eq!(hears(claim(vip(1), 1), 500), [announce(vip(1), 10_000), conflict(true)]);
    // What is said anew was not taken anew.
    assert_eq!(responder.handle(at(700), Event::Link(Link::Down)), []);
    assert_eq!(responder.handle(at(800), Event::Link(Link::Up)), [announce(vip(1), 10_000)]);
    let heard = Heard { sighting: None, solicitation: Some(question(vip(1))) };
    assert_eq!(responder.handle(at(900), Event::Heard { heard, at: at(600) }), [answer(vip(1), 10_000)]);
}

#[test]
fn an_address_whose_predecessor_is_unknown_is_asked_for_first() {
    let mut responder = checking(60_000);
    assert_eq!(responder.handle(at(5), ask(vip(1))), [], "not answered for before it is taken");
    let expected = [
        (10, Action::Probe(vip(1))),
        (20, Action::Probe(vip(1))),
        (45, Action::Tell(Finding::Free(vip(1)))),
        (45, announce(vip(1), 60_000)),
    ];
    assert_eq!(walk(&mut responder, 1000), expected);
    assert_eq!(responder.handle(at(1000), ask(vip(1))), [answer(vip(1), 60_000)]);
}

#[test]
fn a_question_is_answered_up_to_the_end_of_the_grant_and_not_at_it() {
    let mut responder = holding(3000);
    assert_eq!(responder.handle(at(2999), ask(vip(1))), [answer(vip(1), 3000)]);
    assert_eq!(responder.handle(at(2999), ask(vip(2))), [], "for what is not ours");
    assert_eq!(responder.handle(at(3000), ask(vip(1))), []);
    assert_eq!(responder.report(), Report::new(1, []));
}

#[test]
fn a_grant_that_was_extended_counts_from_then_on() {
    let mut responder = holding(3000);
    let renewed = desired(2, [(vip(1), grant(4000, Predecessor::Unknown))]);
    assert_eq!(responder.handle(at(500), renewed), []);
    assert_eq!(responder.handle(at(3999), ask(vip(1))), [answer(vip(1), 4000)]);
    assert_eq!(responder.handle(at(4000), ask(vip(1))), []);
}

#[test]
fn what_is_not_wanted_any_more_is_not_answered_for() {
    let mut responder = holding(3000);
    assert_eq!(responder.handle(at(10), desired(2, [])), []);
    assert_eq!(responder.handle(at(10), ask(vip(1))), []);
    assert_eq!((responder.deadline(), responder.tally()), (None, Tally::default()));
    assert_eq!(responder.turnover(), Turnover { taken: 1, let_go: 1 });
}

#[test]
fn a_grant_that_ended_on_its_way_here_is_none() {
    let mut responder = idle();
    let over = desired(1, [(vip(1), grant(500, Predecessor::Left))]);
    assert_eq!(responder.handle(at(500), over), []);
    assert_eq!(responder.report(), Report::new(1, []));
}

#[test]
fn a_new_grant_after_the_end_of_the_last_one_starts_with_the_question() {
    let mut responder = holding(1000);
    let later = desired(2, [(vip(1), grant(9000, Predecessor::Unknown))]);
    assert_eq!(responder.handle(at(4000), later), [Action::Probe(vip(1))]);
}

#[test]
fn a_probe_of_anothers_for_what_is_held_is_answered() {
    let mut responder = holding(3000);
    let sender = Ipv4Addr::UNSPECIFIED.into();
    let solicitation = Solicitation { target: vip(1), sender, from: mac(1) };
    let expected = [Action::Answer { solicitation, until: at(3000) }];
    assert_eq!(responder.handle(at(10), probe(vip(1), 1)), expected);
}

#[test]
fn one_who_has_it_blocks_and_is_told_once_and_asked_again_after_growing_waits() {
    let mut responder = checking(60_000);
    assert_eq!(responder.handle(at(5), claim(vip(1), 1)), [taken(1)]);
    assert_eq!(responder.rivals(), &[(vip(1), mac(1))].into());
    assert_eq!(responder.handle(at(6), claim(vip(1), 1)), []);
    let mut now = 5;
    let waits = [(); 6].map(|()| {
        let again = responder.deadline().unwrap();
        assert_eq!(responder.handle(again, Event::Tick), [Action::Probe(vip(1))]);
        assert_eq!(responder.handle(again, claim(vip(1), 1)), []);
        millis(again) - std::mem::replace(&mut now, millis(again))
    });
    assert_eq!(waits, [50, 100, 200, 400, 800, 1000]);
    assert_eq!((responder.presence(vip(1)), responder.tally().blocked), (Some(Presence::Blocked(mac(1))), 1));
    let free = walk(&mut responder, now + 2000);
    assert_eq!(free.last(), Some(&(now + 1045, announce(vip(1), 60_000))));
    assert!(responder.rivals().is_empty());
}

#[test]
fn another_who_asks_while_we_ask_blocks_too() {
    let mut responder = checking(60_000);
    assert_eq!(responder.handle(at(5), probe(vip(1), 2)), [taken(2)]);
}

#[test]
fn one_who_slept_through_the_answers_asks_again_from_the_start() {
    let mut responder = checking(60_000);
    assert_eq!(walk(&mut responder, 20).len(), 2);
    assert_eq!(responder.handle(at(45 + 251), Event::Tick), [Action::Probe(vip(1))]);
    let probes: Vec<u64> = walk(&mut responder, 2000).into_iter().map(|(at, _)| at).collect();
    assert_eq!(probes, [306, 316, 341, 341, 1441]);
}

#[test]
fn every_conflict_is_told_and_one_in_ten_seconds_is_answered() {
    let mut responder = holding(60_000);
    let claimed = [100, 101, 10_099, 10_100].map(|millis| {
        _ = walk(&mut responder, millis);
        responder.handle(at(millis), claim(vip(1), 1))
    });
    let (told, defended) = (vec![conflict(false)], vec![announce(vip(1), 60_000), conflict(true)]);
    assert_eq!(claimed, [defended.clone(), told.clone(), told, defended]);
}

#[test]
fn one_who_claims_thousands_is_answered_a_hundred_times_a_second() {
    let mut responder = idle();
    _ = responder.handle(at(0), many(1, 5000, grant(100_000, Predecessor::Left)));
    _ = walk(&mut responder, 3000);
    let mut defences = 0;
    for number in 0..5000 {
        let actions = responder.handle(at(3000 + u64::from(number) / 5), claim(vip(number), 1));
        defences += actions.iter().filter(|action| matches!(action, Action::Announce { .. })).count();
    }
    assert!((190..=202).contains(&defences), "{defences} in a second");
}

#[test]
fn without_carrier_nothing_is_said_and_with_it_everything_is_said_again() {
    let mut responder = holding(60_000);
    assert_eq!(responder.handle(at(500), Event::Link(Link::Down)), []);
    assert_eq!(responder.handle(at(600), ask(vip(1))), []);
    assert_eq!(responder.handle(at(600), claim(vip(1), 1)), [conflict(false)]);
    assert_eq!(responder.deadline(), Some(at(60_000)));
    assert_eq!(responder.handle(at(8000), Event::Link(Link::Up)), [announce(vip(1), 60_000)]);
    assert_eq!(words(&walk(&mut responder, 13_000)), [9100, 13_000]);
    assert_eq!(responder.handle(at(13_000), Event::Link(Link::Up)), []);
}

#[test]
fn a_check_starts_anew_with_the_carrier() {
    let mut responder = checking(60_000);
    assert_eq!(responder.handle(at(15), Event::Link(Link::Down)), []);
    assert_eq!(responder.handle(at(5000), Event::Link(Link::Up)), [Action::Probe(vip(1))]);
    assert_eq!(words(&walk(&mut responder, 6000)), [5045]);
}

#[test]
fn two_hundred_at_once_are_announced_at_once() {
    let mut responder = idle();
    let actions = responder.handle(at(0), many(1, 200, grant(60_000, Predecessor::Left)));
    let expected: Vec<Action> = (0..200).map(|number| announce(vip(number), 60_000)).collect();
    assert_eq!(actions, expected);
}

#[test]
fn ten_thousand_at_once_are_all_announced_within_three_seconds_and_at_a_pace() {
    for predecessor in [Predecessor::Left, Predecessor::Unknown] {
        let mut responder = idle();
        let granted = at(0);
        let mut frames: Vec<(u64, u64)> = vec![];
        let mut seen = BTreeSet::new();
        let first = responder.handle(granted, many(1, 10_000, grant(60_000, predecessor)));
        let walked = walk(&mut responder, 20_000);
        for (millis, action) in first.into_iter().map(|action| (0, action)).chain(walked) {
            match action {
                Action::Probe(_) => frames.push((millis, 1)),
                Action::Announce { vip, .. } => {
                    frames.push((millis, 2));
                    if seen.insert(vip) {
                        assert!(millis < 3000, "{vip} after {millis} ms");
                    }
                }
                Action::Answer { .. } | Action::Tell(_) => {}
            }
        }
        assert_eq!(seen.len(), 10_000);
        let busiest = (0..20).map(|second| {
            let within = frames.iter().filter(|(at, _)| at / 1000 == second);
            within.map(|(_, frames)| frames).sum::<u64>()
        });
        let most = busiest.max().unwrap();
        assert!(most <= 26_000, "{most} frames in a second");
    }
}

#[test]
fn refreshes_of_ten_thousand_keep_to_the_pace_and_are_spread_evenly() {
    let (mut responder, mut refreshed) = (idle(), BTreeMap::new());
    _ = responder.handle(at(0), many(1, 10_000, grant(1_000_000, Predecessor::Left)));
    _ = walk(&mut responder, 15_000);
    let mut seconds = BTreeMap::new();
    for (millis, action) in walk(&mut responder, 400_000) {
        let Action::Announce { vip, .. } = action else { continue };
        *seconds.entry(millis / 1000).or_insert(0_u32) += 2;
        let pause = refreshed.insert(vip, millis).map_or(0, |before| millis - before);
        assert!(pause <= 80_000, "{vip} after {pause} ms");
    }
    assert_eq!(refreshed.len(), 10_000);
    let busiest = seconds.values().max().unwrap();
    assert!(*busiest <= CONFIG.refresh_frames, "{busiest} frames in a second");
    let average = seconds.values().sum::<u32>() / 385;
    assert!((300..=350).contains(&average), "{average} frames a second");
    let quietest = seconds.range(20..400).map(|(_, frames)| frames).min().unwrap();
    assert!(*quietest >= 150, "{quietest} frames in a second");
}

#[test]
fn refreshes_of_thousands_are_few_wake_ups() {
    let mut responder = idle();
    _ = responder.handle(at(0), many(1, 2_000, grant(1_000_000, Predecessor::Left)));
    _ = walk(&mut responder, 80_000);
    let (mut wake_ups, mut spoken) = (0, 0);
    while let Some(due) = responder.deadline().filter(|&due| due <= at(140_000)) {
        spoken += responder.handle(due, Event::Tick).len();
        wake_ups += 1;
    }
    assert!((1_900..=2_100).contains(&spoken), "{spoken} in a minute");
    assert!(wake_ups < 4 * BEATS, "{wake_ups} in a minute");
}

#[test]
fn more_than_the_pace_allows_are_refreshed_more_seldom_and_in_turn() {
    let mut responder = Responder::new(Config { refresh_frames: 100, ..CONFIG }, 7);
    _ = responder.handle(at(0), Event::Link(Link::Up));
    _ = responder.handle(at(0), many(1, 6000, grant(1_000_000, Predecessor::Left)));
    _ = walk(&mut responder, 15_000);
    let walked = walk(&mut responder, 315_000);
    assert!((13_400..=13_520).contains(&walked.len()), "{} in 300 seconds", walked.len());
    let heard: BTreeSet<_> = walked.iter().take(6600).map(|(_, action)| format!("{action:?}")).collect();
    assert_eq!(heard.len(), 6000, "one is left out while others speak twice");
}

#[test]
fn thousands_that_somebody_else_has_are_asked_for_a_hundred_a_second() {
    let mut responder = idle();
    let first = responder.handle(at(0), many(1, 3000, grant(100_000, Predecessor::Unknown)));
    let mut queue = std::collections::VecDeque::from(first.into_iter().map(|a| (0, a)).collect::<Vec<_>>());
    let mut probes = BTreeMap::new();
    loop {
        while let Some((millis, action)) = queue.pop_front() {
            if let Action::Probe(vip) = action {
                *probes.entry(millis / 1000).or_insert(0_u32) += 1;
                _ = responder.handle(at(millis), claim(vip, 1));
            }
        }
        let Some(due) = responder.deadline().filter(|&due| due <= at(20_000)) else { break };
        queue.extend(responder.handle(due, Event::Tick).into_iter().map(|action| (millis(due), action)));
    }
    assert_eq!(responder.rivals().len(), 3000);
    let late = probes.range(5..).map(|(_, probes)| *probes).max().unwrap();
    assert!(late <= 110, "{late} probes in a second");
}

#[test]
fn a_renewal_of_all_moves_nothing() {
    let mut responder = idle();
    _ = responder.handle(at(0), many(1, 1000, grant(60_000, Predecessor::Left)));
    _ = walk(&mut responder, 10_000);
    let (before, deadline) = (responder.report().present, responder.deadline());
    let renewed = responder.handle(at(10_001), many(2, 1000, grant(70_000, Predecessor::Left)));
    assert_eq!((renewed, responder.deadline()), (vec![], deadline));
    assert_eq!(responder.report(), Report { applied: 2, present: before });
}

#[test]
fn a_share_that_changes_changes_the_pace() {
    let mut responder = idle();
    _ = responder.handle(at(0), many(1, 6000, grant(1_000_000, Predecessor::Left)));
    _ = walk(&mut responder, 100_000);
    responder.ration(10);
    let spoken = words(&walk(&mut responder, 160_000)).len();
    assert!((230..=270).contains(&spoken), "{spoken} in a minute");
}

const CONFIG: Config = Config {
    refresh: Duration::from_secs(60),
    refresh_frames: 350,
    wire_check: Some(WireCheck {
        probes: 3,
        interval: Duration::from_millis(10),
        wait: Duration::from_millis(25),
        retry: Duration::from_secs(1),
    }),
};
