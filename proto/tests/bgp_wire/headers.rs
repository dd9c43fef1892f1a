//! RFC 4271 §6.1: what is refused on the header alone, and after just that header.

use vipcast_proto::bgp::types::Message;

use crate::support::{EXTERNAL, answer, feed, hex, message, notification};

/// Length and type as they stand in a header with a right marker.
fn header(length: u16, message_type: u8) -> Vec<u8> {
    [&[0xff; 16][..], &length.to_be_bytes(), &[message_type]].concat()
}

#[test]
fn a_marker_that_is_not_all_ones_is_refused_whatever_else_the_header_says() {
    for at in 0..16 {
        for (length, message_type) in [(19, 4), (0, 4), (19, 0), (4097, 99)] {
            let mut octets = header(length, message_type);
            octets[at] = 0xfe;
            assert_eq!(answer(EXTERNAL, &octets), Err(notification(1, 1, "")), "octet {at}");
        }
    }
    let zeros = [&[0; 16][..], &hex("0013 04")].concat();
    assert_eq!(answer(EXTERNAL, &zeros), Err(notification(1, 1, "")));
}

#[test]
fn a_length_that_no_message_has_is_refused_with_that_length() {
    for length in (0..19).chain([4097, 4098, 0x7fff, 0xffff]) {
        for message_type in [0, 1, 2, 3, 4, 5, 6, 255] {
            let expected = Err(notification(1, 2, &format!("{length:04x}")));
            assert_eq!(answer(EXTERNAL, &header(length, message_type)), expected, "{length} {message_type}");
        }
    }
}

#[test]
fn a_length_that_its_type_does_not_have_is_refused_with_that_length() {
    let shortest = [(1, 29), (2, 23), (3, 21), (4, 19), (5, 23)];
    for (message_type, shortest) in shortest {
        for length in 19..shortest {
            let expected = Err(notification(1, 2, &format!("{length:04x}")));
            assert_eq!(answer(EXTERNAL, &header(length, message_type)), expected, "{length} {message_type}");
        }
    }
    for length in [20, 23, 4096] {
        let expected = Err(notification(1, 2, &format!("{length:04x}")));
        assert_eq!(answer(EXTERNAL, &header(length, 4)), expected, "a KEEPALIVE of {length}");
    }
}

#[test]
fn a_type_that_is_not_known_is_refused_with_that_type() {
    for message_type in [0].into_iter().chain(6..=255) {
        for length in [19, 23, 4096] {
            let expected = Err(notification(1, 3, &format!("{message_type:02x}")));
            assert_eq!(answer(EXTERNAL, &header(length, message_type)), expected);
        }
    }
}

#[test]
fn a_header_that_can_be_asks_for_the_body_up_to_its_last_octet() {
    for (message_type, length) in [(1, 29), (1, 4096), (2, 23), (2, 4096), (3, 21), (3, 4096), (5, 23)] {
        let mut octets = header(length, message_type);
        octets.resize(usize::from(length) - 1, 0xff);
        assert_eq!(feed(EXTERNAL, &octets), (None, octets.len()), "{message_type} {length}");
    }
}

#[test]
fn nothing_is_refused_before_the_header_is_whole() {
    for octets in [vec![0; 18], header(0, 0)[..18].to_vec(), header(0xffff, 4)[..18].to_vec()] {
        assert_eq!(feed(EXTERNAL, &octets), (None, 18));
    }
}

#[test]
fn messages_behind_one_another_are_taken_one_by_one() {
    let mut buffer = bytes::BytesMut::new();
    for body in ["0100", "0200"] {
        buffer.extend(message(3, &hex(body)));
        buffer.extend(message(4, &[]));
    }
    buffer.extend(&message(4, &[])[..18]);
    let mut decoder = vipcast_proto::bgp::wire::Decoder::new();
    let taken: Vec<_> = std::iter::from_fn(|| decoder.decode(&mut buffer).unwrap()).collect();
    let said = |code| Message::Notification(notification(code, 0, ""));
    assert_eq!(taken, [said(1), Message::Keepalive, said(2), Message::Keepalive]);
    assert_eq!(buffer, message(4, &[])[..18]);
}
