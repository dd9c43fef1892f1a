//! Messages to octets, all but UPDATE.

use bytes::BufMut;

use super::iana::message_type;
use super::open::{CAPABILITIES, EXTENDED, VERSION};
use super::{MAX_LENGTH, capability};
use crate::bgp::types::{Notification, Open, RouteRefresh};

/// An OPEN (RFC 4271 §4.2) with all capabilities in one optional parameter, as long as 4096 octets hold them.
pub fn open(open: &Open, into: &mut impl BufMut) {
    let capabilities = capabilities(open);
    let mut body = Vec::with_capacity(OPEN_BODY + 6 + capabilities.len());
    body.put_u8(VERSION);
    body.put_u16(open.my_as);
    body.put_u16(open.hold_time);
    body.put_slice(&open.identifier.octets());
    put_parameter(&capabilities, &mut body);
    message(message_type::OPEN, &body, into);
}

/// A KEEPALIVE (RFC 4271 §4.4).
pub fn keepalive(into: &mut impl BufMut) {
    message(message_type::KEEPALIVE, &[], into);
}

/// A NOTIFICATION (RFC 4271 §4.5); Data that 4096 octets do not hold is cut.
pub fn notification(notification: &Notification, into: &mut impl BufMut) {
    let data = notification.data.get(..MAX_BODY - 2).unwrap_or(&notification.data);
    let body = [&[notification.code, notification.subcode], data].concat();
    message(message_type::NOTIFICATION, &body, into);
}

/// A ROUTE-REFRESH (RFC 2918, RFC 7313 §3.2).
pub fn route_refresh(refresh: &RouteRefresh, into: &mut impl BufMut) {
    let [afi_high, afi_low] = refresh.family.afi.to_be_bytes();
    let body = [afi_high, afi_low, refresh.subtype, refresh.family.safi];
    message(message_type::ROUTE_REFRESH, &body, into);
}

fn capabilities(open: &Open) -> Vec<u8> {
    let mut encoded = Vec::new();
    for capability in &open.capabilities {
        let end = encoded.len();
        capability::encode(capability, &mut encoded);
        if encoded.len() > MAX_CAPABILITIES {
            encoded.truncate(end);
            break;
        }
    }
    encoded
}

/// From Opt Parm Len on; in the extended format only where the other has no room (RFC 9072 §2).
fn put_parameter(capabilities: &[u8], body: &mut Vec<u8>) {
    let length = u16::try_from(capabilities.len()).unwrap_or(u16::MAX);
    match u8::try_from(length) {
        Ok(0) => body.put_u8(0),
        Ok(length) if length <= u8::MAX - 2 => body.put_slice(&[length + 2, CAPABILITIES, length]),
        Ok(_) | Err(_) => {
            body.put_slice(&[u8::MAX, EXTENDED]);
            body.put_u16(length.saturating_add(3));
            body.put_u8(CAPABILITIES);
            body.put_u16(length);
        }
    }
    body.put_slice(capabilities);
}

fn message(message_type: u8, body: &[u8], into: &mut impl BufMut) {
    put_header(message_type, body.len(), into);
    into.put_slice(body);
}

/// The header of a message with a body of that many octets.
pub(super) fn put_header(message_type: u8, body: usize, into: &mut impl BufMut) {
    into.put_bytes(0xff, 16);
    into.put_u16(u16::try_from(HEADER + body).unwrap_or(u16::MAX));
    into.put_u8(message_type);
}

/// RFC 4271 §4.1.
const HEADER: usize = 19;
const MAX_BODY: usize = MAX_LENGTH as usize - HEADER;
/// Version to Opt Parm Len.
const OPEN_BODY: usize = 10;
/// What an OPEN has room for in the extended format.
const MAX_CAPABILITIES: usize = MAX_BODY - OPEN_BODY - 6;
