//! Why a session must end, in words and on the wire.

use bytes::Bytes;

use super::iana;
use crate::bgp::types::Notification;

/// Why octets from a peer were refused, so that the session must end.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// RFC 4271 §6.1.
    #[error("the marker of a message is not all ones")]
    Marker,
    /// RFC 4271 §6.1.
    #[error("a message cannot be {0} octets long")]
    Length(u16),
    /// RFC 4271 §6.1.
    #[error("message type {0} is not known")]
    Type(u8),
    /// RFC 4271 §6.2.
    #[error("peer speaks BGP version {0}, not 4")]
    Version(u8),
    /// RFC 4271 §6.2.
    #[error("OPEN has optional parameter {0}, which is not known")]
    OptionalParameter(u8),
    /// RFC 4271 §6.2, RFC 9072 §2.
    #[error("the optional parameters of an OPEN do not fit their lengths")]
    OptionalParameters,
    /// RFC 4271 §6.2.
    #[error("capability {code} of an OPEN cannot be {length} octets long")]
    Capability {
        /// As IANA assigns it.
        code: u8,
        /// Of its value.
        length: u8,
    },
    /// RFC 4271 §6.3, RFC 7606 §3 (b), (g), §5.2.
    #[error("the path attributes of an UPDATE do not fit their lengths, or come twice")]
    AttributeList,
    /// RFC 4271 §6.3, where RFC 7606 leaves the session reset.
    #[error("path attribute {code} of an UPDATE: {fault}", code = attribute.get(1).copied().unwrap_or_default())]
    Attribute {
        /// What is wrong with it.
        fault: Fault,
        /// Flags, type, length and value.
        attribute: Bytes,
    },
    /// RFC 7606 §5.3.
    #[error("a prefix in an UPDATE is longer than its address or than the message")]
    Network,
    /// RFC 7313 §5.
    #[error("a BoRR or EoRR is not 23 octets long")]
    RouteRefresh {
        /// All of it.
        message: Bytes,
    },
}

/// What is wrong with a path attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Not optional, so that everybody must know it.
    #[error("well-known, but not known")]
    Unrecognized,
    /// Optional and Transitive are not as the type has them.
    #[error("wrong flags")]
    Flags,
    /// The type has another length.
    #[error("wrong length")]
    Length,
    /// Not 0, 1 or 2.
    #[error("undefined origin")]
    Origin,
    /// Nobody's address.
    #[error("next hop is no host's address")]
    NextHop,
    /// Of an optional attribute.
    #[error("wrong value")]
    Optional,
    /// RFC 7606 §7.2, RFC 7607.
    #[error("malformed AS path")]
    AsPath,
}

impl Refused {
    /// What we tell the peer: code, subcode and Data.
    #[must_use]
    pub fn notification(&self) -> Notification {
        use iana::{error, header, open, route_refresh, update};
        let (code, subcode, data) = match self {
            Self::Marker => (error::MESSAGE_HEADER, header::CONNECTION_NOT_SYNCHRONIZED, Bytes::new()),
            Self::Length(length) => {
                (error::MESSAGE_HEADER, header::BAD_MESSAGE_LENGTH, copy(&length.to_be_bytes()))
            }
            Self::Type(message_type) => {
                (error::MESSAGE_HEADER, header::BAD_MESSAGE_TYPE, copy(&[*message_type]))
            }
            Self::Version(_) => (error::OPEN_MESSAGE, open::UNSUPPORTED_VERSION_NUMBER, copy(&[0, 4])),
            Self::OptionalParameter(_) => {
                (error::OPEN_MESSAGE, open::UNSUPPORTED_OPTIONAL_PARAMETER, Bytes::new())
            }
            Self::OptionalParameters | Self::Capability { .. } => {
                (error::OPEN_MESSAGE, open::UNSPECIFIC, Bytes::new())
            }
            Self::AttributeList => (error::UPDATE_MESSAGE, update::MALFORMED_ATTRIBUTE_LIST, Bytes::new()),
            Self::Attribute { fault, attribute } => {
                (error::UPDATE_MESSAGE, fault.subcode(), fault.data(attribute))
            }
            Self::Network => (error::UPDATE_MESSAGE, update::INVALID_NETWORK_FIELD, Bytes::new()),
            Self::RouteRefresh { message } => {
                (error::ROUTE_REFRESH_MESSAGE, route_refresh::INVALID_MESSAGE_LENGTH, message.clone())
            }
        };
        Notification { code, subcode, data }
    }
}

impl Fault {
    fn subcode(self) -> u8 {
        use iana::update;
        match self {
            Self::Unrecognized => update::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE,
            Self::Flags => update::ATTRIBUTE_FLAGS,
            Self::Length => update::ATTRIBUTE_LENGTH,
            Self::Origin => update::INVALID_ORIGIN,
            Self::NextHop => update::INVALID_NEXT_HOP,
            Self::Optional => update::OPTIONAL_ATTRIBUTE,
            Self::AsPath => update::MALFORMED_AS_PATH,
        }
    }

    /// RFC 4271 §6.3 has the attribute in every Data field but that of a malformed AS_PATH.
    fn data(self, attribute: &Bytes) -> Bytes {
        match self {
            Self::AsPath => Bytes::new(),
            Self::Unrecognized
            | Self::Flags
            | Self::Length
            | Self::Origin
            | Self::NextHop
            | Self::Optional => attribute.clone(),
        }
    }
}

fn copy(octets: &[u8]) -> Bytes {
    Bytes::copy_from_slice(octets)
}
