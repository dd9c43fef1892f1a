//! OPEN: RFC 4271 §6.2, capabilities (RFC 5492), identifiers (RFC 6286), AS 0 (RFC 7607), extended lengths (RFC 9072).

use super::{Answer, Case, NOTHING, Sent, Session, State, say, tell};

pub(super) fn all() -> Vec<Case> {
    [fixed_fields(), parameters(), capabilities(), extended(), families()].concat()
}

fn case(rfc: &'static str, what: &str, body: &str, answer: Answer) -> Case {
    Case::new(rfc, format!("OPEN: {what}"), Sent::Message(1, body.to_owned()), answer).at(State::OpenSent)
}

/// Behind the fixed fields.
fn behind(rfc: &'static str, what: &str, parameters: &str, answer: Answer) -> Case {
    case(rfc, what, &format!("04 P 005a N {parameters}"), answer)
}

/// In one parameter, behind the family without which some would refuse it.
fn capability(rfc: &'static str, what: &str, octets: &str, answer: Answer) -> Case {
    // The letter stands for two octets.
    let digits = |c| if c == 'P' { 4 } else { usize::from(char::is_ascii_hexdigit(&c)) };
    let length = octets.chars().map(digits).sum::<usize>() / 2 + 6;
    behind(rfc, what, &format!("{:02x} 02 {length:02x} 0104 0001 00 01 {octets}", length + 2), answer)
}

fn fixed_fields() -> Vec<Case> {
    let four = |asn: &str| format!("0e 02 0c 0104 0001 00 01 4104 {asn}");
    let mut cases = vec![
        case("4271 §6.2", "no parameters", "04 P 005a N 00", NOTHING),
        case("4271 §6.2", "AS is not the configured one", "04 fdeb 005a N 00", say(2, 2)),
        case("4271 §6.2", "AS is the speaker's", "04 fdea 005a N 00", say(2, 2)),
        case(
            "6793 §4.2.3",
            "capability has another AS",
            &format!("04 P 005a N {}", four("0000fdeb")),
            say(2, 2),
        ),
        case(
            "6793 §4.2.3",
            "capability has a large AS",
            &format!("04 5ba0 005a N {}", four("fa56ea00")),
            say(2, 2),
        ),
        case("6793 §9", "AS_TRANS and no capability", "04 5ba0 005a N 00", say(2, 2)),
        case("7607 §2", "AS 0", "04 0000 005a N 00", say(2, 2)),
        case("7607 §2", "AS 0 in the capability", &format!("04 P 005a N {}", four("00000000")), say(2, 2)),
        case("4271 §6.2", "hold time 0", "04 P 0000 N 00", NOTHING),
        case("4271 §6.2", "hold time 1", "04 P 0001 N 00", say(2, 6)),
        case("4271 §6.2", "hold time 2", "04 P 0002 N 00", say(2, 6)),
        case("4271 §6.2", "hold time 3", "04 P 0003 N 00", NOTHING),
        case("4271 §6.2", "hold time 65535", "04 P ffff N 00", NOTHING),
        case("6286 §2.2", "identifier 0", "04 P 005a 00000000 00", say(2, 3)),
        case("6286 §2.1", "identifier that is no host's address", "04 P 005a e0000001 00", NOTHING),
        case("6286 §2.1", "identifier of the speaker, from another AS", "04 P 005a I 00", NOTHING),
        case("6286 §2.2", "identifier of the speaker", "04 P 005a I 00", say(2, 3))
            .of(Session::TwoOctetsInternal),
    ];
    for version in [0, 1, 3, 5, 255] {
        let what = format!("version {version}");
        cases.push(case("4271 §6.2", &what, &format!("{version:02x} P 005a N 00"), tell(2, 1, "0004")));
    }
    // In the order of RFC 4271 §6.2.
    cases.push(case(
        "4271 §6.2",
        "version 3, all else wrong",
        "03 0000 0001 00000000 02 63 00",
        tell(2, 1, "0004"),
    ));
    cases
}

fn parameters() -> Vec<Case> {
    let mut cases = vec![behind("5492 §4", "a parameter without a capability", "02 02 00", NOTHING)];
    for parameter in [0, 1, 3, 99, 254] {
        let text = format!("04 {parameter:02x} 02 0000");
        cases.push(behind("4271 §6.2", &format!("parameter {parameter}"), &text, say(2, 4)));
    }
    cases.push(behind("4271 §6.2", "parameter 99 behind a known one", "06 02 02 0200 63 00", say(2, 4)));
    cases.push(behind("9072 §2", "parameter 255 behind a known one", "06 02 02 0200 ff 00", say(2, 4)));
    for (what, octets) in [
        ("a parameter that is not there", "01"),
        ("parameters cut by the end", "04 02 02 02"),
        ("octets behind no parameters", "00 02 02 0200"),
        ("an octet behind the parameters", "04 02 02 0200 00"),
        ("a parameter behind the length", "03 02 02 0200"),
        ("a parameter without a length", "01 02"),
        ("a parameter without its value", "02 02 02"),
        ("half a value", "03 02 02 02"),
        ("a second parameter without a length", "05 02 02 0200 02"),
        ("a value beyond the end", "04 02 03 0200"),
        ("255 octets that are not there", "ff 02 02 0200"),
    ] {
        cases.push(behind("4271 §6.2", what, octets, say(2, 0)));
    }
    cases
}

fn capabilities() -> Vec<Case> {
    let mut cases = vec![
        behind("5492 §4", "a capability without a length", "03 02 01 02", say(2, 0)),
        behind("5492 §4", "a capability without its value", "04 02 02 0201", say(2, 0)),
        behind("5492 §4", "half the value of a capability", "07 02 05 4104 0000fd", say(2, 0)),
        behind("5492 §4", "one good capability, and one that is cut", "06 02 04 0200 4601", say(2, 0)),
        capability("5492 §3", "capability 200", "c803 010203", NOTHING),
        capability("5492 §3", "capability 0", "0000", NOTHING),
        capability("5492 §3", "capability 255", "ff01 00", NOTHING),
        capability("5492 §4", "the same capability twice", "0200 0200 4104 0000P 4104 0000P", NOTHING),
        capability("4760 §8", "an unknown family", "0104 4004 00 47", NOTHING),
        capability("4760 §8", "a reserved octet that is not 0", "0104 0001 ff 01", NOTHING),
        capability("8538 §2", "restart time 4095, N, and no family", "4002 4fff", NOTHING),
        capability(
            "4724 §3",
            "an unknown family to restart",
            "0104 0001 00 01 4006 0078 4004 47 80",
            NOTHING,
        ),
    ];
    for (code, name, wrong) in [
        (1, "multiprotocol", &[0, 3, 5, 8][..]),
        (2, "route refresh", &[1, 4]),
        (5, "extended next hop", &[1, 5, 7]),
        (64, "graceful restart", &[0, 1, 3, 5]),
        (65, "four-octet AS", &[0, 2, 3, 5]),
        (70, "enhanced route refresh", &[1]),
    ] {
        for length in wrong {
            let octets = format!("{code:02x}{length:02x} {}", "01".repeat(*length));
            cases.push(capability("4271 §6.2", &format!("{name} of {length} octets"), &octets, say(2, 0)));
        }
    }
    cases
}

fn extended() -> Vec<Case> {
    let mut cases = vec![
        behind("9072 §2", "extended", "ff ff 0009 02 0006 0104 0001 00 01", NOTHING),
        behind(
            "9072 §2",
            "extended, whatever the first length says",
            "09 ff 0009 02 0006 0104 0001 00 01",
            NOTHING,
        ),
        behind("9072 §2", "extended, and empty", "ff ff 0000", NOTHING),
        behind("9072 §2", "extended, an unknown parameter", "ff ff 0003 63 0000", say(2, 4)),
        behind("9072 §2", "extended, parameter 255", "ff ff 0003 ff 0000", say(2, 4)),
    ];
    let many = format!("ff ff 0109 02 0106 0104 0001 00 01 c8fe {}", "07".repeat(254));
    cases.push(behind("9072 §2", "extended, 256 octets in a parameter", &many, NOTHING));
    for (what, octets) in [
        ("no length", "ff ff"),
        ("half a length", "ff ff 00"),
        ("a length that is too large", "ff ff 0006 02 0002 0200"),
        ("a length that is too small", "ff ff 0004 02 0002 0200"),
        ("65535 octets", "ff ff ffff 02 0002 0200"),
        ("a parameter without a length", "ff ff 0001 02"),
        ("a parameter with half a length", "ff ff 0002 02 00"),
        ("a value beyond the end", "ff ff 0005 02 0003 0200"),
        ("a capability without a length", "ff ff 0004 02 0001 02"),
        ("a capability beyond its parameter", "ff ff 0005 02 0002 0201"),
    ] {
        cases.push(behind("9072 §2", &format!("extended, {what}"), octets, say(2, 0)));
    }
    cases
}

fn families() -> Vec<Case> {
    let missing = tell(2, 7, "0104 0002 00 01");
    vec![
        capability("5492 §5", "no common family", "", missing.clone()).of(Session::Ipv6),
        behind("5492 §5", "no family named", "00", missing).of(Session::Ipv6),
    ]
}
