//! RFC 4271 §6.1: what is refused on the header alone, and at once.

use super::{Case, NOTHING, Sent, State, tell};

pub(super) fn all() -> Vec<Case> {
    [markers(), lengths(), types(), within_bounds()].concat()
}

fn case(what: String, octets: String, answer: super::Answer) -> Case {
    Case::new("4271 §6.1", what, Sent::Octets(octets), answer)
}

fn markers() -> Vec<Case> {
    let zeros = format!("{} 0013 04", "00".repeat(16));
    let mut cases = vec![case("marker of zeros".into(), zeros.clone(), tell(1, 1, ""))];
    for at in [0, 7, 15] {
        let marker: String = (0..16).map(|octet| if octet == at { "fe" } else { "ff" }).collect();
        cases.push(case(format!("marker wrong in octet {at}"), format!("{marker} 0013 04"), tell(1, 1, "")));
    }
    let both = format!("{} 0000 63", "00".repeat(16));
    cases.push(case("marker, length and type wrong".into(), both, tell(1, 1, "")));
    for state in [State::OpenSent, State::OpenConfirm] {
        cases.push(case(format!("marker of zeros in {state:?}"), zeros.clone(), tell(1, 1, "")).at(state));
    }
    cases
}

/// Octets of a body may follow: nobody waits for all of them.
fn lengths() -> Vec<Case> {
    let wrong = |length: u16, message_type: u8, body: &str| {
        let octets = format!("{ALL_ONES} {length:04x} {message_type:02x} {body}");
        let what = format!("length {length} of type {message_type}");
        case(what, octets, tell(1, 2, &format!("{length:04x}")))
    };
    let mut cases: Vec<Case> = [0, 1, 18, 4097, 0x7fff, 0xffff].map(|length| wrong(length, 4, "")).into();
    cases.extend([wrong(18, 2, ""), wrong(4097, 2, "00000000"), wrong(0xffff, 2, "00000000")]);
    cases.extend([wrong(18, 1, "").at(State::OpenSent), wrong(4097, 1, "04fde9").at(State::OpenSent)]);
    cases.extend([19, 28].map(|length| wrong(length, 1, &"00".repeat(9)).at(State::OpenSent)));
    cases.extend([19, 22].map(|length| wrong(length, 2, &"00".repeat(3))));
    cases.extend([19, 20].map(|length| wrong(length, 3, "06")));
    cases.extend([20, 23, 4096].map(|length| wrong(length, 4, "00")));
    cases.extend([19, 22].map(|length| wrong(length, 5, &"00".repeat(3)).of(super::Session::PlainRefresh)));
    cases.push(wrong(20, 4, "00").at(State::OpenSent));
    cases.push(wrong(20, 4, "00").at(State::OpenConfirm));
    cases.push(wrong(22, 2, "000000").at(State::OpenConfirm));
    cases
}

fn types() -> Vec<Case> {
    let unknown = |message_type: u8| {
        let octets = format!("{ALL_ONES} 0013 {message_type:02x}");
        case(format!("type {message_type}"), octets, tell(1, 3, &format!("{message_type:02x}")))
    };
    let mut cases: Vec<Case> = [0, 6, 7, 99, 128, 255].map(unknown).into();
    cases.extend([State::OpenSent, State::OpenConfirm].map(|state| unknown(6).at(state)));
    cases
}

fn within_bounds() -> Vec<Case> {
    let mut nothing = case("KEEPALIVE".into(), format!("{ALL_ONES} 0013 04"), NOTHING);
    nothing.rfc = "4271 §4.4";
    // 4096 octets: 4073 of withdrawn routes.
    let longest = Sent::Update(["18c63364".repeat(1018) + "00", String::new(), String::new()]);
    vec![nothing, Case::new("4271 §4.1", "UPDATE of 4096 octets", longest, NOTHING)]
}

const ALL_ONES: &str = "ffffffffffffffffffffffffffffffff";
