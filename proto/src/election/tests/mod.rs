//! The election as a candidate lives it: every action and grant, at the instant it is due.

mod claiming;
mod holding;
mod leaving;

use std::sync::LazyLock;
use std::time::Duration;

use super::*;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(millis: u64) -> Instant {
    *START + Duration::from_millis(millis)
}

fn standing(alone: bool) -> Event {
    Event::Standing(Standing::Candidate { alone })
}

fn record(version: &str, holder: &str, stamp: i64) -> Record {
    Record {
        version: version.to_owned(),
        holder: Some(holder.to_owned()),
        renewed: Some(Stamp(stamp)),
        lease_duration: Some(Duration::from_secs(5)),
        transitions: 0,
        vacated: false,
    }
}

fn released(version: &str, stamp: i64, vacated: bool) -> Record {
    let lease_duration = Some(Duration::from_secs(1));
    Record { holder: None, lease_duration, vacated, ..record(version, "", stamp) }
}

fn read(record: Option<Record>) -> Event {
    Event::Answered(Answer::Read(record))
}

fn written(record: Record) -> Event {
    Event::Answered(Answer::Written(record))
}

fn lost(stamp: i64) -> Event {
    Event::Answered(Answer::Unknown(Some(Stamp(stamp))))
}

fn timed_out() -> Event {
    Event::Answered(Answer::Unknown(None))
}

fn create() -> Option<Action> {
    Some(Action::Write(Write { based_on: None, intent: Intent::Claim { transitions: 0 } }))
}

fn write(based_on: &str, intent: Intent) -> Option<Action> {
    Some(Action::Write(Write { based_on: Some(based_on.to_owned()), intent }))
}

fn renew(based_on: &str) -> Option<Action> {
    write(based_on, Intent::Renew)
}

fn release(based_on: &str) -> Option<Action> {
    write(based_on, Intent::Release)
}

fn claim(based_on: &str, transitions: u32) -> Option<Action> {
    write(based_on, Intent::Claim { transitions })
}

/// What a write that left at `departed` permits.
fn granted(departed: u64, predecessor: Predecessor) -> Option<Grant> {
    Some(Grant { until: at(departed + 3000), fence: at(departed + 4900), predecessor })
}

/// A candidate named `a` that has asked what there is.
fn candidate() -> Elector {
    let mut elector = Elector::new("a", TIMING);
    assert_eq!(elector.handle(at(0), standing(false)), Some(Action::Read));
    elector
}

/// A holder by the first record, version 1, stamp 1, which left at 0.
fn holder() -> Elector {
    let mut elector = candidate();
    assert_eq!(elector.handle(at(0), read(None)), create());
    assert_eq!(elector.handle(at(10), written(record("1", "a", 1))), None);
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    elector
}

/// A standby that has seen this record at 0.
fn standby(record: Record) -> Elector {
    let mut elector = candidate();
    assert_eq!(elector.handle(at(0), read(Some(record))), None);
    elector
}

fn tick(elector: &mut Elector, millis: u64) -> Option<Action> {
    assert_eq!(elector.deadline(), Some(at(millis)));
    elector.handle(at(millis), Event::Tick)
}

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};
