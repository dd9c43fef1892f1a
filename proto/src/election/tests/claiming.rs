//! How a standby comes to hold.

use super::*;

#[test]
fn an_absent_lease_is_created_and_the_grant_counts_from_the_departure() {
    let mut elector = candidate();
    assert_eq!(elector.handle(at(400), read(None)), create());
    assert_eq!((elector.grant(), elector.deadline()), (None, None));
    assert_eq!(elector.handle(at(900), written(record("1", "a", 1))), None);
    assert_eq!(elector.grant(), granted(400, Predecessor::Unknown));
    assert_eq!((elector.role(), elector.deadline()), (Role::Holder, Some(at(1400))));
}

#[test]
fn a_rival_is_waited_out_on_our_clock_for_its_own_duration_from_when_it_was_seen_to_move() {
    let slow = Some(Duration::from_secs(9));
    let mut elector = standby(Record { lease_duration: slow, ..record("7", "b", 70) });
    assert_eq!(elector.deadline(), Some(at(9000)));
    let renewed = Record { lease_duration: slow, transitions: 3, ..record("8", "b", 80) };
    assert_eq!(elector.handle(at(2500), Event::Observed(Some(renewed))), None);
    assert_eq!(elector.handle(at(11_499), Event::Tick), None);
    assert_eq!(tick(&mut elector, 11_500), claim("8", 4));
    assert_eq!(elector.handle(at(11_510), written(record("9", "a", 1))), None);
    assert_eq!(elector.grant(), granted(11_500, Predecessor::Unknown));
}

#[test]
fn a_rival_that_names_no_duration_is_waited_out_for_ours() {
    let mut elector = standby(Record { lease_duration: None, ..record("7", "b", 70) });
    assert_eq!(tick(&mut elector, 5000), claim("7", 1));
}

#[test]
fn an_edited_annotation_is_no_sign_of_life_but_the_claim_is_based_on_it() {
    let mut elector = standby(record("7", "b", 70));
    assert_eq!(elector.handle(at(4000), Event::Observed(Some(record("8", "b", 70)))), None);
    assert_eq!(tick(&mut elector, 5000), claim("8", 1));
}

#[test]
fn a_release_is_claimed_at_once_and_the_wire_is_spared_only_where_the_addresses_were_declared_gone() {
    for (vacated, predecessor) in [(true, Predecessor::Left), (false, Predecessor::Unknown)] {
        let mut elector = standby(record("7", "b", 70));
        let free = released("8", 80, vacated);
        assert_eq!(elector.handle(at(1234), Event::Observed(Some(free))), claim("8", 1));
        assert_eq!(elector.handle(at(1240), written(record("9", "a", 1))), None);
        assert_eq!(elector.grant(), granted(1234, predecessor));
    }
}

#[test]
fn the_loser_of_a_race_hears_of_the_winner_by_its_watch_or_reads_after_a_retry_period() {
    let mut elector = standby(record("7", "b", 70));
    assert_eq!(tick(&mut elector, 5000), claim("7", 1));
    assert_eq!(elector.handle(at(5010), Event::Answered(Answer::Conflict)), None);
    let mut deaf = standby(record("7", "b", 70));
    assert_eq!(tick(&mut deaf, 5000), claim("7", 1));
    assert_eq!(deaf.handle(at(5010), Event::Answered(Answer::Conflict)), None);
    assert_eq!(tick(&mut deaf, 6010), Some(Action::Read));
    assert_eq!(elector.handle(at(5020), Event::Observed(Some(record("8", "c", 80)))), None);
    assert_eq!(elector.deadline(), Some(at(10_020)));
}

#[test]
fn a_claim_whose_answer_was_lost_is_found_and_still_asks_the_wire() {
    let mut elector = standby(record("7", "b", 70));
    assert_eq!(tick(&mut elector, 5000), claim("7", 1));
    assert_eq!(elector.handle(at(6000), lost(1)), None);
    assert_eq!(tick(&mut elector, 6500), Some(Action::Read));
    assert_eq!(elector.handle(at(6510), read(Some(record("8", "a", 1)))), renew("8"));
    assert_eq!(elector.handle(at(6520), written(record("9", "a", 2))), None);
    assert_eq!(elector.grant(), granted(6510, Predecessor::Unknown));
}

#[test]
fn a_claim_whose_answer_was_lost_and_that_never_happened_is_made_again() {
    let mut elector = standby(record("7", "b", 70));
    assert_eq!(tick(&mut elector, 5000), claim("7", 1));
    assert_eq!(elector.handle(at(6000), lost(1)), None);
    assert_eq!(tick(&mut elector, 6500), Some(Action::Read));
    assert_eq!(elector.handle(at(6510), read(Some(record("7", "b", 70)))), claim("7", 1));
}

#[test]
fn an_earlier_life_of_ours_is_renewed_at_once_and_the_wire_is_asked() {
    let mut elector = candidate();
    assert_eq!(elector.handle(at(0), read(Some(record("7", "a", 70)))), renew("7"));
    assert_eq!(elector.handle(at(10), written(record("8", "a", 1))), None);
    assert_eq!(elector.grant(), granted(0, Predecessor::Unknown));
}

#[test]
fn another_process_with_our_identity_is_a_rival_once_we_have_written() {
    let mut elector = holder();
    assert_eq!(elector.handle(at(100), Event::Observed(Some(record("2", "a", 99)))), Some(Action::Read));
    assert_eq!(elector.handle(at(110), read(Some(record("2", "a", 99)))), None);
    assert_eq!((elector.grant(), elector.role()), (None, Role::Standby));
    assert_eq!(tick(&mut elector, 5110), renew("2"));
}

#[test]
fn a_standby_that_missed_the_deleted_lease_waits_a_whole_duration() {
    let mut elector = standby(record("7", "b", 70));
    assert_eq!(elector.handle(at(4000), Event::Observed(None)), None);
    assert_eq!(elector.handle(at(6000), Event::Observed(None)), None);
    assert_eq!(tick(&mut elector, 9000), create());
}

#[test]
fn who_is_barred_neither_reads_nor_claims() {
    let mut elector = Elector::new("a", TIMING);
    assert_eq!(elector.handle(at(0), Event::Observed(None)), None);
    assert_eq!((elector.handle(at(9000), Event::Tick), elector.deadline()), (None, None));
    assert_eq!(elector.handle(at(9000), standing(false)), create());
}

#[test]
fn an_unreachable_server_is_asked_again_after_a_pause() {
    let mut elector = candidate();
    assert_eq!(elector.handle(at(20), Event::Answered(Answer::Refused)), None);
    assert_eq!(tick(&mut elector, 520), Some(Action::Read));
}

#[test]
fn no_second_request_leaves_while_one_is_under_way() {
    let mut elector = candidate();
    assert_eq!(elector.handle(at(10), Event::Observed(None)), None);
    assert_eq!(elector.handle(at(9000), Event::Tick), None);
    assert_eq!(elector.deadline(), None);
    assert_eq!(elector.handle(at(9001), read(None)), create());
}

#[test]
fn a_free_lease_is_left_to_others_for_as_long_as_they_come_first_and_our_own_is_not() {
    let mut elector = standby(record("7", "b", 70));
    elector.wait_for_others(at(0), Duration::from_millis(50));
    assert_eq!(elector.handle(at(5000), Event::Tick), None);
    assert_eq!(elector.deadline(), Some(at(5050)));
    elector.wait_for_others(at(5000), Duration::from_millis(20));
    assert_eq!(elector.handle(at(5000), Event::Tick), None);
    assert_eq!(tick(&mut elector, 5020), claim("7", 1));
    let mut ours = standby(record("7", "b", 70));
    ours.wait_for_others(at(0), Duration::from_millis(50));
    assert_eq!(ours.handle(at(1), Event::Observed(Some(record("8", "a", 80)))), write("8", Intent::Renew));
}
