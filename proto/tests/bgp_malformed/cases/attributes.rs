//! Path attributes, and what RFC 7606 §3 and §7 and their own RFCs make of each.

use self::Verdict::{Accept, Discard, Reset, Withdraw};
use super::Session::{self, External, Internal, TwoOctets, TwoOctetsInternal};
use super::{ANNOUNCED, Answer, Case, DISCARDED, NOTHING, WITHDRAWN, say, tell, update};

/// What becomes of a route with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    Accept,
    Discard,
    /// With the subcode where no route is announced, and the session must end for it (RFC 7606 §5.2).
    Withdraw(u8),
    Reset(u8),
}

/// Each beside a route, and those that would withdraw it alone as well.
pub(super) fn all() -> Vec<Case> {
    CASES.iter().flat_map(|(octets, session, verdict)| cases(octets, *session, *verdict)).collect()
}

fn cases(octets: &str, session: Session, verdict: Verdict) -> Vec<Case> {
    let code = octets.split(' ').nth(1).and_then(|code| u8::from_str_radix(code, 16).ok()).unwrap();
    let what = |more: &str| format!("attribute {octets}{more}, {session:?}");
    let beside = update("", &format!("{} {octets}", session.mandatory(code)), "R");
    let answer = match verdict {
        // Whether the host is on the link is another question (RFC 4271 §6.3).
        Accept if code == 3 => NOTHING,
        Accept => ANNOUNCED,
        Discard => DISCARDED,
        Withdraw(_) => WITHDRAWN,
        Reset(subcode) => reset(subcode, octets),
    };
    let mut cases = vec![Case::new(clause(code, verdict), what(""), beside, answer).of(session)];
    if let Withdraw(subcode) = verdict {
        let alone = update("", octets, "");
        cases.push(Case::new("7606 §5.2", what(" and no route"), alone, reset(subcode, octets)).of(session));
    }
    cases
}

/// "The Data field MUST contain the erroneous attribute (type, length, and value)" (RFC 4271 §6.3), but for AS_PATH.
fn reset(subcode: u8, octets: &str) -> Answer {
    if subcode == 11 { say(3, 11) } else { tell(3, subcode, octets) }
}

fn clause(code: u8, verdict: Verdict) -> &'static str {
    match (code, verdict) {
        (14 | 15, _) => "7606 §5.3",
        (_, Withdraw(4)) => "7606 §3 (c)",
        (1, _) => "7606 §7.1",
        (2, _) => "7606 §7.2",
        (3, _) => "7606 §7.3",
        (4, _) => "7606 §7.4",
        (5, _) => "7606 §7.5",
        (6, _) => "7606 §7.6",
        (7, _) => "7606 §7.7",
        (8, _) => "7606 §7.8",
        (9, _) => "7606 §7.9",
        (10, _) => "7606 §7.10",
        (16, _) => "7606 §7.14",
        (17 | 18, _) => "6793 §6",
        (25, _) => "7606 §7.15",
        (32, _) => "8092 §6",
        _ => "4271 §6.3",
    }
}

/// Octets of one attribute, and what RFC 7606 makes of it in which session.
pub(crate) const CASES: &[(&str, Session, Verdict)] = &[
    // ORIGIN (§7.1)
    ("40 01 01 00", External, Accept),
    ("40 01 01 01", External, Accept),
    ("40 01 01 02", External, Accept),
    ("40 01 01 03", External, Withdraw(6)),
    ("40 01 01 ff", External, Withdraw(6)),
    ("40 01 00", External, Withdraw(5)),
    ("40 01 02 0000", External, Withdraw(5)),
    ("50 01 0001 00", External, Accept),
    ("50 01 0001 03", External, Withdraw(6)),
    ("50 01 0000", External, Withdraw(5)),
    ("c0 01 01 00", External, Withdraw(4)),
    ("00 01 01 00", External, Withdraw(4)),
    ("80 01 01 00", External, Withdraw(4)),
    // Partial and the unused bits do not conflict with anything any more (§3 (c)).
    ("60 01 01 00", External, Accept),
    ("4f 01 01 00", External, Accept),
    // AS_PATH (§7.2, RFC 7607)
    ("40 02 00", External, Accept),
    ("40 02 06 02 01 0000fde9", External, Accept),
    ("40 02 06 01 01 0000fde9", External, Accept),
    ("40 02 0c 02 01 0000fde9 01 01 0000fdea", External, Accept),
    ("50 02 0006 02 01 0000fde9", External, Accept),
    ("40 02 04 02 01 fde9", TwoOctets, Accept),
    ("40 02 04 02 01 5ba0", TwoOctets, Accept),
    ("40 02 04 02 01 fde9", External, Withdraw(11)), // an overrun in four octets
    ("40 02 06 02 01 0000fde9", TwoOctets, Withdraw(11)), // AS 0 in two, and a segment of type 253
    ("40 02 06 02 02 0000fde9", External, Withdraw(11)),
    ("40 02 0a 02 01 0000fde9 0000fdea", External, Withdraw(11)),
    ("40 02 07 02 01 0000fde9 02", External, Withdraw(11)), // an underrun
    ("40 02 01 02", External, Withdraw(11)),
    ("40 02 02 02 00", External, Withdraw(11)),
    ("40 02 08 02 01 0000fde9 02 00", External, Withdraw(11)),
    ("40 02 08 02 01 0000fde9 02 01", External, Withdraw(11)),
    ("40 02 06 00 01 0000fde9", External, Withdraw(11)),
    ("40 02 06 05 01 0000fde9", External, Withdraw(11)),
    ("40 02 06 ff 01 0000fde9", External, Withdraw(11)),
    ("40 02 06 03 01 0000fde9", External, Withdraw(11)), // RFC 5065 §5
    ("40 02 06 04 01 0000fde9", External, Withdraw(11)),
    ("40 02 06 03 01 0000fde9", Internal, Withdraw(11)),
    ("40 02 06 02 01 00000000", External, Withdraw(11)),
    ("40 02 0a 02 02 0000fde9 00000000", External, Withdraw(11)),
    ("40 02 06 01 01 00000000", External, Withdraw(11)),
    ("40 02 04 02 01 0000", TwoOctets, Withdraw(11)),
    ("c0 02 06 02 01 0000fde9", External, Withdraw(4)),
    ("80 02 06 02 01 0000fde9", External, Withdraw(4)),
    // NEXT_HOP (§7.3)
    ("40 03 04 c0000207", External, Accept),
    ("40 03 03 c00002", External, Withdraw(5)),
    ("40 03 05 c000020100", External, Withdraw(5)),
    ("40 03 00", External, Withdraw(5)),
    ("40 03 10 20010db8000000000000000000000001", External, Withdraw(5)),
    ("40 03 04 00000000", External, Withdraw(8)),
    ("40 03 04 00000001", External, Withdraw(8)),
    ("40 03 04 7f000001", External, Withdraw(8)),
    ("40 03 04 e0000001", External, Withdraw(8)),
    ("40 03 04 f0000001", External, Withdraw(8)),
    ("40 03 04 ffffffff", External, Withdraw(8)),
    ("40 03 04 dfffffff", External, Accept),
    ("c0 03 04 c0000201", External, Withdraw(4)),
    ("00 03 04 c0000201", External, Withdraw(4)),
    // MULTI_EXIT_DISC (§7.4)
    ("80 04 04 00000000", External, Accept),
    ("80 04 03 000000", External, Withdraw(5)),
    ("80 04 05 0000000000", External, Withdraw(5)),
    ("80 04 00", External, Withdraw(5)),
    ("40 04 04 00000000", External, Withdraw(4)),
    ("c0 04 04 00000000", External, Withdraw(4)),
    // LOCAL_PREF (§7.5)
    ("40 05 04 00000064", Internal, Accept),
    ("40 05 03 000064", Internal, Withdraw(5)),
    ("40 05 05 0000000064", Internal, Withdraw(5)),
    ("40 05 00", Internal, Withdraw(5)),
    ("c0 05 04 00000064", Internal, Withdraw(4)),
    ("40 05 04 00000064", External, Discard),
    ("40 05 03 000064", External, Discard),
    ("40 05 00", External, Discard),
    ("80 05 04 00000064", External, Discard),
    // ATOMIC_AGGREGATE (§7.6)
    ("40 06 00", External, Accept),
    ("50 06 0000", External, Accept),
    ("40 06 01 00", External, Discard),
    ("40 06 04 00000000", External, Discard),
    ("c0 06 00", External, Withdraw(4)),
    // AGGREGATOR (§7.7, RFC 7607)
    ("c0 07 08 0000fde9 c0000201", External, Accept),
    ("c0 07 06 fde9 c0000201", TwoOctets, Accept),
    ("c0 07 06 fde9 c0000201", External, Discard),
    ("c0 07 08 0000fde9 c0000201", TwoOctets, Discard),
    ("c0 07 07 0000fde9 c00002", External, Discard),
    ("c0 07 09 0000fde9 c000020100", External, Discard),
    ("c0 07 00", External, Discard),
    ("c0 07 01 00", TwoOctets, Discard),
    ("c0 07 08 00000000 c0000201", External, Discard),
    ("c0 07 06 0000 c0000201", TwoOctets, Discard),
    ("80 07 08 0000fde9 c0000201", External, Withdraw(4)),
    ("e0 07 08 0000fde9 c0000201", External, Accept),
    // COMMUNITIES (§7.8)
    ("c0 08 04 fde90001", External, Accept),
    ("c0 08 08 fde90001 ffffff01", External, Accept),
    ("c0 08 00", External, Withdraw(5)),
    ("c0 08 03 fde900", External, Withdraw(5)),
    ("c0 08 05 fde9000100", External, Withdraw(5)),
    ("c0 08 06 fde90001fde9", External, Withdraw(5)),
    ("80 08 04 fde90001", External, Withdraw(4)),
    ("40 08 04 fde90001", External, Withdraw(4)),
    // ORIGINATOR_ID (§7.9)
    ("80 09 04 c0000201", Internal, Accept),
    ("80 09 03 c00002", Internal, Withdraw(5)),
    ("80 09 08 c0000201c0000201", Internal, Withdraw(5)),
    ("80 09 00", Internal, Withdraw(5)),
    ("c0 09 04 c0000201", Internal, Withdraw(4)),
    ("80 09 04 c0000201", External, Discard),
    ("80 09 03 c00002", External, Discard),
    ("40 09 04 c0000201", External, Discard),
    // CLUSTER_LIST (§7.10)
    ("80 0a 04 c0000201", Internal, Accept),
    ("80 0a 08 c0000201c0000202", Internal, Accept),
    ("80 0a 00", Internal, Withdraw(5)),
    ("80 0a 05 c000020100", Internal, Withdraw(5)),
    ("40 0a 04 c0000201", Internal, Withdraw(4)),
    ("80 0a 04 c0000201", External, Discard),
    ("80 0a 05 c000020100", External, Discard),
    ("80 0a 00", External, Discard),
    // EXTENDED COMMUNITIES (§7.14)
    ("c0 10 08 0002fde900000001", External, Accept),
    ("c0 10 08 ffffffffffffffff", External, Accept), // "not … malformed … because of an unrecognized Type"
    ("c0 10 00", External, Withdraw(5)),
    ("c0 10 07 0002fde9000000", External, Withdraw(5)),
    ("c0 10 0c 0002fde900000001 00000000", External, Withdraw(5)),
    ("80 10 08 0002fde900000001", External, Withdraw(4)),
    // IPv6 Address Specific Extended Communities (§7.15)
    ("c0 19 14 0002 20010db8000000000000000000000001 0001", External, Accept),
    ("c0 19 00", External, Withdraw(5)),
    ("c0 19 0a 0002 20010db800000000", External, Withdraw(5)),
    ("c0 19 13 0002 20010db8000000000000000000000001 00", External, Withdraw(5)),
    ("40 19 14 0002 20010db8000000000000000000000001 0001", External, Withdraw(4)),
    // LARGE_COMMUNITY (RFC 8092 §6)
    ("c0 20 0c 0000fde9 00000001 00000002", External, Accept),
    ("c0 20 00", External, Withdraw(5)),
    ("c0 20 0b 0000fde9 00000001 000000", External, Withdraw(5)),
    ("c0 20 10 0000fde9 00000001 00000002 00000003", External, Withdraw(5)),
    ("80 20 0c 0000fde9 00000001 00000002", External, Withdraw(4)),
    // AS4_PATH (RFC 6793 §6)
    ("c0 11 06 02 01 00010000", TwoOctets, Accept),
    ("c0 11 06 02 01 00010000", TwoOctetsInternal, Accept),
    ("c0 11 0c 03 01 0000fde9 02 01 00010000", TwoOctets, Accept), // such segments are only passed over
    ("c0 11 00", TwoOctets, Discard),
    ("c0 11 04 02 01 0001", TwoOctets, Discard),
    ("c0 11 06 02 02 00010000", TwoOctets, Discard),
    ("c0 11 02 02 00", TwoOctets, Discard),
    ("c0 11 07 02 01 00010000 02", TwoOctets, Discard),
    ("c0 11 06 00 01 00010000", TwoOctets, Discard),
    ("c0 11 06 05 01 00010000", TwoOctets, Discard),
    ("c0 11 06 02 01 00000000", TwoOctets, Discard), // RFC 7607 §2
    ("80 11 06 02 01 00010000", TwoOctets, Withdraw(4)),
    ("c0 11 06 02 01 00010000", External, Discard), // from a speaker of four octets
    ("c0 11 04 02 01 0001", Internal, Discard),
    // AS4_AGGREGATOR (RFC 6793 §6)
    ("c0 12 08 00010000 c0000201", TwoOctets, Accept),
    ("c0 12 06 0001 c0000201", TwoOctets, Discard),
    ("c0 12 00", TwoOctets, Discard),
    ("c0 12 08 00000000 c0000201", TwoOctets, Discard),
    ("40 12 08 00010000 c0000201", TwoOctets, Withdraw(4)),
    ("c0 12 08 00010000 c0000201", External, Discard),
    // What we do not know (RFC 4271 §6.3): optional ones pass, whatever is in them.
    ("80 63 01 00", External, Accept),
    ("c0 63 00", External, Accept),
    ("e0 63 04 00000000", External, Accept),
    ("d0 ff 0001 00", External, Accept),
    ("80 00 01 00", External, Accept),
    ("80 41 01 00", External, Accept), // whose number differs from ORIGIN's in one bit
    ("40 63 01 00", External, Reset(2)),
    ("00 63 01 00", External, Reset(2)),
    ("50 63 0002 0102", External, Reset(2)),
    ("40 00 00", External, Reset(2)),
    ("40 0b 02 0001", Internal, Reset(2)),
    // MP_REACH_NLRI (§5.3, §7.11, RFC 4760 §7)
    ("80 0e 04 0002 01 00", External, Reset(9)),
    ("80 0e 00", External, Reset(9)),
    ("80 0e 05 0002 01 00 00", External, Reset(9)), // no next hop
    ("80 0e 09 0002 01 04 c0000201 00", External, Reset(9)),
    ("80 0e 14 0002 01 0f 20010db80000000000000000000000 00", External, Reset(9)),
    ("80 0e 16 0002 01 11 20010db800000000000000000000000100 00", External, Reset(9)),
    ("80 0e 1d 0002 01 18 20010db8000000000000000000000001fe80000000000000 00", External, Reset(9)),
    ("80 0e 15 0002 01 20 20010db8000000000000000000000001 00", External, Reset(9)), // beyond the end
    ("80 0e 14 0002 01 10 20010db8000000000000000000000001", External, Reset(9)),    // no reserved octet
    ("80 0e 16 0002 01 10 20010db8000000000000000000000001 00 81", External, Reset(9)),
    (
        "80 0e 27 0002 01 10 20010db8000000000000000000000001 00 81 20010db800000000000000000000000100",
        External,
        Reset(9),
    ),
    ("80 0e 18 0002 01 10 20010db8000000000000000000000001 00 40 2001", External, Reset(9)),
    ("c0 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8", External, Reset(9)),
    ("40 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8", External, Reset(9)),
    ("80 0e 1a 0001 01 10 20010db8000000000000000000000001 00 20 c6336401", External, Reset(9)),
    ("80 0e 0f 0001 01 04 c0000201 00 21 c6336401 00", External, Reset(9)),
    ("80 0e 0e 0001 01 05 c000020100 00 18 c63364", External, Reset(9)),
    ("80 0e 06 4004 47 ff 00 00", External, Reset(9)), // even of a family that we do not know
    // MP_UNREACH_NLRI (§5.3)
    ("80 0f 02 0002", External, Reset(9)),
    ("80 0f 00", External, Reset(9)),
    ("80 0f 04 0002 01 81", External, Reset(9)),
    ("80 0f 06 0002 01 20 2001", External, Reset(9)),
    ("80 0f 09 0001 01 21 c6336401 00", External, Reset(9)),
    ("c0 0f 03 0002 01", External, Reset(9)),
    ("00 0f 03 0002 01", External, Reset(9)),
];
