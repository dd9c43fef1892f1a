//! Messages that have no place in a state (RFC 6608), and NOTIFICATIONs, which are never answered (RFC 4271 §6.4).

use super::{Answer, Case, Sent, Session, State, tell, update};

pub(super) fn all() -> Vec<Case> {
    [unexpected(), notifications()].concat()
}

fn unexpected() -> Vec<Case> {
    let keepalive = || Sent::Message(4, String::new());
    let open = || Sent::Message(1, "04 P 005a N 00".into());
    let refresh = || Sent::Message(5, "0001 00 01".into());
    let route = || update("", &Session::External.mandatory(0), "R");
    let malformed = || update("", "40 01 01 03", "R");
    let case = |rfc, state: State, what: &str, sent, data: &str| {
        let subcode = match state {
            State::OpenSent => 1,
            State::OpenConfirm => 2,
            State::Established => 3,
        };
        Case::new(rfc, format!("{what} in {state:?}"), sent, tell(5, subcode, data)).at(state)
    };
    let mut cases = vec![
        case("6608 §4", State::OpenSent, "KEEPALIVE", keepalive(), "04"),
        case("6608 §4", State::OpenConfirm, "OPEN", open(), "01"),
        case("6608 §4", State::Established, "OPEN", open(), "01"),
        case(
            "4271 §8.2.2",
            State::Established,
            "OPEN of version 3",
            Sent::Message(1, "03 P 005a N 00".into()),
            "01",
        ),
    ];
    for state in [State::OpenSent, State::OpenConfirm] {
        cases.extend([
            case("6608 §4", state, "UPDATE", route(), "02"),
            case("6608 §4", state, "End-of-RIB", update("", "", ""), "02"),
            case("6608 §4", state, "ROUTE-REFRESH", refresh(), "05"),
            case("4271 §8.2.2", state, "UPDATE with an undefined ORIGIN", malformed(), "02"),
            case("4271 §8.2.2", state, "UPDATE with a route /33", update("", "", "21 c633640100"), "02"),
        ]);
    }
    cases
}

fn notifications() -> Vec<Case> {
    let mut cases = Vec::new();
    let long = format!("0602 {}", "41".repeat(4075));
    for (what, body) in [
        ("99/99", "6363"),
        ("0/0", "0000"),
        ("1/99 with data", "0163 0102"),
        ("6/2, and the communication is longer than the Data", "0602 ff 41"),
        ("6/2, and the communication is no UTF-8", "0602 02 fffe"),
        ("6/9 without data", "0609"),
        ("6/9 in a 6/9", "0609 0609 0609"),
        ("255/255 with data", "ffff 00"),
        ("of 4096 octets", &long),
    ] {
        let sent = Sent::Message(3, body.into());
        cases.push(Case::new("4271 §6.4", format!("NOTIFICATION {what}"), sent, Answer::End));
    }
    for state in [State::OpenSent, State::OpenConfirm] {
        let sent = Sent::Message(3, "6363".into());
        cases.push(Case::new("4271 §6.4", format!("NOTIFICATION in {state:?}"), sent, Answer::End).at(state));
    }
    cases
}
