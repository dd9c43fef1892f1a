//! UPDATE beyond single attributes: lengths, prefixes, what must be there (RFC 4271 §6.3, RFC 7606 §3, §4, §5).

use super::{ANNOUNCED, Answer, Case, DISCARDED, NOTHING, Sent, Session, WITHDRAWN, say, update};

pub(super) fn all() -> Vec<Case> {
    [lengths(), prefixes(), framing(), missing(), twice(), together(), within_bounds()].concat()
}

pub(super) fn case(rfc: &'static str, what: &str, sent: Sent, answer: Answer) -> Case {
    Case::new(rfc, format!("UPDATE: {what}"), sent, answer)
}

fn mandatory() -> String {
    Session::External.mandatory(0)
}

/// RFC 7606 §3 (b): they leave no way to find the NLRI.
fn lengths() -> Vec<Case> {
    let wrong =
        |(what, body): (&str, &str)| case("7606 §3 (b)", what, Sent::Message(2, body.into()), say(3, 1));
    let bodies = [
        ("withdrawn routes take the length of attributes", "0001 0000"),
        ("withdrawn routes take all", "0002 0000"),
        ("65535 octets of withdrawn routes", "ffff 0000"),
        ("an octet of attributes that is not there", "0000 0001"),
        ("10 octets of attributes that are not there", "0000 000a"),
        ("65520 octets of attributes, where 16 bits of sum run over", "0000 fff0"),
        ("65535 octets of attributes", "0000 ffff"),
        ("65517 octets of withdrawn routes, where 16 bits run over", "ffed 0000"),
        ("65535 octets of both", "ffff ffff"),
        ("no length of attributes behind withdrawn routes", "0002 08 0a"),
        ("half a length of attributes", "0002 08 0a 00"),
        ("attributes cut by the end", "0002 08 0a 0004 40 01 01"),
    ];
    bodies.map(wrong).into()
}

/// RFC 4271 §6.3 "Invalid Network Field", RFC 7606 §3 (i), (j) and §5.3.
fn prefixes() -> Vec<Case> {
    let prefixes = [
        ("/33", "21 c633640100"),
        ("/255", "ff"),
        ("/128", "80 20010db8000000000000000000000001"),
        ("/32 of three octets", "20 c63364"),
        ("/24 of none", "18"),
        ("/1 of none", "01"),
        ("a good one, then /24 of one octet", "10 c633 18 c6"),
    ];
    let mut cases = Vec::new();
    for (what, octets) in prefixes {
        let nlri = update("", &mandatory(), octets);
        cases.push(case("7606 §5.3", &format!("a route {what}"), nlri, say(3, 10)));
        let withdrawn = update(octets, "", "");
        cases.push(case("7606 §5.3", &format!("a withdrawn route {what}"), withdrawn, say(3, 10)));
    }
    let both = update("", "40 01 01 03", "21 c633640100");
    cases.push(case("7606 §3 (h)", "a route /33 beside a malformed attribute", both, say(3, 10)));
    cases
}

/// RFC 7606 §4.
fn framing() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, stray) in [
        ("one stray octet", "00"),
        ("two stray octets", "4001"),
        ("three octets of an attribute with four", "5001 00"),
        ("an ORIGIN beyond the end", "40 01 02 00"),
        ("a MULTI_EXIT_DISC beyond the end", "80 04 ff 00"),
        ("a MULTI_EXIT_DISC of 65535 octets", "90 04 ffff 00"),
        ("an unknown attribute beyond the end", "c0 63 01"),
        ("an unknown well-known attribute beyond the end", "40 63 01"),
        ("the first two octets of an MP_REACH_NLRI", "80 0e"),
    ] {
        let list = format!("{} {stray}", mandatory());
        let what = format!("{what} at the end of the attributes");
        cases.push(case("7606 §4", &what, update("", &list, "R"), WITHDRAWN));
        let alone = update("", &list, "");
        cases.push(case("7606 §5.2", &format!("{what}, and no route"), alone, say(3, 1)));
    }
    for (what, beyond) in [
        ("MP_REACH_NLRI", "80 0e 1b 0002 01 10 20010db8000000000000000000000001 00 20 20010db8"),
        ("MP_UNREACH_NLRI", "80 0f 04 0002 01"),
        ("MP_UNREACH_NLRI of two octets of length", "90 0f 0004 0002 01"),
    ] {
        let list = format!("{} {beyond}", mandatory());
        let what = format!("{what} beyond the end of the attributes");
        cases.push(case("7606 §3 (j)", &what, update("", &list, "R"), say(3, 1)));
    }
    cases
}

/// RFC 7606 §3 (d).
fn missing() -> Vec<Case> {
    let mut cases = Vec::new();
    for (code, name) in [(1, "ORIGIN"), (2, "AS_PATH"), (3, "NEXT_HOP")] {
        for session in [Session::External, Session::Internal] {
            let what = format!("no {name}, {session:?}");
            cases.push(
                case("7606 §3 (d)", &what, update("", &session.mandatory(code), "R"), WITHDRAWN).of(session),
            );
        }
    }
    cases.push(case("7606 §3 (d)", "no attribute", update("", "", "R"), WITHDRAWN));
    cases
}

/// RFC 7606 §3 (g).
fn twice() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, again) in [
        ("ORIGIN", "40 01 01 01"),
        ("ORIGIN, the second one undefined,", "40 01 01 03"),
        ("ORIGIN, the second one empty,", "40 01 00"),
        ("AS_PATH", "40 02 06 02 01 0000fdeb"),
        ("AS_PATH, the second one malformed,", "40 02 03 02 01 00"),
        ("NEXT_HOP", "40 03 04 N"),
        ("NEXT_HOP, the second one of 3 octets,", "40 03 03 c00002"),
        ("MULTI_EXIT_DISC", "80 04 04 00000001 80 04 04 00000002"),
        ("COMMUNITIES", "c0 08 04 fde90001 c0 08 04 fde90002"),
        ("an unknown attribute", "c0 63 01 00 c0 63 01 01"),
    ] {
        let list = format!("{} {again}", mandatory());
        cases.push(case("7606 §3 (g)", &format!("{what} twice"), update("", &list, "R"), DISCARDED));
    }
    let reach = "80 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8";
    for (what, again) in [("MP_REACH_NLRI", reach), ("MP_UNREACH_NLRI", "80 0f 03 0002 01")] {
        let list = format!("{} {again} {again}", mandatory());
        cases.push(case("7606 §3 (g)", &format!("{what} twice"), update("", &list, "R"), say(3, 1)));
    }
    cases
}

/// RFC 7606 §3 (h): the strongest approach counts.
fn together() -> Vec<Case> {
    let (discard, withdraw, reset) = ("40 06 01 00", "80 04 00", "40 63 00");
    let list = |more: [&str; 2]| format!("{} {}", mandatory(), more.join(" "));
    vec![
        case("7606 §3 (h)", "discard, then withdraw", update("", &list([discard, withdraw]), "R"), WITHDRAWN),
        case("7606 §3 (h)", "withdraw, then discard", update("", &list([withdraw, discard]), "R"), WITHDRAWN),
        case(
            "7606 §3 (h)",
            "withdraw, then reset",
            update("", &list([withdraw, reset]), "R"),
            super::tell(3, 2, reset),
        ),
        case(
            "7606 §3 (h)",
            "reset, then withdraw",
            update("", &list([reset, withdraw]), "R"),
            super::tell(3, 2, reset),
        ),
    ]
}

fn within_bounds() -> Vec<Case> {
    let good = |what: &str, sent, answer| case("4271 §4.3", what, sent, answer);
    vec![
        good("a route", update("", &mandatory(), "R"), ANNOUNCED),
        good("bits behind the prefix", update("", &mandatory(), "R 17 c633ff"), ANNOUNCED),
        good("withdrawn and announced", update("R", &mandatory(), "R"), ANNOUNCED),
        good("withdrawn and never announced", update("18 c63365", "", ""), NOTHING),
        good("attributes without a route", update("", &mandatory(), ""), NOTHING),
        case("4724 §2", "End-of-RIB", update("", "", ""), NOTHING),
        case("4724 §2", "End-of-RIB of IPv6", update("", "80 0f 03 0002 01", ""), NOTHING),
    ]
}
