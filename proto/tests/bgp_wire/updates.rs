//! UPDATE beyond single attributes: lengths, prefixes, what must be there, End-of-RIB (RFC 4271 §6.3, RFC 7606).

use vipcast_proto::bgp::types::{Family, Update};
use vipcast_proto::bgp::wire::Parameters;

use crate::support::{
    EXTERNAL, INTERNAL, announced, answer, hex, message, reset, taken, treated_as_withdraw, update,
};

const ORIGIN: &str = "40 01 01 00";
const AS_PATH: &str = "40 02 06 02 01 0000fde9";
const NEXT_HOP: &str = "40 03 04 c0000201";
const LOCAL_PREF: &str = "40 05 04 00000064";
const MANDATORY: &str = "40 01 01 00 40 02 06 02 01 0000fde9 40 03 04 c0000201";
/// 2001:db8::/32 by 2001:db8::1.
const REACH: &str = "80 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8";
/// 2001:db8:1::/48 and ::/0.
const UNREACH: &str = "80 0f 0b 0002 01 30 20010db80001 00";

#[test]
fn routes_are_counted_whatever_their_length() {
    for (nlri, routes) in [
        ("", 0),
        ("00", 1),
        ("01 80", 1),
        ("08 0a", 1),
        ("09 0a80", 1),
        ("18 c63364", 1),
        ("18 c63364 18 c63364", 2),
        ("20 c6336401 00 20 c6336402 10 c633", 4),
        ("17 c633ff", 1), // "the value of trailing bits is irrelevant"
    ] {
        assert_eq!(answer(EXTERNAL, &update("", MANDATORY, nlri)), taken(announced(routes)), "{nlri}");
        let withdrawn = taken(Update { withdrawn: routes, ..Update::default() });
        if routes > 0 {
            assert_eq!(answer(EXTERNAL, &update(nlri, "", "")), withdrawn, "{nlri}");
        }
    }
    let both = taken(Update { announced: 2, withdrawn: 1, ..Update::default() });
    assert_eq!(answer(EXTERNAL, &update("00", MANDATORY, "00 08 0a")), both);
}

#[test]
fn routes_of_both_families_are_counted_together() {
    let list = format!("{REACH} {UNREACH} {MANDATORY}");
    let expected = taken(Update { announced: 2, withdrawn: 3, ..Update::default() });
    assert_eq!(answer(EXTERNAL, &update("00", &list, "00")), expected);
    // "Prepared to receive these fields in any position" (RFC 7606 §5.1).
    let list = format!("{UNREACH} {MANDATORY} {REACH}");
    assert_eq!(answer(EXTERNAL, &update("00", &list, "00")), expected);
}

#[test]
fn a_prefix_that_cannot_be_is_an_invalid_network_field() {
    for nlri in
        ["21 c633640100", "ff", "80 20010db8000000000000000000000001", "20 c63364", "18", "01", "00 18 c633"]
    {
        assert_eq!(answer(EXTERNAL, &update("", MANDATORY, nlri)), reset(10, ""), "NLRI {nlri}");
        assert_eq!(answer(EXTERNAL, &update(nlri, "", "")), reset(10, ""), "withdrawn {nlri}");
        assert_eq!(answer(EXTERNAL, &update(nlri, MANDATORY, "00")), reset(10, ""), "withdrawn {nlri}");
        // Whatever is wrong with the attributes besides.
        assert_eq!(answer(EXTERNAL, &update("", "40 01 01 03", nlri)), reset(10, ""), "NLRI {nlri}");
    }
}

#[test]
fn field_lengths_that_exceed_the_message_are_a_malformed_attribute_list() {
    for body in [
        "0001 0000",
        "0002 0000",
        "ffff 0000",
        "0000 0001",
        "0000 000a",
        "0000 ffff",
        "0000 fff0", // where sixteen bits of sum run over
        "ffed 0000",
        "ffff ffff",
        "0003 08 0a 0000",
        "0002 08 0a",
        "0002 08 0a 00",
        "0002 08 0a 0001",
        "0002 08 0a 0004 40 01 01",
    ] {
        assert_eq!(answer(EXTERNAL, &message(2, &hex(body))), reset(1, ""), "{body}");
    }
}

#[test]
fn attributes_that_do_not_fit_their_total_length_withdraw_the_routes() {
    for stray in [
        "00",
        "40",
        "4001",
        "5001 00",     // fewer than four octets with an extended length
        "40 01 02 00", // beyond the end
        "80 04 ff 00",
        "90 04 ffff 00",
        "c0 63 01",
        "40 63 01", // nobody knows what that would have been
        "80 0e",    // not even an attribute
        "90 0f 00",
    ] {
        let list = format!("{MANDATORY} {stray}");
        assert_eq!(
            answer(EXTERNAL, &update("", &list, "18 c63364")),
            taken(treated_as_withdraw(1)),
            "{stray}"
        );
        // "Session reset" where there are none (RFC 7606 §5.2).
        assert_eq!(answer(EXTERNAL, &update("", &list, "")), reset(1, ""), "{stray}");
        assert_eq!(answer(EXTERNAL, &update("", stray, "")), reset(1, ""), "{stray}");
        assert_eq!(answer(EXTERNAL, &update("18 c63364", stray, "")), reset(1, ""), "{stray}");
        assert_eq!(answer(EXTERNAL, &update("", &format!("{UNREACH} {stray}"), "")), reset(1, ""), "{stray}");
    }
}

#[test]
fn routes_in_an_attribute_that_ends_too_late_are_lost_and_the_session_with_them() {
    for beyond in [
        "80 0e 1b 0002 01 10 20010db8000000000000000000000001 00 20 20010db8",
        "80 0f 04 0002 01",
        "90 0f 0004 0002 01",
        "90 0e 0100",
    ] {
        let list = format!("{MANDATORY} {beyond}");
        assert_eq!(answer(EXTERNAL, &update("", &list, "18 c63364")), reset(1, ""), "{beyond}");
    }
}

#[test]
fn a_mandatory_attribute_that_is_missing_withdraws_the_routes() {
    let lists = [
        format!("{AS_PATH} {NEXT_HOP}"),
        format!("{ORIGIN} {NEXT_HOP}"),
        format!("{ORIGIN} {AS_PATH}"),
        String::new(),
    ];
    for list in lists {
        let expected = taken(treated_as_withdraw(2));
        assert_eq!(answer(EXTERNAL, &update("", &list, "18 c63364 00")), expected, "{list}");
    }
    for list in [format!("{REACH} {ORIGIN}"), format!("{AS_PATH} {REACH}"), REACH.to_owned()] {
        assert_eq!(answer(EXTERNAL, &update("", &list, "")), taken(treated_as_withdraw(1)), "{list}");
    }
}

#[test]
fn a_next_hop_is_mandatory_only_beside_nlri_of_its_own() {
    let list = format!("{REACH} {ORIGIN} {AS_PATH}");
    assert_eq!(answer(EXTERNAL, &update("", &list, "")), taken(announced(1)));
    assert_eq!(answer(EXTERNAL, &update("", &list, "00")), taken(treated_as_withdraw(2)));
    assert_eq!(answer(EXTERNAL, &update("", &format!("{list} {NEXT_HOP}"), "00")), taken(announced(2)));
}

#[test]
fn a_local_preference_is_required_within_an_as() {
    assert_eq!(answer(INTERNAL, &update("", MANDATORY, "00")), taken(treated_as_withdraw(1)));
    assert_eq!(
        answer(INTERNAL, &update("", &format!("{MANDATORY} {LOCAL_PREF}"), "00")),
        taken(announced(1))
    );
}

#[test]
fn without_routes_nothing_is_mandatory() {
    for list in [ORIGIN, AS_PATH, NEXT_HOP, MANDATORY, "80 63 00"] {
        assert_eq!(answer(EXTERNAL, &update("", list, "")), taken(Update::default()), "{list}");
        let expected = taken(Update { withdrawn: 1, ..Update::default() });
        assert_eq!(answer(EXTERNAL, &update("00", list, "")), expected, "{list}");
    }
    // MP_REACH_NLRI without one route announces none.
    let empty = "80 0e 15 0002 01 10 20010db8000000000000000000000001 00";
    assert_eq!(answer(EXTERNAL, &update("", empty, "")), taken(Update::default()));
}

#[test]
fn withdrawn_routes_stay_so_where_announced_ones_join_them() {
    let list = format!("{UNREACH} {REACH} {MANDATORY} 80 04 00");
    let expected = taken(treated_as_withdraw(1 + 2 + 2 + 1));
    assert_eq!(answer(EXTERNAL, &update("00", &list, "00 08 0a")), expected);
}

#[test]
fn multiprotocol_attributes_come_once() {
    for twice in [REACH, UNREACH] {
        let list = format!("{twice} {MANDATORY} {twice}");
        assert_eq!(answer(EXTERNAL, &update("", &list, "00")), reset(1, ""), "{twice}");
    }
}

#[test]
fn end_of_rib_is_an_update_with_nothing_in_it() {
    let end = |family| taken(Update { end_of_rib: Some(family), ..Update::default() });
    assert_eq!(answer(EXTERNAL, &message(2, &hex("0000 0000"))), end(Family::IPV4_UNICAST));
    for (attribute, family) in [
        ("80 0f 03 0002 01", Family::IPV6_UNICAST),
        ("90 0f 0003 0002 01", Family::IPV6_UNICAST),
        ("80 0f 03 0001 01", Family::IPV4_UNICAST),
        ("80 0f 03 0001 80", Family { afi: 1, safi: 128 }),
    ] {
        assert_eq!(answer(EXTERNAL, &update("", attribute, "")), end(family), "{attribute}");
    }
}

#[test]
fn end_of_rib_has_nothing_beside_it() {
    let end = "80 0f 03 0002 01";
    for (withdrawn, list, nlri, expected) in [
        ("00", end.to_owned(), "", Update { withdrawn: 1, ..Update::default() }),
        ("", format!("{end} {MANDATORY}"), "00", announced(1)),
        ("", format!("{end} {ORIGIN}"), "", Update::default()),
        ("", format!("{end} 80 63 00"), "", Update::default()),
        ("", UNREACH.to_owned(), "", Update { withdrawn: 2, ..Update::default() }),
        ("", "80 0f 04 0001 80 00".to_owned(), "", Update::default()),
    ] {
        assert_eq!(answer(EXTERNAL, &update(withdrawn, &list, nlri)), taken(expected), "{list}");
    }
}

#[test]
fn next_hops_have_the_lengths_of_their_families() {
    let v6 = "20010db8000000000000000000000001";
    let link_local = "fe800000000000000000000000000001";
    let extended = Parameters { extended_next_hop: true, ..EXTERNAL };
    for (parameters, attribute) in [
        (EXTERNAL, format!("80 0e 1a 0002 01 10 {v6} 00 20 20010db8")),
        (EXTERNAL, format!("80 0e 2a 0002 01 20 {v6}{link_local} 00 20 20010db8")),
        (EXTERNAL, "80 0e 0e 0001 01 04 c0000201 00 20 c6336401".to_owned()),
        (extended, "80 0e 0e 0001 01 04 c0000201 00 20 c6336401".to_owned()),
        (extended, format!("80 0e 1a 0001 01 10 {v6} 00 20 c6336401")),
        (extended, format!("80 0e 2a 0001 01 20 {v6}{link_local} 00 20 c6336401")),
        (extended, format!("80 0e 1a 0001 02 10 {v6} 00 20 c6336401")),
    ] {
        let list = format!("{attribute} {ORIGIN} {AS_PATH}");
        assert_eq!(answer(parameters, &update("", &list, "")), taken(announced(1)), "{attribute}");
    }
    for attribute in [
        "80 0e 12 0001 01 08 c0000201c0000201 00 20 c6336401".to_owned(),
        format!("80 0e 22 0001 01 18 {v6}fe80000000000000 00 20 c6336401"),
        format!("80 0e 1a 0002 01 0f {v6} 00 20 20010db8"),
    ] {
        let list = format!("{attribute} {ORIGIN} {AS_PATH}");
        assert_eq!(answer(extended, &update("", &list, "")), reset(9, &attribute), "{attribute}");
    }
}

#[test]
fn a_family_that_we_do_not_know_is_left_alone() {
    for attribute in
        ["80 0e 0b 0001 80 00 00 ffffffffffff", "80 0e 06 4004 47 01 00 00", "80 0f 05 0019 46 ffff"]
    {
        let list = format!("{attribute} {ORIGIN} {AS_PATH}");
        assert_eq!(answer(EXTERNAL, &update("", &list, "")), taken(Update::default()), "{attribute}");
    }
}
