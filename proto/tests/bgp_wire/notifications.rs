//! NOTIFICATION: octets both ways, and every one in words (RFC 4271 §4.5, 4486, 6608, 7313, 8538, 9003, 9384, 9687).

use bytes::BytesMut;
use vipcast_proto::bgp::types::{Message, Notification};
use vipcast_proto::bgp::wire::Refused;
use vipcast_proto::bgp::wire::encode;
use vipcast_proto::bgp::wire::notification::{cease, hard_reset};

use crate::support::{EXTERNAL, answer, hex, message, notification};

#[test]
fn every_notification_reads_as_it_is_written() {
    for (code, subcode, data) in
        [(1, 1, ""), (1, 2, "0012"), (6, 2, "03 627965"), (99, 99, "00ff"), (0, 0, "")]
    {
        let octets = message(3, &[&[code, subcode][..], &hex(data)].concat());
        let said = notification(code, subcode, data);
        let mut written = BytesMut::new();
        encode::notification(&said, &mut written);
        assert_eq!(written, octets);
        assert_eq!(answer(EXTERNAL, &octets), Ok(Message::Notification(said)));
    }
}

#[test]
fn each_code_and_subcode_has_its_name() {
    let names: Vec<String> = [
        (1, 0),
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 0),
        (2, 1),
        (2, 2),
        (2, 3),
        (2, 4),
        (2, 5),
        (2, 6),
        (2, 7),
        (2, 11),
        (3, 0),
        (3, 1),
        (3, 2),
        (3, 3),
        (3, 4),
        (3, 5),
        (3, 6),
        (3, 7),
        (3, 8),
        (3, 9),
        (3, 10),
        (3, 11),
        (4, 0),
        (4, 1),
        (5, 0),
        (5, 1),
        (5, 2),
        (5, 3),
        (6, 1),
        (6, 2),
        (6, 3),
        (6, 4),
        (6, 5),
        (6, 6),
        (6, 7),
        (6, 8),
        (6, 9),
        (6, 10),
        (6, 11),
        (7, 1),
        (7, 2),
        (8, 0),
        (9, 0),
        (99, 99),
    ]
    .map(|(code, subcode)| notification(code, subcode, "").to_string())
    .to_vec();
    assert_eq!(names, NAMES);
}

const NAMES: [&str; 48] = [
    "message header error",
    "message header error: connection not synchronized",
    "message header error: bad message length",
    "message header error: bad message type",
    "message header error: subcode 4",
    "OPEN message error",
    "OPEN message error: unsupported version number",
    "OPEN message error: bad peer AS",
    "OPEN message error: bad BGP identifier",
    "OPEN message error: unsupported optional parameter",
    "OPEN message error: subcode 5",
    "OPEN message error: unacceptable hold time",
    "OPEN message error: unsupported capability",
    "OPEN message error: role mismatch",
    "UPDATE message error",
    "UPDATE message error: malformed attribute list",
    "UPDATE message error: unrecognized well-known attribute",
    "UPDATE message error: missing well-known attribute",
    "UPDATE message error: attribute flags error",
    "UPDATE message error: attribute length error",
    "UPDATE message error: invalid ORIGIN attribute",
    "UPDATE message error: subcode 7",
    "UPDATE message error: invalid NEXT_HOP attribute",
    "UPDATE message error: optional attribute error",
    "UPDATE message error: invalid network field",
    "UPDATE message error: malformed AS_PATH",
    "hold timer expired",
    "hold timer expired: subcode 1",
    "finite state machine error",
    "finite state machine error: unexpected message in OpenSent",
    "finite state machine error: unexpected message in OpenConfirm",
    "finite state machine error: unexpected message in Established",
    "cease: maximum number of prefixes reached",
    "cease: administrative shutdown",
    "cease: peer de-configured",
    "cease: administrative reset",
    "cease: connection rejected",
    "cease: other configuration change",
    "cease: connection collision resolution",
    "cease: out of resources",
    "cease: hard reset",
    "cease: BFD down",
    "cease: subcode 11",
    "ROUTE-REFRESH message error: invalid message length",
    "ROUTE-REFRESH message error: subcode 2",
    "send hold timer expired",
    "error code 9",
    "error code 99: subcode 99",
];

#[test]
fn data_is_shown_in_hexadecimal_and_not_without_end() {
    assert_eq!(notification(1, 2, "0012").to_string(), "message header error: bad message length, data 0012");
    let long = notification(7, 1, &"ab".repeat(4075)).to_string();
    let expected = format!(
        "ROUTE-REFRESH message error: invalid message length, data {}… (4075 octets)",
        "ab".repeat(64)
    );
    assert_eq!(long, expected);
}

#[test]
fn a_shutdown_communication_has_its_length_before_it() {
    let drained = cease(2, "node drain");
    assert_eq!(drained, notification(6, 2, "0a 6e6f6465 20 647261696e"));
    assert_eq!(drained.communication().as_deref(), Some("node drain"));
    assert_eq!(drained.to_string(), "cease: administrative shutdown: \"node drain\"");
    assert_eq!(cease(3, ""), notification(6, 3, ""));
}

#[test]
fn a_shutdown_communication_is_cut_between_characters() {
    let umlauts = cease(4, &format!("x{}", "ü".repeat(100)));
    assert_eq!(umlauts.data.len(), 1 + 127);
    assert_eq!(umlauts.communication(), Some(format!("x{}", "ü".repeat(63))));
    assert_eq!(cease(2, &"x".repeat(500)).communication(), Some("x".repeat(128)));
}

#[test]
fn a_communication_is_read_from_whoever_may_send_one() {
    let said = |subcode, data: &str| notification(6, subcode, data).communication();
    assert_eq!(said(2, "03 627965"), Some("bye".to_owned()));
    assert_eq!(said(4, "03 627965"), Some("bye".to_owned()));
    assert_eq!(said(2, &format!("ff {}", "78".repeat(255))), Some("x".repeat(255)), "RFC 9003");
    assert_eq!(said(2, "02 627965"), Some("by".to_owned()));
    assert_eq!(said(2, "02 62ff"), Some("b\u{fffd}".to_owned()));
    for (subcode, data) in [(2, ""), (2, "00"), (2, "04 627965"), (3, "03 627965")] {
        assert_eq!(said(subcode, data), None, "{subcode} {data}");
    }
    assert_eq!(notification(5, 2, "03 627965").communication(), None);
}

/// What a peer says ends in our log: no control character of it may reach a terminal.
#[test]
fn a_communication_is_shown_without_control_characters() {
    let shown = notification(6, 2, "06 1b5b316d0a22").to_string();
    assert_eq!(shown, r#"cease: administrative shutdown: "\u{1b}[1m\n\"""#);
}

#[test]
fn a_hard_reset_holds_the_notification_that_it_stands_for() {
    let shutdown = cease(2, "bye");
    let reset = hard_reset(&shutdown);
    assert_eq!(reset, notification(6, 9, "06 02 03 627965"));
    assert_eq!(reset.hard_reset_reason(), Some(shutdown.clone()));
    assert_eq!(reset.to_string(), "cease: hard reset (cease: administrative shutdown: \"bye\")");
    for other in [shutdown, notification(6, 9, ""), notification(6, 9, "06"), notification(5, 9, "0602")] {
        assert_eq!(other.hard_reset_reason(), None, "{other}");
    }
}

#[test]
fn hard_resets_in_hard_resets_are_not_followed() {
    let nested = (0..1000).fold(cease(2, ""), |inner, _| hard_reset(&inner));
    assert!(nested.to_string().len() < 300, "{nested}");
}

#[test]
fn a_refusal_says_why_in_words() {
    let attribute = |octets| bytes::Bytes::from(hex(octets));
    let said = [
        Refused::Marker,
        Refused::Length(18),
        Refused::Type(6),
        Refused::Version(3),
        Refused::OptionalParameter(1),
        Refused::Capability { code: 65, length: 2 },
        Refused::Attribute {
            fault: vipcast_proto::bgp::wire::Fault::Optional,
            attribute: attribute("80 0f 02 0002"),
        },
    ]
    .map(|refused| refused.to_string());
    let expected = [
        "the marker of a message is not all ones",
        "a message cannot be 18 octets long",
        "message type 6 is not known",
        "peer speaks BGP version 3, not 4",
        "OPEN has optional parameter 1, which is not known",
        "capability 65 of an OPEN cannot be 2 octets long",
        "path attribute 15 of an UPDATE: wrong value",
    ];
    assert_eq!(said, expected);
}

/// What RFC 4271 §6 has a NOTIFICATION for is never refused with one that it does not have.
#[test]
fn a_notification_of_ours_fits_its_message() {
    let data = vec![1; 5000].into();
    let mut written = BytesMut::new();
    encode::notification(&Notification { code: 3, subcode: 9, data }, &mut written);
    assert_eq!(written.len(), 4096);
}
