//! Message Header (RFC 4271 §4.1) and what can be refused on it alone (§6.1).

use nom::Parser;
use nom::bytes::complete::take;
use nom::combinator::map;
use nom::number::complete::{be_u8, be_u16};

use super::iana::message_type;
use super::{MAX_LENGTH, Parameters, Read, Refused, notification, open, refresh, update};
use crate::bgp::types::Message;

/// A header that can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// Of the whole message.
    pub(super) length: u16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Open,
    Update,
    Notification,
    Keepalive,
    RouteRefresh,
}

impl Header {
    /// `Ok(None)` while fewer than 19 octets are there.
    pub(super) fn read(input: &[u8], parameters: Parameters) -> Result<Option<Self>, Refused> {
        let Ok((_body, (marker, length, message_type))) = fields(input) else { return Ok(None) };
        if marker != [0xff; 16] {
            return Err(Refused::Marker);
        }
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            return Err(Refused::Length(length));
        }
        let kind = Kind::of(message_type).ok_or(Refused::Type(message_type))?;
        if kind.permits(length, parameters) {
            Ok(Some(Self { length, kind }))
        } else {
            Err(Refused::Length(length))
        }
    }

    /// What `message`, as long as this header says, says.
    pub(super) fn message(self, message: &[u8], parameters: Parameters) -> Result<Message, Refused> {
        let body = message.get(MIN_LENGTH.into()..).unwrap_or_default();
        Ok(match self.kind {
            Kind::Open => Message::Open(open::decode(body)?),
            Kind::Update => Message::Update(update::decode(body, parameters)?),
            Kind::Notification => Message::Notification(notification::decode(body)),
            Kind::Keepalive => Message::Keepalive,
            Kind::RouteRefresh => Message::RouteRefresh(refresh::decode(message, parameters)?),
        })
    }
}

impl Kind {
    fn of(message_type: u8) -> Option<Self> {
        Some(match message_type {
            message_type::OPEN => Self::Open,
            message_type::UPDATE => Self::Update,
            message_type::NOTIFICATION => Self::Notification,
            message_type::KEEPALIVE => Self::Keepalive,
            message_type::ROUTE_REFRESH => Self::RouteRefresh,
            _ => return None,
        })
    }

    /// "If the Length field … is less than the minimum length of the OPEN message …" (RFC 4271 §6.1).
    fn permits(self, length: u16, parameters: Parameters) -> bool {
        match self {
            Self::Open => length >= 29,
            Self::Update => length >= 23,
            Self::Notification => length >= 21,
            Self::Keepalive => length == MIN_LENGTH,
            // RFC 7313 §5 has an error of its own for a BoRR or an EoRR, which shows in the third octet of its body.
            Self::RouteRefresh if parameters.enhanced_route_refresh => length >= 22,
            Self::RouteRefresh => length >= 23,
        }
    }
}

fn fields(input: &[u8]) -> Read<'_, (&[u8], u16, u8)> {
    map((take(16_usize), be_u16, be_u8), |fields| fields).parse(input)
}

/// A header without a body.
pub(super) const MIN_LENGTH: u16 = 19;
