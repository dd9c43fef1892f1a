//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 §7, RFC 7606 §5.3, §7.11, RFC 2545).

use super::updates::case;
use super::{Case, NOTHING, Session, WITHDRAWN, say, tell, update};

/// The malformed ones are among the attributes.
pub(super) fn all() -> Vec<Case> {
    let without_next_hop = Session::External.mandatory(3);
    let reach = |more: &str| {
        format!("80 0e 2a 0002 01 20 {GLOBAL} {LINK_LOCAL} 00 20 20010db8 {without_next_hop} {more}")
    };
    // The IPv4 route goes with it.
    let withdraws = |what: &str, list: &str| {
        case("7606 §3", what, update("", &format!("{list} 40 03 04 N"), "R"), WITHDRAWN)
    };
    let route6 = format!("80 0e 1a 0002 01 10 {GLOBAL} 00 20 20010db9");
    vec![
        case("2545 §3", "two next hops", update("", &reach(""), ""), NOTHING),
        case("4760 §7", "a family that was not agreed on", update("", "80 0f 04 0001 80 00", ""), NOTHING),
        withdraws("an IPv6 route and no AS_PATH", &format!("{route6} 40 01 01 00")),
        withdraws("an IPv6 route and no ORIGIN", &format!("{route6} 40 02 06 02 01 0000fde9")),
        withdraws(
            "an IPv6 route and a malformed ORIGIN",
            &format!("{route6} 40 01 01 03 40 02 06 02 01 0000fde9"),
        ),
        case(
            "7606 §4",
            "an IPv6 route and a stray octet",
            update("", &format!("{route6} {} 00", Session::External.mandatory(0)), "R"),
            WITHDRAWN,
        ),
        case(
            "7606 §5.2",
            "IPv6 routes withdrawn beside a malformed attribute, and none announced",
            update("", "80 0f 08 0002 01 20 20010db8 40 01 01 03", ""),
            tell(3, 6, "40 01 01 03"),
        ),
        case(
            "7606 §5.2",
            "IPv6 routes withdrawn beside a stray octet, and none announced",
            update("", "80 0f 08 0002 01 20 20010db8 00", ""),
            say(3, 1),
        ),
    ]
}

const GLOBAL: &str = "20010db8000000000000000000000001";
const LINK_LOCAL: &str = "fe800000000000000000000000000001";
