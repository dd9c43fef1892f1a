use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::election::{Stamp, Timing};
use crate::placement::{Key, Life, Write};

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn life(boot: u128) -> Life {
    Life { boot, process: 1 }
}

fn member(name: &str) -> Spread {
    Spread::new(Config {
        name: name.to_owned(),
        life: life(1),
        timing: TIMING,
        pace: ms(25),
        patience: ms(500),
    })
}

fn record(version: u64, statement: Statement) -> Record {
    Record {
        version: version.to_string(),
        renewed: Some(Stamp(i64::try_from(version).unwrap())),
        lease_duration: Some(TIMING.lease_duration),
        transitions: 0,
        statement: Some(statement),
    }
}

fn statement(boot: u128, sequence: u64, view: View) -> Statement {
    let (also, not, unable) = ([].into(), [].into(), [].into());
    Statement { life: life(boot), sequence, weight: 1, view, also, not, unable }
}

fn view(names: &[&str]) -> View {
    View::new(names.iter().map(|name| (MemberId::of(name), 1)))
}

fn addresses(count: u8) -> Vec<IpAddr> {
    (0..count).map(|last| IpAddr::from([192, 0, 2, last])).collect()
}

fn wanted(count: u8) -> Event {
    Event::Wanted(addresses(count).into_iter().map(|vip| (vip, Some(Facts::plain(vip)))).collect())
}

fn seen(name: &str, record: Record) -> Event {
    Event::Seen { name: name.to_owned(), record: Some(record) }
}

fn written(action: Option<Action>) -> Write {
    match action {
        Some(Action::Write(write)) => write,
        Some(Action::Read) | None => panic!("a write is due, not {action:?}"),
    }
}

/// Gives the write its answer and its echo.
fn carry_out(spread: &mut Spread, now: Instant, version: u64, write: Write) -> Option<Action> {
    let record = record(version, write.statement);
    let early = spread.handle(now, Event::Answered(Answer::Written(record.clone())));
    assert_eq!(early, None);
    spread.handle(now, seen("a", record))
}

fn held(spread: &Spread) -> Vec<IpAddr> {
    spread.grants().map(|(address, _)| address).collect()
}

/// `a`, alone, with what it holds.
fn alone(now: Instant) -> Spread {
    let mut spread = member("a");
    assert_eq!(spread.handle(now, wanted(20)), None);
    assert_eq!(spread.handle(now, Event::Weight(1)), None);
    let write = written(spread.handle(now, Event::Listed(BTreeMap::new())));
    assert_eq!((write.based_on.clone(), &write.statement), (None, &statement(1, 1, view(&["a"]))));
    assert_eq!(carry_out(&mut spread, now, 1, write), None);
    spread
}

#[test]
fn a_lone_member_holds_everything_from_its_echo_on_counted_from_the_departure() {
    let now = start();
    let spread = alone(now);
    assert_eq!(held(&spread), addresses(20));
    let grant = Grant { until: now + ms(3000), fence: now + ms(4900), predecessor: Predecessor::Unknown };
    assert!(spread.grants().all(|(_, granted)| granted == grant));
}

#[test]
fn a_service_whose_home_is_here_is_held_at_once_and_costs_no_write() {
    let now = start();
    let mut spread = alone(now);
    assert_eq!(spread.handle(now + ms(100), wanted(30)), None);
    assert_eq!(held(&spread), addresses(30));
}

#[test]
fn a_newcomer_in_line_is_handed_its_share_after_the_drop_and_by_one_write() {
    let now = start();
    let mut spread = alone(now);
    let both = view(&["a", "b"]);
    let (ours, theirs): (Vec<_>, Vec<_>) = addresses(20)
        .into_iter()
        .partition(|&address| both.home(Key::of_address(address)) == Some(MemberId::of("a")));
    let joined = seen("b", record(2, statement(2, 1, both.clone())));
    assert_eq!(spread.handle(now + ms(100), joined), None);
    assert_eq!((held(&spread), spread.letting_go().collect::<Vec<_>>()), (ours, theirs.clone()));
    let gone = spread.handle(now + ms(110), Event::Gone(theirs.into_iter().collect()));
    assert_eq!(written(gone).statement, statement(1, 2, both));
}

#[test]
fn a_silent_member_is_replaced_after_a_write_that_proves_the_silence_and_one_that_claims() {
    let now = start();
    let both = view(&["a", "b"]);
    let mut spread = member("a");
    let listed = BTreeMap::from([("b".to_owned(), record(1, statement(2, 1, both.clone())))]);
    assert_eq!(spread.handle(now, wanted(20)), None);
    assert_eq!(spread.handle(now, Event::Weight(1)), None);
    let mut write = written(spread.handle(now, Event::Listed(listed)));
    let share = 20
        - addresses(20)
            .iter()
            .filter(|&&at| both.home(Key::of_address(at)) == Some(MemberId::of("b")))
            .count();
    let mut log: Vec<(usize, bool)> = vec![];
    for version in 2..9 {
        let at = now + ms(1000) * (u32::try_from(version).unwrap() - 2);
        let next = carry_out(&mut spread, at, version, write);
        log.push((held(&spread).len(), next.is_some()));
        write = written(next.or_else(|| spread.handle(at + ms(1000), Event::Tick)));
    }
    let waiting = (share, false);
    // The renewal at the fifth second proves the silence; the view without `b` departs a pace later.
    assert_eq!(log, [waiting, waiting, waiting, waiting, waiting, waiting, (20, false)]);
}

#[test]
fn a_twin_that_moves_is_not_spoken_over() {
    let now = start();
    let mut spread = member("a");
    let twin = |sequence| record(sequence, statement(9, sequence, view(&["a"])));
    assert_eq!(spread.handle(now, Event::Listed(BTreeMap::from([("a".to_owned(), twin(1))]))), None);
    assert_eq!(spread.handle(now + ms(4000), seen("a", twin(2))), None);
    assert_eq!((spread.role(), spread.handle(now + ms(8999), Event::Tick)), (Role::Refused, None));
    assert_eq!(written(spread.handle(now + ms(9000), Event::Tick)).transitions, 1);
}

#[test]
fn an_interrupted_grant_lets_everything_go_and_claims_it_anew() {
    let now = start();
    let mut spread = alone(now);
    let write = written(spread.handle(now + ms(1000), Event::Tick));
    assert_eq!(spread.handle(now + ms(2000), Event::Answered(Answer::Failed)), None);
    let again = written(spread.handle(now + ms(3000), Event::Tick));
    assert_eq!((held(&spread), spread.letting_go().count()), (vec![], 20));
    assert!(spread.handle(now + ms(3010), Event::Gone(addresses(20).into_iter().collect())).is_none());
    // The write from before the interruption turns up, and its echo is not one for the claims.
    let _ = spread.handle(now + ms(3020), seen("a", record(2, write.statement)));
    assert_eq!(held(&spread), addresses(0));
    let _ =
        spread.handle(now + ms(3030), Event::Answered(Answer::Written(record(3, again.statement.clone()))));
    let _ = spread.handle(now + ms(3030), seen("a", record(3, again.statement)));
    assert_eq!(held(&spread), addresses(20));
}

/// Between such an echo and the next grant others may have taken everything.
#[test]
fn an_echo_whose_permission_was_over_admits_nothing() {
    let now = start();
    let mut spread = alone(now);
    let lost = written(spread.handle(now + ms(3000), Event::Tick));
    let gone = Event::Gone(addresses(20).into_iter().collect());
    assert_eq!(spread.handle(now + ms(3010), gone), None);
    assert_eq!(spread.handle(now + ms(4000), Event::Answered(Answer::Failed)), None);
    let next = written(spread.handle(now + ms(6100), seen("a", record(2, lost.statement))));
    let answer = record(3, next.statement);
    assert_eq!(spread.handle(now + ms(6110), Event::Answered(Answer::Written(answer.clone()))), None);
    assert_eq!((spread.role(), held(&spread)), (Role::Member, addresses(0)));
    assert_eq!(spread.handle(now + ms(6120), seen("a", answer)), None);
    assert_eq!(held(&spread), addresses(20));
}

#[test]
fn nothing_is_written_or_believed_before_the_first_list() {
    let now = start();
    let mut spread = member("a");
    assert_eq!(spread.handle(now, wanted(20)), None);
    assert_eq!(spread.handle(now, Event::Weight(1)), None);
    assert_eq!(spread.handle(now, seen("a", record(1, statement(1, 1, view(&["a"]))))), None);
    assert_eq!((spread.deadline(now), spread.role()), (None, Role::Silent));
}

/// A process that was stopped finds an answer in its socket before it looks at its clock.
#[test]
fn a_late_answer_does_not_bridge_an_interruption_that_nobody_noticed() {
    let now = start();
    let mut spread = alone(now);
    let write = written(spread.handle(now + ms(2900), Event::Tick));
    let answer = record(2, write.statement);
    let _ = written(spread.handle(now + ms(5500), Event::Answered(Answer::Written(answer))));
    assert_eq!((spread.role(), held(&spread)), (Role::Member, addresses(0)));
    assert_eq!(spread.letting_go().collect::<Vec<_>>(), addresses(20));
}
