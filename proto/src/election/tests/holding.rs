//! How a holder stays one, and how it ceases to be.

use super::*;

#[test]
fn renewals_follow_each_other_from_departure_to_departure() {
    let mut elector = holder();
    let mut seen = vec![];
    for version in 1_u64..4 {
        let departed = version * 1000;
        assert_eq!(tick(&mut elector, departed), renew(&version.to_string()));
        let stamp = i64::try_from(version + 1).unwrap();
        let answer = record(&(version + 1).to_string(), "a", stamp);
        assert_eq!(elector.handle(at(departed + 70 * version), written(answer)), None);
        seen.push(elector.grant());
    }
    assert_eq!(seen, [1000, 2000, 3000].map(|departed| granted(departed, Predecessor::Unknown)));
}

#[test]
fn a_renewal_that_conflicts_with_an_edit_is_based_on_the_edit() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(1010), Event::Answered(Answer::Conflict)), Some(Action::Read));
    assert_eq!(elector.handle(at(1020), read(Some(record("2", "a", 1)))), renew("2"));
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    assert_eq!(elector.handle(at(1030), written(record("3", "a", 2))), None);
    assert_eq!(elector.grant(), granted(1020, Predecessor::Unknown));
}

#[test]
fn a_renewal_that_conflicts_with_a_rival_ends_the_grant_as_soon_as_it_is_read() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(1010), Event::Answered(Answer::Conflict)), Some(Action::Read));
    assert_eq!(elector.handle(at(1020), read(Some(record("2", "b", 20)))), None);
    assert_eq!((elector.role(), elector.grant(), elector.deadline()), (Role::Standby, None, Some(at(6020))));
}

#[test]
fn one_renewal_that_hangs_does_not_cost_the_grant() {
    let mut elector = holder();
    let hang = u64::try_from(TIMING.request_timeout().as_millis()).unwrap();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(1000 + hang), lost(2)), None);
    assert_eq!(tick(&mut elector, 2500), Some(Action::Read));
    assert_eq!(elector.handle(at(2700), read(Some(record("1", "a", 1)))), renew("1"));
    assert_eq!(elector.handle(at(2900), written(record("2", "a", 3))), None);
    assert_eq!(elector.grant(), granted(2700, Predecessor::Unknown));
}

#[test]
fn a_grant_ends_exactly_at_the_renew_deadline_and_our_own_record_is_renewed_without_asking_the_wire() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(2900), lost(2)), None);
    assert_eq!(elector.handle(at(2999), Event::Tick), None);
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    assert_eq!(tick(&mut elector, 3000), None);
    assert_eq!((elector.grant(), elector.role()), (None, Role::Standby));
    assert_eq!(tick(&mut elector, 3400), Some(Action::Read));
    assert_eq!(elector.handle(at(3410), read(Some(record("2", "a", 2)))), renew("2"));
    assert_eq!(elector.handle(at(3420), written(record("3", "a", 3))), None);
    assert_eq!(elector.grant(), granted(3410, Predecessor::Left));
}

#[test]
fn a_late_answer_grants_what_is_left_of_it() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(tick(&mut elector, 3000), None);
    assert_eq!(elector.handle(at(3999), written(record("2", "a", 2))), renew("2"));
    assert_eq!(elector.grant(), granted(1000, Predecessor::Unknown));
}

#[test]
fn an_answer_later_than_its_own_grant_grants_nothing_and_is_followed_by_a_renewal() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(4000), written(record("2", "a", 2))), renew("2"));
    assert_eq!((elector.grant(), elector.role()), (None, Role::Standby));
    assert_eq!(elector.handle(at(4010), written(record("3", "a", 3))), None);
    assert_eq!(elector.grant(), granted(4000, Predecessor::Left));
}

#[test]
fn a_stale_watch_event_makes_a_holder_read_and_not_yield() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(200), Event::Observed(Some(record("0", "b", 70)))), Some(Action::Read));
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    assert_eq!(elector.handle(at(210), read(Some(record("1", "a", 1)))), renew("1"));
    assert_eq!(elector.handle(at(220), written(record("2", "a", 2))), None);
    assert_eq!(elector.handle(at(230), Event::Observed(Some(record("1", "a", 1)))), None);
    assert_eq!((elector.grant(), elector.deadline()), (granted(210, Predecessor::Unknown), Some(at(1210))));
}

#[test]
fn a_renewal_that_the_watch_shows_before_it_is_answered_costs_no_read() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(1005), Event::Observed(Some(record("2", "a", 2)))), None);
    assert_eq!(elector.handle(at(1010), written(record("2", "a", 2))), None);
    assert_eq!(tick(&mut elector, 2000), renew("2"));
}

#[test]
fn a_deleted_lease_is_created_by_its_holder() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(200), Event::Observed(None)), Some(Action::Read));
    assert_eq!(elector.handle(at(210), read(None)), create());
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    assert_eq!(elector.handle(at(220), written(record("5", "a", 2))), None);
    assert_eq!(elector.grant(), granted(210, Predecessor::Unknown));
}

#[test]
fn alone_a_failure_extends_the_grant() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(20), standing(true)), None);
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(2000), lost(2)), None);
    assert_eq!(elector.grant(), granted(2000, Predecessor::Unknown));
    assert_eq!(tick(&mut elector, 2500), Some(Action::Read));
    assert_eq!(elector.handle(at(3500), timed_out()), None);
    assert_eq!(elector.grant(), granted(3500, Predecessor::Unknown));
}

#[test]
fn alone_a_conflict_does_not_extend_the_grant_even_where_the_read_after_it_fails() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(20), standing(true)), None);
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(1010), Event::Answered(Answer::Conflict)), Some(Action::Read));
    assert_eq!(elector.handle(at(2010), timed_out()), None);
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
}

#[test]
fn alone_a_rival_in_the_watch_does_not_extend_the_grant_even_where_the_read_after_it_fails() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(20), standing(true)), None);
    assert_eq!(elector.handle(at(500), Event::Observed(Some(record("2", "b", 20)))), Some(Action::Read));
    assert_eq!(elector.handle(at(510), Event::Answered(Answer::Refused)), None);
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
}

#[test]
fn with_rivals_a_failure_does_not_extend_the_grant() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(1010), Event::Answered(Answer::Refused)), None);
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    assert_eq!(tick(&mut elector, 1510), renew("1"));
}

#[test]
fn what_a_holder_says_is_written_at_once_or_right_after_the_write_that_is_under_way() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(300), Event::Restated), renew("1"));
    assert_eq!(elector.handle(at(305), Event::Restated), None);
    assert_eq!(elector.handle(at(310), written(record("2", "a", 2))), renew("2"));
    assert_eq!(elector.handle(at(320), written(record("3", "a", 3))), None);
    assert_eq!((elector.grant(), elector.deadline()), (granted(310, Predecessor::Unknown), Some(at(1310))));
    let mut standby = standby(record("7", "b", 70));
    assert_eq!((standby.handle(at(300), Event::Restated), standby.deadline()), (None, Some(at(5000))));
}

#[test]
fn the_first_renewal_may_come_sooner_and_the_others_follow_from_departure_to_departure() {
    let mut elector = Elector::new("a", TIMING).renewing_first_after(Duration::from_millis(400));
    assert_eq!(elector.handle(at(0), standing(false)), Some(Action::Read));
    assert_eq!(elector.handle(at(0), read(None)), create());
    assert_eq!(elector.handle(at(10), written(record("1", "a", 1))), None);
    assert_eq!(tick(&mut elector, 400), renew("1"));
    assert_eq!(elector.handle(at(410), written(record("2", "a", 2))), None);
    assert_eq!(tick(&mut elector, 1400), renew("2"));
}
