//! Octets to messages and back (RFC 4271 §4). Nothing here knows about sessions, and nothing received is kept.

mod capability;
pub mod encode;
mod header;
pub mod iana;
pub mod notification;
mod open;
mod refresh;
mod refused;
pub mod update;

use bytes::{Buf, BytesMut};

pub use refused::{Fault, Refused};

use self::header::Header;
use super::types::Message;

/// What the OPENs have settled, as far as it changes how later messages read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Parameters {
    /// How wide AS numbers are in AS_PATH and AGGREGATOR.
    pub as_numbers: AsNumbers,
    /// The peer is in another AS: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST mean nothing from it.
    pub external: bool,
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Both sides offered it, so that a ROUTE-REFRESH has a subtype (RFC 7313 §4).
    pub enhanced_route_refresh: bool,
}

/// How wide AS numbers are in AS_PATH and AGGREGATOR (RFC 6793).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AsNumbers {
    /// One of the speakers did not offer the capability.
    #[default]
    TwoOctets,
    /// Both did.
    FourOctets,
}

/// Cuts what a peer sends into messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    parameters: Parameters,
}

impl Decoder {
    /// For a connection on which nothing is settled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How the messages after the OPENs read: to be said when the peer's OPEN has been taken, before what follows it.
    pub fn set(&mut self, parameters: Parameters) {
        self.parameters = parameters;
    }

    /// Takes one message off the front of `buffer`. `Ok(None)` asks for more octets; it is not an error.
    ///
    /// After a refusal the buffer is at no known place in the stream: the connection is at its end.
    ///
    /// # Errors
    ///
    /// When the session must end, as early as the octets that say so are there.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, Refused> {
        let Some(header) = Header::read(buffer, self.parameters)? else { return Ok(None) };
        let Some(message) = buffer.get(..header.length.into()) else {
            buffer.reserve(usize::from(header.length) - buffer.len());
            return Ok(None);
        };
        let message = header.message(message, self.parameters)?;
        buffer.advance(header.length.into());
        Ok(Some(message))
    }
}

/// nom as a reader of octets that are already there: what it fails at is that there are too few.
type Read<'a, T> = nom::IResult<&'a [u8], T, ()>;

/// The longest message (RFC 4271 §4.1); the extended messages of RFC 8654 are not offered.
pub const MAX_LENGTH: u16 = 4096;
