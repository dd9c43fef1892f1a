//! How a holder hands over: silent first, then released.

use super::*;

const BARRED: Event = Event::Standing(Standing::Barred);
const WITHDRAWN: Event = Event::Standing(Standing::Withdrawn);

/// A holder that was told to stop at 100.
fn stopping() -> Elector {
    let mut elector = holder();
    assert_eq!(elector.handle(at(100), WITHDRAWN), None);
    elector
}

fn stands(elector: &Elector) -> (Role, Option<Grant>, Option<Instant>, bool) {
    (elector.role(), elector.grant(), elector.deadline(), elector.is_finished())
}

#[test]
fn sigterm_silences_at_once_and_releases_when_the_addresses_are_gone() {
    let mut elector = stopping();
    assert_eq!(stands(&elector), (Role::Leaving, None, Some(at(4900)), false));
    assert_eq!(elector.handle(at(110), Event::Vacated), release("1"));
    assert_eq!(elector.handle(at(120), written(released("2", 2, true))), None);
    assert_eq!(stands(&elector), (Role::Standby, None, None, true));
}

#[test]
fn a_barred_holder_renews_first_then_falls_silent_then_releases_and_lets_others_go_first() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(100), BARRED), renew("1"));
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    assert_eq!(elector.handle(at(110), written(record("2", "a", 2))), None);
    assert_eq!(stands(&elector), (Role::Leaving, None, Some(at(5000)), false));
    assert_eq!(elector.handle(at(120), Event::Vacated), release("2"));
    assert_eq!(elector.handle(at(130), standing(false)), None);
    let free = released("3", 3, true);
    assert_eq!(elector.handle(at(140), written(free.clone())), None);
    assert_eq!(elector.handle(at(150), Event::Observed(Some(free))), None);
    assert_eq!(tick(&mut elector, 1140), claim("3", 1));
}

#[test]
fn a_barred_holder_that_cannot_say_so_holds_until_its_grant_ends() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(100), BARRED), renew("1"));
    assert_eq!(elector.handle(at(110), Event::Answered(Answer::Refused)), None);
    assert_eq!(tick(&mut elector, 610), renew("1"));
    assert_eq!(elector.handle(at(1610), lost(2)), None);
    assert_eq!(tick(&mut elector, 2110), Some(Action::Read));
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
    assert_eq!(tick(&mut elector, 3000), None);
    assert_eq!(elector.handle(at(3110), timed_out()), None);
    assert_eq!(elector.handle(at(3610), Event::Tick), None);
    assert_eq!(stands(&elector), (Role::Standby, None, None, false));
}

#[test]
fn a_holder_that_is_barred_only_for_a_moment_holds_on() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(100), BARRED), renew("1"));
    assert_eq!(elector.handle(at(105), standing(false)), None);
    assert_eq!(elector.handle(at(110), written(record("2", "a", 2))), None);
    assert_eq!(elector.grant(), granted(100, Predecessor::Unknown));
}

#[test]
fn withdrawn_while_a_claim_is_under_way_never_permits_and_gives_back() {
    let mut elector = candidate();
    assert_eq!(elector.handle(at(0), read(None)), create());
    assert_eq!(elector.handle(at(5), WITHDRAWN), None);
    assert_eq!(stands(&elector), (Role::Standby, None, None, false));
    assert_eq!(elector.handle(at(10), written(record("1", "a", 1))), None);
    assert_eq!(stands(&elector), (Role::Leaving, None, Some(at(4900)), false));
    assert_eq!(elector.handle(at(10), Event::Vacated), release("1"));
}

#[test]
fn withdrawn_while_a_renewal_is_under_way_releases_what_it_wrote_without_delay() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(elector.handle(at(1005), WITHDRAWN), None);
    assert_eq!(elector.handle(at(1010), Event::Vacated), None);
    assert_eq!(elector.handle(at(1020), written(record("2", "a", 2))), release("2"));
    assert_eq!(stands(&elector), (Role::Leaving, None, Some(at(5900)), false));
}

#[test]
fn addresses_are_not_declared_gone_by_a_renewal_that_came_after_the_end_of_its_grant() {
    let mut elector = holder();
    assert_eq!(tick(&mut elector, 1000), renew("1"));
    assert_eq!(tick(&mut elector, 3000), None);
    assert_eq!(elector.handle(at(3001), BARRED), None);
    assert_eq!(elector.handle(at(3002), written(record("2", "a", 2))), None);
    assert_eq!(stands(&elector), (Role::Leaving, None, Some(at(5900)), false));
    assert_eq!(elector.handle(at(3020), Event::Vacated), release("2"));
}

#[test]
fn a_release_that_fails_is_tried_again_until_the_lease_has_run_out() {
    let mut elector = stopping();
    assert_eq!(elector.handle(at(110), Event::Vacated), release("1"));
    assert_eq!(elector.handle(at(120), Event::Answered(Answer::Refused)), None);
    assert_eq!(tick(&mut elector, 620), release("1"));
    assert_eq!(elector.handle(at(630), Event::Answered(Answer::Conflict)), Some(Action::Read));
    assert_eq!(elector.handle(at(640), read(Some(record("2", "a", 1)))), release("2"));
    assert_eq!(elector.handle(at(1640), lost(2)), None);
    assert_eq!(tick(&mut elector, 2140), Some(Action::Read));
    assert_eq!(elector.handle(at(3140), timed_out()), None);
    assert_eq!(tick(&mut elector, 3640), Some(Action::Read));
    assert_eq!(elector.handle(at(4640), timed_out()), None);
    assert_eq!(tick(&mut elector, 4900), None);
    assert_eq!(elector.handle(at(5140), Event::Tick), None);
    assert_eq!(stands(&elector), (Role::Standby, None, None, true));
}

#[test]
fn a_release_whose_answer_was_lost_is_recognised_and_others_still_go_first() {
    let mut elector = stopping();
    assert_eq!(elector.handle(at(110), Event::Vacated), release("1"));
    assert_eq!(elector.handle(at(1110), lost(2)), None);
    assert_eq!(elector.handle(at(1200), standing(false)), None);
    assert_eq!(tick(&mut elector, 1610), Some(Action::Read));
    assert_eq!(elector.handle(at(1620), read(Some(released("2", 2, true)))), None);
    assert_eq!(tick(&mut elector, 2620), claim("2", 1));
}

#[test]
fn a_rival_that_took_the_lease_meanwhile_spares_the_release() {
    let mut elector = stopping();
    assert_eq!(elector.handle(at(110), Event::Vacated), release("1"));
    assert_eq!(elector.handle(at(120), Event::Answered(Answer::Conflict)), Some(Action::Read));
    assert_eq!(elector.handle(at(130), read(Some(record("2", "b", 20)))), None);
    assert_eq!(stands(&elector), (Role::Standby, None, None, true));
}

#[test]
fn a_lease_deleted_while_leaving_needs_no_release_and_is_claimed_again_later() {
    let mut elector = stopping();
    assert_eq!(elector.handle(at(110), Event::Observed(None)), None);
    assert_eq!(elector.handle(at(120), standing(false)), None);
    assert_eq!(elector.handle(at(130), Event::Vacated), Some(Action::Read));
    assert_eq!(elector.handle(at(140), read(None)), None);
    assert_eq!(elector.role(), Role::Standby);
    assert_eq!(tick(&mut elector, 1140), None);
    assert_eq!(tick(&mut elector, 5140), create());
}
