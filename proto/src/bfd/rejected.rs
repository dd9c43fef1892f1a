//! Why a datagram was discarded.

use super::wire::DecodeError;

/// Why a datagram was discarded, in the order of RFC 5880 §6.8.6. No session has seen anything of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// It is no control packet.
    #[error(transparent)]
    Decode(DecodeError),
    /// "The Your Discriminator field is nonzero, […] no session is found".
    #[error("no session has the discriminator")]
    YourDiscriminator,
    /// "The Your Discriminator field is zero and the State field is not Down or AdminDown".
    #[error("the receiver's discriminator is zero in state Init or Up")]
    State,
    /// Nobody watches the path that it came by.
    #[error("no session is with the sender")]
    NoSession,
    /// "The A bit is set and no authentication is in use".
    #[error("it is authenticated")]
    Authenticated,
    /// It was not sent by a neighbour (RFC 5881 §5), or crossed too many routers.
    #[error("the TTL or hop limit is too small")]
    TimeToLive,
}

impl Rejected {
    /// All of them, for whoever counts.
    pub const ALL: [Self; 11] = [
        Self::Decode(DecodeError::Version),
        Self::Decode(DecodeError::Length),
        Self::Decode(DecodeError::Truncated),
        Self::Decode(DecodeError::DetectMult),
        Self::Decode(DecodeError::Multipoint),
        Self::Decode(DecodeError::MyDiscriminator),
        Self::YourDiscriminator,
        Self::State,
        Self::NoSession,
        Self::Authenticated,
        Self::TimeToLive,
    ];

    /// Its place in [`Rejected::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Decode(DecodeError::Version) => 0,
            Self::Decode(DecodeError::Length) => 1,
            Self::Decode(DecodeError::Truncated) => 2,
            Self::Decode(DecodeError::DetectMult) => 3,
            Self::Decode(DecodeError::Multipoint) => 4,
            Self::Decode(DecodeError::MyDiscriminator) => 5,
            Self::YourDiscriminator => 6,
            Self::State => 7,
            Self::NoSession => 8,
            Self::Authenticated => 9,
            Self::TimeToLive => 10,
        }
    }

    /// In one word, for a metric's label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Decode(DecodeError::Version) => "version",
            Self::Decode(DecodeError::Length) => "length",
            Self::Decode(DecodeError::Truncated) => "truncated",
            Self::Decode(DecodeError::DetectMult) => "detect_mult",
            Self::Decode(DecodeError::Multipoint) => "multipoint",
            Self::Decode(DecodeError::MyDiscriminator) => "my_discriminator",
            Self::YourDiscriminator => "your_discriminator",
            Self::State => "state",
            Self::NoSession => "no_session",
            Self::Authenticated => "authenticated",
            Self::TimeToLive => "ttl",
        }
    }
}
