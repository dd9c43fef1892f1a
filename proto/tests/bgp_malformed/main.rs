//! Every malformed message against the decoder and the session, octet by octet: the right answer, and not an octet late.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
#![allow(dead_code, reason = "the cases are shared with those who send them over TCP")]

mod cases;
mod speaker;

use std::collections::BTreeSet;

use self::cases::{Answer, Case, Place, Session};
use self::speaker::{Said, Speaker};

#[test]
fn every_malformed_message_is_answered_as_its_rfc_has_it() {
    let cases = cases::all();
    let wrong: Vec<String> = cases.iter().filter_map(wrong).collect();
    println!("{} of {} are answered right", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What decides a case is there after just these octets, or never.
#[test]
fn no_answer_is_a_moment_late() {
    for case in cases::all() {
        let (place, octets) = (place(case.session), case.octets(&place(case.session)));
        let mut speaker = Speaker::in_state(&case, &place);
        let after = octets.iter().position(|octet| speaker.hear(&[*octet]) != Said::default());
        let at_once = |position: usize| position + 1 == octets.len().min(19) || position + 1 == octets.len();
        assert!(after.is_none_or(at_once), "{}: after octet {after:?} of {}", case.what, octets.len());
        if let Answer::Notification(1, ..) = case.answer {
            assert_eq!(after, Some(18), "{}", case.what);
        }
    }
}

#[test]
fn no_case_is_there_twice() {
    let mut seen = BTreeSet::new();
    let mut key = |case: &Case| {
        seen.insert((case.octets(&place(case.session)), format!("{:?} {:?}", case.session, case.state)))
    };
    let again: Vec<String> =
        cases::all().iter().filter(|case| !key(case)).map(|case| case.what.clone()).collect();
    assert_eq!(again, [""; 0]);
}

/// What is wrong with the answer.
fn wrong(case: &Case) -> Option<String> {
    let place = place(case.session);
    let said = Speaker::in_state(case, &place).hear(&case.octets(&place));
    let right = match &case.answer {
        Answer::Nothing(route) => said.is_calm() && said.routes(*route),
        Answer::End => said.closed && said.notification.is_none(),
        Answer::Notification(code, subcode, data) => said.notification.as_ref().is_some_and(|found| {
            let unsaid = *data != cases::Data::Unsaid || found.data.is_empty();
            (found.code, found.subcode) == (*code, *subcode)
                && case.has_right_data(&place, &found.data)
                && unsaid
                && said.closed
        }),
    };
    (!right).then(|| format!("RFC {}: {}: {:?}, but {said:?}", case.rfc, case.what, case.answer))
}

fn place(session: Session) -> Place {
    Place {
        route: [24, 198, 18, 1],
        sender: [192, 0, 2, 1].into(),
        identifier: speaker::IDENTIFIER,
        system: session.system(),
    }
}
