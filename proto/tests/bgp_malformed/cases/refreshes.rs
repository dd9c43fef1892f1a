//! ROUTE-REFRESH: BoRR and EoRR of other lengths, and subtypes that are not known (RFC 7313 §5).

use super::{Answer, Case, Data, NOTHING, Sent, Session};

pub(super) fn all() -> Vec<Case> {
    let refresh = |rfc, what: &str, body: &str, answer| {
        Case::new(rfc, format!("ROUTE-REFRESH: {what}"), Sent::Message(5, body.into()), answer)
    };
    let wrong = || Answer::Notification(7, 1, Data::Message);
    let long = format!("0001 01 01 {}", "aa".repeat(1000));
    let mut cases = vec![
        refresh("7313 §4", "BoRR", "0001 01 01", NOTHING),
        refresh("7313 §4", "EoRR", "0001 02 01", NOTHING),
        refresh("7313 §4", "EoRR of IPv6 without a BoRR", "0002 02 01", NOTHING),
        refresh("7313 §5", "BoRR of 3 octets", "0001 01", wrong()),
        refresh("7313 §5", "EoRR of 3 octets", "0001 02", wrong()),
        refresh("7313 §5", "BoRR of 5 octets", "0001 01 01 00", wrong()),
        refresh("7313 §5", "EoRR of 5 octets", "0001 02 01 00", wrong()),
        refresh("7313 §5", "BoRR with filters", "0001 01 01 01 80 05 01 18 c63364", wrong()),
        refresh("7313 §5", "BoRR of 1004 octets", &long, wrong()),
        refresh("7313 §5", "BoRR of an unknown family, of 5 octets", "4004 01 47 00", wrong()),
    ];
    for subtype in [3, 99, 255] {
        let body = format!("0001 {subtype:02x} 01");
        cases.push(refresh("7313 §5", &format!("subtype {subtype}"), &body, NOTHING));
    }
    cases.extend([
        refresh("2918 §4", "of a family that was not agreed on", "0001 00 80", NOTHING),
        refresh("2918 §4", "of an unknown family", "4004 00 47", NOTHING),
        refresh("7313 §3.2", "a reserved octet that is not 0", "0001 01 01", NOTHING)
            .of(Session::PlainRefresh),
    ]);
    cases
}
