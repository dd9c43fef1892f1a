//! NOTIFICATION (RFC 4271 §4.5): what it says in words, shutdown communications (RFC 9003), Hard Reset (RFC 8538).

use std::fmt;

use bytes::Bytes;

use super::iana::{cease, error, fsm, header, open, route_refresh, update};
use crate::bgp::types::Notification;

/// What a NOTIFICATION says behind its header, which is at least two octets long.
pub(super) fn decode(body: &[u8]) -> Notification {
    match body {
        [code, subcode, data @ ..] => {
            Notification { code: *code, subcode: *subcode, data: Bytes::copy_from_slice(data) }
        }
        [code] => without_data(*code, 0),
        [] => without_data(0, 0),
    }
}

/// A Cease with a shutdown communication, as administrative shutdown and reset have it (RFC 9003 §2).
///
/// It is cut to the 128 octets that a peer by RFC 8203 takes too.
#[must_use]
pub fn cease(subcode: u8, communication: &str) -> Notification {
    let cut = communication.floor_char_boundary(MAX_COMMUNICATION);
    let communication = communication.get(..cut).unwrap_or_default().as_bytes();
    let length = u8::try_from(communication.len()).unwrap_or_default();
    let data = if length == 0 { Bytes::new() } else { [&[length], communication].concat().into() };
    Notification { code: error::CEASE, subcode, data }
}

/// The NOTIFICATION after which the peer keeps no routes, whatever was agreed on graceful restart (RFC 8538 §3).
#[must_use]
pub fn hard_reset(why: &Notification) -> Notification {
    let data = [&[why.code, why.subcode], &*why.data].concat().into();
    Notification { code: error::CEASE, subcode: cease::HARD_RESET, data }
}

impl Notification {
    /// What a Hard Reset stands for (RFC 8538 §3); `None` of every other NOTIFICATION.
    #[must_use]
    pub fn hard_reset_reason(&self) -> Option<Self> {
        match (self.code, self.subcode, &*self.data) {
            (error::CEASE, cease::HARD_RESET, [code, subcode, ..]) => {
                Some(Self { code: *code, subcode: *subcode, data: self.data.slice(2..) })
            }
            _ => None,
        }
    }

    /// What the operator at the other end has to say (RFC 9003 §2). Octets that are no UTF-8 are replaced.
    #[must_use]
    pub fn communication(&self) -> Option<String> {
        let operators = matches!(self.subcode, cease::ADMINISTRATIVE_SHUTDOWN | cease::ADMINISTRATIVE_RESET);
        match &*self.data {
            [length, text @ ..] if *length != 0 && self.code == error::CEASE && operators => {
                let text = text.get(..usize::from(*length))?;
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        }
    }
}

/// In the RFCs' words, with the communication of an operator, or else Data that no words explain in hexadecimal.
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match code_name(self.code) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "error code {}", self.code)?,
        }
        match subcode_name(self.code, self.subcode) {
            Some(name) => write!(f, ": {name}")?,
            None if self.subcode == 0 => {}
            None => write!(f, ": subcode {}", self.subcode)?,
        }
        if let Some(why) = self.hard_reset_reason() {
            // Only one level is spelled out: what is nested deeper is nobody's but an attacker's.
            return write_reason(f, &why);
        }
        match self.communication() {
            Some(text) => write!(f, ": {text:?}"),
            None => write_data(f, &self.data),
        }
    }
}

fn write_reason(f: &mut fmt::Formatter<'_>, why: &Notification) -> fmt::Result {
    if why.hard_reset_reason().is_some() { write_data(f, &why.data) } else { write!(f, " ({why})") }
}

fn write_data(f: &mut fmt::Formatter<'_>, data: &[u8]) -> fmt::Result {
    if data.is_empty() {
        return Ok(());
    }
    f.write_str(", data ")?;
    let shown = data.get(..MAX_SHOWN).unwrap_or(data);
    shown.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
    if shown.len() < data.len() { write!(f, "… ({} octets)", data.len()) } else { Ok(()) }
}

fn without_data(code: u8, subcode: u8) -> Notification {
    Notification { code, subcode, data: Bytes::new() }
}

fn code_name(code: u8) -> Option<&'static str> {
    Some(match code {
        error::MESSAGE_HEADER => "message header error",
        error::OPEN_MESSAGE => "OPEN message error",
        error::UPDATE_MESSAGE => "UPDATE message error",
        error::HOLD_TIMER_EXPIRED => "hold timer expired",
        error::FINITE_STATE_MACHINE => "finite state machine error",
        error::CEASE => "cease",
        error::ROUTE_REFRESH_MESSAGE => "ROUTE-REFRESH message error",
        error::SEND_HOLD_TIMER_EXPIRED => "send hold timer expired",
        _ => return None,
    })
}

fn subcode_name(code: u8, subcode: u8) -> Option<&'static str> {
    match code {
        error::MESSAGE_HEADER => header_name(subcode),
        error::OPEN_MESSAGE => open_name(subcode),
        error::UPDATE_MESSAGE => update_name(subcode),
        error::FINITE_STATE_MACHINE => fsm_name(subcode),
        error::CEASE => cease_name(subcode),
        error::ROUTE_REFRESH_MESSAGE => {
            (subcode == route_refresh::INVALID_MESSAGE_LENGTH).then_some("invalid message length")
        }
        _ => None,
    }
}

fn header_name(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        header::CONNECTION_NOT_SYNCHRONIZED => "connection not synchronized",
        header::BAD_MESSAGE_LENGTH => "bad message length",
        header::BAD_MESSAGE_TYPE => "bad message type",
        _ => return None,
    })
}

fn open_name(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        open::UNSUPPORTED_VERSION_NUMBER => "unsupported version number",
        open::BAD_PEER_AS => "bad peer AS",
        open::BAD_BGP_IDENTIFIER => "bad BGP identifier",
        open::UNSUPPORTED_OPTIONAL_PARAMETER => "unsupported optional parameter",
        open::UNACCEPTABLE_HOLD_TIME => "unacceptable hold time",
        open::UNSUPPORTED_CAPABILITY => "unsupported capability",
        open::ROLE_MISMATCH => "role mismatch",
        _ => return None,
    })
}

fn update_name(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        update::MALFORMED_ATTRIBUTE_LIST => "malformed attribute list",
        update::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE => "unrecognized well-known attribute",
        update::MISSING_WELL_KNOWN_ATTRIBUTE => "missing well-known attribute",
        update::ATTRIBUTE_FLAGS => "attribute flags error",
        update::ATTRIBUTE_LENGTH => "attribute length error",
        update::INVALID_ORIGIN => "invalid ORIGIN attribute",
        update::INVALID_NEXT_HOP => "invalid NEXT_HOP attribute",
        update::OPTIONAL_ATTRIBUTE => "optional attribute error",
        update::INVALID_NETWORK_FIELD => "invalid network field",
        update::MALFORMED_AS_PATH => "malformed AS_PATH",
        _ => return None,
    })
}

fn fsm_name(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        fsm::UNEXPECTED_IN_OPEN_SENT => "unexpected message in OpenSent",
        fsm::UNEXPECTED_IN_OPEN_CONFIRM => "unexpected message in OpenConfirm",
        fsm::UNEXPECTED_IN_ESTABLISHED => "unexpected message in Established",
        _ => return None,
    })
}

fn cease_name(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        cease::MAXIMUM_NUMBER_OF_PREFIXES_REACHED => "maximum number of prefixes reached",
        cease::ADMINISTRATIVE_SHUTDOWN => "administrative shutdown",
        cease::PEER_DE_CONFIGURED => "peer de-configured",
        cease::ADMINISTRATIVE_RESET => "administrative reset",
        cease::CONNECTION_REJECTED => "connection rejected",
        cease::OTHER_CONFIGURATION_CHANGE => "other configuration change",
        cease::CONNECTION_COLLISION_RESOLUTION => "connection collision resolution",
        cease::OUT_OF_RESOURCES => "out of resources",
        cease::HARD_RESET => "hard reset",
        cease::BFD_DOWN => "BFD down",
        _ => return None,
    })
}

/// "In the range of 0 to 128" (RFC 8203 §2).
const MAX_COMMUNICATION: usize = 128;
/// Octets of Data in a line of log.
const MAX_SHOWN: usize = 64;
