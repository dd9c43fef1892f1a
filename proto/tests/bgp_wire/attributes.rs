//! RFC 7606 §3 and §7, attribute by attribute: each malformed one beside a route, and where no route is announced.

use vipcast_proto::bgp::types::Update;
use vipcast_proto::bgp::wire::{AsNumbers, Parameters};

use crate::cases::Session;
use crate::cases::attributes::CASES;
use crate::cases::attributes::Verdict::{Accept, Discard, Reset, Withdraw};
use crate::support::{
    EXTERNAL, INTERNAL, OLD, announced, answer, hex, reset, taken, treated_as_withdraw, update,
};

fn parameters(session: Session) -> Parameters {
    match session {
        Session::External | Session::PlainRefresh | Session::Ipv6 => EXTERNAL,
        Session::Internal => INTERNAL,
        Session::TwoOctets => OLD,
        Session::TwoOctetsInternal => Parameters { external: false, ..OLD },
    }
}

/// The attributes that a route must have, but for the one of that type.
fn base(parameters: Parameters, but: u8) -> String {
    let as_path = match parameters.as_numbers {
        AsNumbers::TwoOctets => "40 02 04 02 01 fde9",
        AsNumbers::FourOctets => "40 02 06 02 01 0000fde9",
    };
    let mandatory = [(1, "40 01 01 00"), (2, as_path), (3, "40 03 04 c0000201"), (5, "40 05 04 00000064")];
    let needed = mandatory.iter().filter(|(code, _)| *code != but && (*code != 5 || !parameters.external));
    needed.map(|(_, octets)| *octets).collect::<Vec<_>>().join(" ")
}

#[test]
fn beside_a_route_each_gets_what_rfc_7606_has_for_it() {
    for (attribute, session, verdict) in CASES {
        let parameters = parameters(*session);
        let base = base(parameters, hex(attribute)[1]);
        let expected = match verdict {
            Accept => taken(announced(2)),
            Discard => taken(Update { attributes_discarded: 1, ..announced(2) }),
            Withdraw(_) => taken(treated_as_withdraw(2)),
            Reset(subcode) => reset(*subcode, attribute),
        };
        for list in [format!("{base} {attribute}"), format!("{attribute} {base}")] {
            let octets = update("", &list, "20 c6336401 18 c63364");
            assert_eq!(answer(parameters, &octets), expected, "{attribute} {parameters:?}");
        }
    }
}

#[test]
fn without_a_route_what_would_withdraw_it_ends_the_session() {
    for (attribute, session, verdict) in CASES {
        let parameters = parameters(*session);
        let expected = match verdict {
            Accept => taken(Update::default()),
            Discard => taken(Update { attributes_discarded: 1, ..Update::default() }),
            Withdraw(11) => reset(11, ""),
            Withdraw(subcode) | Reset(subcode) => reset(*subcode, attribute),
        };
        assert_eq!(answer(parameters, &update("", attribute, "")), expected, "{attribute} {parameters:?}");
        // Withdrawn routes are no reachable ones (RFC 7606 §5.2).
        let withdrawing = answer(parameters, &update("18 c63364", attribute, ""));
        assert_eq!(withdrawing.is_err(), expected.is_err(), "{attribute} {parameters:?}");
    }
}

#[test]
fn of_two_the_first_is_kept_and_the_other_is_not_looked_at() {
    for (attribute, session, verdict) in CASES {
        let parameters = parameters(*session);
        let code = hex(attribute)[1];
        if matches!(code, 14 | 15) || !matches!(verdict, Accept) {
            continue;
        }
        for (other, _, _) in CASES.iter().filter(|(other, _, _)| hex(other)[1] == code) {
            let list = format!("{} {attribute} {other}", base(parameters, code));
            let expected = taken(Update { attributes_discarded: 1, ..announced(1) });
            assert_eq!(answer(parameters, &update("", &list, "18 c63364")), expected, "{attribute} {other}");
        }
    }
}

#[test]
fn the_strongest_approach_counts() {
    let (discard, withdraw) = ("40 06 01 00", "80 04 00");
    let base = base(EXTERNAL, 0);
    let answer = |list: String| answer(EXTERNAL, &update("", &list, "18 c63364"));
    let withdrawn = taken(Update { attributes_discarded: 1, ..treated_as_withdraw(1) });
    assert_eq!(answer(format!("{base} {discard} {withdraw}")), withdrawn);
    assert_eq!(answer(format!("{base} {withdraw} {discard}")), withdrawn);
    for ends in ["40 63 00", "80 0f 02 0002"] {
        let subcode = if ends.starts_with("40") { 2 } else { 9 };
        assert_eq!(answer(format!("{base} {withdraw} {discard} {ends}")), reset(subcode, ends));
        assert_eq!(answer(format!("{ends} {discard} {withdraw} {base}")), reset(subcode, ends));
    }
}

/// RFC 7606 does not say of which.
#[test]
fn of_two_malformed_attributes_without_a_route_the_first_is_told() {
    let (origin, med) = ("40 01 01 03", "80 04 00");
    assert_eq!(answer(EXTERNAL, &update("", &format!("{origin} {med}"), "")), reset(6, origin));
    assert_eq!(answer(EXTERNAL, &update("", &format!("{med} {origin}"), "")), reset(5, med));
}
