//! The quantities of BFD, within the limits of RFC 5880.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

/// Whose session it is: unique among all of a system, never zero (RFC 5880 §6.8.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Discriminator(NonZeroU32);

/// After how many missing packets the path counts as failed; never zero.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DetectMult(NonZeroU8);

/// Microseconds between two packets. Zero has other meanings in each field of a packet, and is `None` there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interval(NonZeroU32);

/// The state of a session (`Sta`, RFC 5880 §4.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// Held down by an operator; says nothing about the path.
    AdminDown,
    /// No path, or not yet.
    Down,
    /// The other side is heard.
    Init,
    /// Both sides hear each other.
    Up,
}

/// Why a session changed its state (`Diag`, RFC 5880 §4.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Diagnostic {
    /// 0.
    None,
    /// 1.
    ControlDetectionTimeExpired,
    /// 2.
    EchoFunctionFailed,
    /// 3.
    NeighborSignaledSessionDown,
    /// 4.
    ForwardingPlaneReset,
    /// 5.
    PathDown,
    /// 6.
    ConcatenatedPathDown,
    /// 7.
    AdministrativelyDown,
    /// 8.
    ReverseConcatenatedPathDown,
    /// 9 to 31: reserved.
    Reserved(u8),
}

impl Discriminator {
    /// `None` where it is zero.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// As in a packet.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl DetectMult {
    /// `None` where it is zero.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        match NonZeroU8::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// As in a packet.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.get()
    }

    /// So many intervals.
    #[must_use]
    pub fn times(self, interval: Interval) -> Duration {
        interval.duration() * u32::from(self.number())
    }
}

impl Interval {
    /// One second.
    pub const SECOND: Self = Self(NonZeroU32::MIN.saturating_add(999_999));

    /// `None` where it is zero.
    #[must_use]
    pub const fn from_micros(micros: u32) -> Option<Self> {
        match NonZeroU32::new(micros) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// `None` under a microsecond, and over the 71 minutes that a packet can express.
    #[must_use]
    pub fn from_duration(span: Duration) -> Option<Self> {
        u32::try_from(span.as_micros()).ok().and_then(Self::from_micros)
    }

    /// As in a packet.
    #[must_use]
    pub const fn micros(self) -> u32 {
        self.0.get()
    }

    /// As a span of time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0.get() as u64)
    }
}

impl State {
    /// As in a packet, where it has two bits: what is above them does not matter.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    /// As in a packet.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }

    /// The RFC's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        }
    }
}

impl Diagnostic {
    /// As in a packet, where it has five bits: what is above them does not matter.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b1_1111 {
            0 => Self::None,
            1 => Self::ControlDetectionTimeExpired,
            2 => Self::EchoFunctionFailed,
            3 => Self::NeighborSignaledSessionDown,
            4 => Self::ForwardingPlaneReset,
            5 => Self::PathDown,
            6 => Self::ConcatenatedPathDown,
            7 => Self::AdministrativelyDown,
            8 => Self::ReverseConcatenatedPathDown,
            other => Self::Reserved(other),
        }
    }

    /// As in a packet.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::ControlDetectionTimeExpired => 1,
            Self::EchoFunctionFailed => 2,
            Self::NeighborSignaledSessionDown => 3,
            Self::ForwardingPlaneReset => 4,
            Self::PathDown => 5,
            Self::ConcatenatedPathDown => 6,
            Self::AdministrativelyDown => 7,
            Self::ReverseConcatenatedPathDown => 8,
            Self::Reserved(bits) => bits & 0b1_1111,
        }
    }

    /// The RFC's words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no diagnostic",
            Self::ControlDetectionTimeExpired => "control detection time expired",
            Self::EchoFunctionFailed => "echo function failed",
            Self::NeighborSignaledSessionDown => "neighbor signaled session down",
            Self::ForwardingPlaneReset => "forwarding plane reset",
            Self::PathDown => "path down",
            Self::ConcatenatedPathDown => "concatenated path down",
            Self::AdministrativelyDown => "administratively down",
            Self::ReverseConcatenatedPathDown => "reverse concatenated path down",
            Self::Reserved(_) => "reserved diagnostic",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
