//! Path attributes, and what RFC 7606 §3 and §7 and their own RFCs make of each.

use vipcast_proto::bgp::wire::Parameters;

use self::Verdict::{Accept, Discard, Reset, Withdraw};
use crate::support::{EXTERNAL, INTERNAL, OLD};

/// What becomes of a route with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    Accept,
    Discard,
    /// With the subcode where no route is announced, and the session must end for it (RFC 7606 §5.2).
    Withdraw(u8),
    Reset(u8),
}

/// Octets of one attribute, and what RFC 7606 makes of it in which session.
pub(crate) const CASES: &[(&str, Parameters, Verdict)] = &[
    // ORIGIN (§7.1)
    ("40 01 01 00", EXTERNAL, Accept),
    ("40 01 01 01", EXTERNAL, Accept),
    ("40 01 01 02", EXTERNAL, Accept),
    ("40 01 01 03", EXTERNAL, Withdraw(6)),
    ("40 01 01 ff", EXTERNAL, Withdraw(6)),
    ("40 01 00", EXTERNAL, Withdraw(5)),
    ("40 01 02 0000", EXTERNAL, Withdraw(5)),
    ("50 01 0001 00", EXTERNAL, Accept),
    ("50 01 0001 03", EXTERNAL, Withdraw(6)),
    ("50 01 0000", EXTERNAL, Withdraw(5)),
    ("c0 01 01 00", EXTERNAL, Withdraw(4)),
    ("00 01 01 00", EXTERNAL, Withdraw(4)),
    ("80 01 01 00", EXTERNAL, Withdraw(4)),
    // Partial and the unused bits do not conflict with anything any more (§3 (c)).
    ("60 01 01 00", EXTERNAL, Accept),
    ("4f 01 01 00", EXTERNAL, Accept),
    // AS_PATH (§7.2, RFC 7607)
    ("40 02 00", EXTERNAL, Accept),
    ("40 02 06 02 01 0000fde9", EXTERNAL, Accept),
    ("40 02 06 01 01 0000fde9", EXTERNAL, Accept),
    ("40 02 0c 02 01 0000fde9 01 01 0000fdea", EXTERNAL, Accept),
    ("50 02 0006 02 01 0000fde9", EXTERNAL, Accept),
    ("40 02 04 02 01 fde9", OLD, Accept),
    ("40 02 04 02 01 5ba0", OLD, Accept),
    ("40 02 04 02 01 fde9", EXTERNAL, Withdraw(11)), // an overrun in four octets
    ("40 02 06 02 01 0000fde9", OLD, Withdraw(11)),  // AS 0 in two, and a segment of type 253
    ("40 02 06 02 02 0000fde9", EXTERNAL, Withdraw(11)),
    ("40 02 0a 02 01 0000fde9 0000fdea", EXTERNAL, Withdraw(11)),
    ("40 02 07 02 01 0000fde9 02", EXTERNAL, Withdraw(11)), // an underrun
    ("40 02 01 02", EXTERNAL, Withdraw(11)),
    ("40 02 02 02 00", EXTERNAL, Withdraw(11)),
    ("40 02 08 02 01 0000fde9 02 00", EXTERNAL, Withdraw(11)),
    ("40 02 08 02 01 0000fde9 02 01", EXTERNAL, Withdraw(11)),
    ("40 02 06 00 01 0000fde9", EXTERNAL, Withdraw(11)),
    ("40 02 06 05 01 0000fde9", EXTERNAL, Withdraw(11)),
    ("40 02 06 ff 01 0000fde9", EXTERNAL, Withdraw(11)),
    ("40 02 06 03 01 0000fde9", EXTERNAL, Withdraw(11)), // RFC 5065 §5
    ("40 02 06 04 01 0000fde9", EXTERNAL, Withdraw(11)),
    ("40 02 06 03 01 0000fde9", INTERNAL, Withdraw(11)),
    ("40 02 06 02 01 00000000", EXTERNAL, Withdraw(11)),
    ("40 02 0a 02 02 0000fde9 00000000", EXTERNAL, Withdraw(11)),
    ("40 02 06 01 01 00000000", EXTERNAL, Withdraw(11)),
    ("40 02 04 02 01 0000", OLD, Withdraw(11)),
    ("c0 02 06 02 01 0000fde9", EXTERNAL, Withdraw(4)),
    ("80 02 06 02 01 0000fde9", EXTERNAL, Withdraw(4)),
    // NEXT_HOP (§7.3)
    ("40 03 04 c0000201", EXTERNAL, Accept),
    ("40 03 03 c00002", EXTERNAL, Withdraw(5)),
    ("40 03 05 c000020100", EXTERNAL, Withdraw(5)),
    ("40 03 00", EXTERNAL, Withdraw(5)),
    ("40 03 10 20010db8000000000000000000000001", EXTERNAL, Withdraw(5)),
    ("40 03 04 00000000", EXTERNAL, Withdraw(8)),
    ("40 03 04 00000001", EXTERNAL, Withdraw(8)),
    ("40 03 04 7f000001", EXTERNAL, Withdraw(8)),
    ("40 03 04 e0000001", EXTERNAL, Withdraw(8)),
    ("40 03 04 f0000001", EXTERNAL, Withdraw(8)),
    ("40 03 04 ffffffff", EXTERNAL, Withdraw(8)),
    ("40 03 04 dfffffff", EXTERNAL, Accept),
    ("c0 03 04 c0000201", EXTERNAL, Withdraw(4)),
    ("00 03 04 c0000201", EXTERNAL, Withdraw(4)),
    // MULTI_EXIT_DISC (§7.4)
    ("80 04 04 00000000", EXTERNAL, Accept),
    ("80 04 03 000000", EXTERNAL, Withdraw(5)),
    ("80 04 05 0000000000", EXTERNAL, Withdraw(5)),
    ("80 04 00", EXTERNAL, Withdraw(5)),
    ("40 04 04 00000000", EXTERNAL, Withdraw(4)),
    ("c0 04 04 00000000", EXTERNAL, Withdraw(4)),
    // LOCAL_PREF (§7.5)
    ("40 05 04 00000064", INTERNAL, Accept),
    ("40 05 03 000064", INTERNAL, Withdraw(5)),
    ("40 05 05 0000000064", INTERNAL, Withdraw(5)),
    ("40 05 00", INTERNAL, Withdraw(5)),
    ("c0 05 04 00000064", INTERNAL, Withdraw(4)),
    ("40 05 04 00000064", EXTERNAL, Discard),
    ("40 05 03 000064", EXTERNAL, Discard),
    ("40 05 00", EXTERNAL, Discard),
    ("80 05 04 00000064", EXTERNAL, Discard),
    // ATOMIC_AGGREGATE (§7.6)
    ("40 06 00", EXTERNAL, Accept),
    ("50 06 0000", EXTERNAL, Accept),
    ("40 06 01 00", EXTERNAL, Discard),
    ("40 06 04 00000000", EXTERNAL, Discard),
    ("c0 06 00", EXTERNAL, Withdraw(4)),
    // AGGREGATOR (§7.7, RFC 7607)
    ("c0 07 08 0000fde9 c0000201", EXTERNAL, Accept),
    ("c0 07 06 fde9 c0000201", OLD, Accept),
    ("c0 07 06 fde9 c0000201", EXTERNAL, Discard),
    ("c0 07 08 0000fde9 c0000201", OLD, Discard),
    ("c0 07 07 0000fde9 c00002", EXTERNAL, Discard),
    ("c0 07 09 0000fde9 c000020100", EXTERNAL, Discard),
    ("c0 07 00", EXTERNAL, Discard),
    ("c0 07 01 00", OLD, Discard),
    ("c0 07 08 00000000 c0000201", EXTERNAL, Discard),
    ("c0 07 06 0000 c0000201", OLD, Discard),
    ("80 07 08 0000fde9 c0000201", EXTERNAL, Withdraw(4)),
    ("e0 07 08 0000fde9 c0000201", EXTERNAL, Accept),
    // COMMUNITIES (§7.8)
    ("c0 08 04 fde90001", EXTERNAL, Accept),
    ("c0 08 08 fde90001 ffffff01", EXTERNAL, Accept),
    ("c0 08 00", EXTERNAL, Withdraw(5)),
    ("c0 08 03 fde900", EXTERNAL, Withdraw(5)),
    ("c0 08 05 fde9000100", EXTERNAL, Withdraw(5)),
    ("c0 08 06 fde90001fde9", EXTERNAL, Withdraw(5)),
    ("80 08 04 fde90001", EXTERNAL, Withdraw(4)),
    ("40 08 04 fde90001", EXTERNAL, Withdraw(4)),
    // ORIGINATOR_ID (§7.9)
    ("80 09 04 c0000201", INTERNAL, Accept),
    ("80 09 03 c00002", INTERNAL, Withdraw(5)),
    ("80 09 08 c0000201c0000201", INTERNAL, Withdraw(5)),
    ("80 09 00", INTERNAL, Withdraw(5)),
    ("c0 09 04 c0000201", INTERNAL, Withdraw(4)),
    ("80 09 04 c0000201", EXTERNAL, Discard),
    ("80 09 03 c00002", EXTERNAL, Discard),
    ("40 09 04 c0000201", EXTERNAL, Discard),
    // CLUSTER_LIST (§7.10)
    ("80 0a 04 c0000201", INTERNAL, Accept),
    ("80 0a 08 c0000201c0000202", INTERNAL, Accept),
    ("80 0a 00", INTERNAL, Withdraw(5)),
    ("80 0a 05 c000020100", INTERNAL, Withdraw(5)),
    ("40 0a 04 c0000201", INTERNAL, Withdraw(4)),
    ("80 0a 04 c0000201", EXTERNAL, Discard),
    ("80 0a 05 c000020100", EXTERNAL, Discard),
    ("80 0a 00", EXTERNAL, Discard),
    // EXTENDED COMMUNITIES (§7.14)
    ("c0 10 08 0002fde900000001", EXTERNAL, Accept),
    ("c0 10 08 ffffffffffffffff", EXTERNAL, Accept), // "not … malformed … because of an unrecognized Type"
    ("c0 10 00", EXTERNAL, Withdraw(5)),
    ("c0 10 07 0002fde9000000", EXTERNAL, Withdraw(5)),
    ("c0 10 0c 0002fde900000001 00000000", EXTERNAL, Withdraw(5)),
    ("80 10 08 0002fde900000001", EXTERNAL, Withdraw(4)),
    // IPv6 Address Specific Extended Communities (§7.15)
    ("c0 19 14 0002 20010db8000000000000000000000001 0001", EXTERNAL, Accept),
    ("c0 19 00", EXTERNAL, Withdraw(5)),
    ("c0 19 13 0002 20010db8000000000000000000000001 00", EXTERNAL, Withdraw(5)),
    ("40 19 14 0002 20010db8000000000000000000000001 0001", EXTERNAL, Withdraw(4)),
    // LARGE_COMMUNITY (RFC 8092 §6)
    ("c0 20 0c 0000fde9 00000001 00000002", EXTERNAL, Accept),
    ("c0 20 00", EXTERNAL, Withdraw(5)),
    ("c0 20 0b 0000fde9 00000001 000000", EXTERNAL, Withdraw(5)),
    ("c0 20 10 0000fde9 00000001 00000002 00000003", EXTERNAL, Withdraw(5)),
    ("80 20 0c 0000fde9 00000001 00000002", EXTERNAL, Withdraw(4)),
    // AS4_PATH (RFC 6793 §6)
    ("c0 11 06 02 01 00010000", OLD, Accept),
    ("c0 11 06 02 01 00010000", OLD_INTERNAL, Accept),
    ("c0 11 0c 03 01 0000fde9 02 01 00010000", OLD, Accept), // such segments are only passed over
    ("c0 11 00", OLD, Discard),
    ("c0 11 04 02 01 0001", OLD, Discard),
    ("c0 11 06 02 02 00010000", OLD, Discard),
    ("c0 11 02 02 00", OLD, Discard),
    ("c0 11 07 02 01 00010000 02", OLD, Discard),
    ("c0 11 06 00 01 00010000", OLD, Discard),
    ("c0 11 06 05 01 00010000", OLD, Discard),
    ("c0 11 06 02 01 00000000", OLD, Discard), // RFC 7607 §2
    ("80 11 06 02 01 00010000", OLD, Withdraw(4)),
    ("c0 11 06 02 01 00010000", EXTERNAL, Discard), // from a speaker of four octets
    ("c0 11 04 02 01 0001", INTERNAL, Discard),
    // AS4_AGGREGATOR (RFC 6793 §6)
    ("c0 12 08 00010000 c0000201", OLD, Accept),
    ("c0 12 06 0001 c0000201", OLD, Discard),
    ("c0 12 00", OLD, Discard),
    ("c0 12 08 00000000 c0000201", OLD, Discard),
    ("40 12 08 00010000 c0000201", OLD, Withdraw(4)),
    ("c0 12 08 00010000 c0000201", EXTERNAL, Discard),
    // What we do not know (RFC 4271 §6.3): optional ones pass, whatever is in them.
    ("80 63 01 00", EXTERNAL, Accept),
    ("c0 63 00", EXTERNAL, Accept),
    ("e0 63 04 00000000", EXTERNAL, Accept),
    ("d0 ff 0001 00", EXTERNAL, Accept),
    ("80 00 01 00", EXTERNAL, Accept),
    ("40 63 01 00", EXTERNAL, Reset(2)),
    ("00 63 01 00", EXTERNAL, Reset(2)),
    ("50 63 0002 0102", EXTERNAL, Reset(2)),
    ("40 00 00", EXTERNAL, Reset(2)),
    ("40 0b 02 0001", INTERNAL, Reset(2)),
    // MP_REACH_NLRI (§5.3, §7.11, RFC 4760 §7)
    ("80 0e 04 0002 01 00", EXTERNAL, Reset(9)),
    ("80 0e 00", EXTERNAL, Reset(9)),
    ("80 0e 05 0002 01 00 00", EXTERNAL, Reset(9)), // no next hop
    ("80 0e 09 0002 01 04 c0000201 00", EXTERNAL, Reset(9)),
    ("80 0e 14 0002 01 0f 20010db80000000000000000000000 00", EXTERNAL, Reset(9)),
    ("80 0e 16 0002 01 11 20010db800000000000000000000000100 00", EXTERNAL, Reset(9)),
    ("80 0e 1d 0002 01 18 20010db8000000000000000000000001fe80000000000000 00", EXTERNAL, Reset(9)),
    ("80 0e 15 0002 01 20 20010db8000000000000000000000001 00", EXTERNAL, Reset(9)), // beyond the end
    ("80 0e 14 0002 01 10 20010db8000000000000000000000001", EXTERNAL, Reset(9)),    // no reserved octet
    ("80 0e 16 0002 01 10 20010db8000000000000000000000001 00 81", EXTERNAL, Reset(9)),
    (
        "80 0e 27 0002 01 10 20010db8000000000000000000000001 00 81 20010db800000000000000000000000100",
        EXTERNAL,
        Reset(9),
    ),
    ("80 0e 18 0002 01 10 20010db8000000000000000000000001 00 40 2001", EXTERNAL, Reset(9)),
    ("c0 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8", EXTERNAL, Reset(9)),
    ("40 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8", EXTERNAL, Reset(9)),
    ("80 0e 1a 0001 01 10 20010db8000000000000000000000001 00 20 c6336401", EXTERNAL, Reset(9)),
    ("80 0e 0f 0001 01 04 c0000201 00 21 c6336401 00", EXTERNAL, Reset(9)),
    ("80 0e 0e 0001 01 05 c000020100 00 18 c63364", EXTERNAL, Reset(9)),
    ("80 0e 06 4004 47 ff 00 00", EXTERNAL, Reset(9)), // even of a family that we do not know
    // MP_UNREACH_NLRI (§5.3)
    ("80 0f 02 0002", EXTERNAL, Reset(9)),
    ("80 0f 00", EXTERNAL, Reset(9)),
    ("80 0f 04 0002 01 81", EXTERNAL, Reset(9)),
    ("80 0f 06 0002 01 20 2001", EXTERNAL, Reset(9)),
    ("80 0f 09 0001 01 21 c6336401 00", EXTERNAL, Reset(9)),
    ("c0 0f 03 0002 01", EXTERNAL, Reset(9)),
    ("00 0f 03 0002 01", EXTERNAL, Reset(9)),
];

const OLD_INTERNAL: Parameters = Parameters { external: false, ..OLD };
