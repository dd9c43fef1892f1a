//! NOTIFICATIONs in words (the names are IANA's).

use std::fmt::Write as _;

use bytes::Bytes;

use crate::bgp::types::Notification;

/// Code, subcode and what they mean, and the peer's operator's own words where there are some (RFC 9003).
#[must_use]
pub fn in_words(notification: &Notification) -> String {
    if let Some(inner) = hard_reset(notification) {
        return format!("Hard Reset ({CEASE}/{HARD_RESET}) for {}", in_words(&inner));
    }
    let Notification { code, subcode, .. } = notification;
    let mut words = match name(*code, *subcode) {
        Some(name) => format!("{name} ({code}/{subcode})"),
        None => format!("{code}/{subcode}"),
    };
    if let Some(communication) = communication(notification) {
        // Writing to a String cannot fail.
        let _ = write!(words, ": {communication:?}");
    }
    words
}

/// What a Hard Reset encapsulates (RFC 8538 §3.1). Never one Hard Reset in another.
fn hard_reset(notification: &Notification) -> Option<Notification> {
    let (&code, rest) = notification.data.split_first()?;
    let (&subcode, data) = rest.split_first()?;
    let is_hard = |code, subcode| (code, subcode) == (CEASE, HARD_RESET);
    let inner = Notification { code, subcode, data: Bytes::copy_from_slice(data) };
    (is_hard(notification.code, notification.subcode) && !is_hard(code, subcode)).then_some(inner)
}

/// What the peer's operator wrote; a length that is not that of the text makes it none (RFC 9003 §4).
fn communication(notification: &Notification) -> Option<String> {
    let (&length, text) = notification.data.split_first()?;
    let spoken = notification.code == CEASE && matches!(notification.subcode, 2 | 4);
    (spoken && length > 0 && usize::from(length) == text.len())
        .then(|| String::from_utf8_lossy(text).into_owned())
}

fn name(code: u8, subcode: u8) -> Option<&'static str> {
    Some(match (code, subcode) {
        (1, 1) => "Connection Not Synchronized",
        (1, 2) => "Bad Message Length",
        (1, 3) => "Bad Message Type",
        (1, _) => "Message Header Error",
        (2, 1) => "Unsupported Version Number",
        (2, 2) => "Bad Peer AS",
        (2, 3) => "Bad BGP Identifier",
        (2, 4) => "Unsupported Optional Parameter",
        (2, 6) => "Unacceptable Hold Time",
        (2, 7) => "Unsupported Capability",
        (2, 11) => "Role Mismatch",
        (2, _) => "OPEN Message Error",
        (3, 1) => "Malformed Attribute List",
        (3, 2) => "Unrecognized Well-known Attribute",
        (3, 3) => "Missing Well-known Attribute",
        (3, 4) => "Attribute Flags Error",
        (3, 5) => "Attribute Length Error",
        (3, 6) => "Invalid ORIGIN Attribute",
        (3, 8) => "Invalid NEXT_HOP Attribute",
        (3, 9) => "Optional Attribute Error",
        (3, 10) => "Invalid Network Field",
        (3, 11) => "Malformed AS_PATH",
        (3, _) => "UPDATE Message Error",
        (4, _) => "Hold Timer Expired",
        (5, 1) => "Receive Unexpected Message in OpenSent State",
        (5, 2) => "Receive Unexpected Message in OpenConfirm State",
        (5, 3) => "Receive Unexpected Message in Established State",
        (5, _) => "Finite State Machine Error",
        (CEASE, 1) => "Maximum Number of Prefixes Reached",
        (CEASE, 2) => "Administrative Shutdown",
        (CEASE, 3) => "Peer De-configured",
        (CEASE, 4) => "Administrative Reset",
        (CEASE, 5) => "Connection Rejected",
        (CEASE, 6) => "Other Configuration Change",
        (CEASE, 7) => "Connection Collision Resolution",
        (CEASE, 8) => "Out of Resources",
        (CEASE, HARD_RESET) => "Hard Reset",
        (CEASE, 10) => "BFD Down",
        (CEASE, _) => "Cease",
        (7, 1) => "Invalid Message Length",
        (7, _) => "ROUTE-REFRESH Message Error",
        (8, _) => "Send Hold Timer Expired",
        _ => return None,
    })
}

pub(super) const CEASE: u8 = 6;
pub(super) const HARD_RESET: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_code_and_quote_the_operator_harmlessly() {
        let cases: [(u8, u8, &[u8], &str); 9] = [
            (2, 2, b"", "Bad Peer AS (2/2)"),
            (3, 77, b"", "UPDATE Message Error (3/77)"),
            (99, 99, b"x", "99/99"),
            (6, 2, b"", "Administrative Shutdown (6/2)"),
            (6, 2, b"\x04rack", "Administrative Shutdown (6/2): \"rack\""),
            (6, 4, b"\x05\x1b[2J\xff", "Administrative Reset (6/4): \"\\u{1b}[2J\u{fffd}\""),
            (6, 2, b"\x09rack", "Administrative Shutdown (6/2)"),
            (6, 9, b"\x06\x02\x04rack", "Hard Reset (6/9) for Administrative Shutdown (6/2): \"rack\""),
            (6, 9, b"\x06\x09\x06\x09", "Hard Reset (6/9)"),
        ];
        for (code, subcode, data, words) in cases {
            let notification = Notification { code, subcode, data: Bytes::from_static(data) };
            assert_eq!(in_words(&notification), words);
        }
    }
}
