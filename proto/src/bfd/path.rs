//! What a session watches, and what is known of a packet besides its payload.

use std::net::IpAddr;
use std::time::Instant;

/// What a session watches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Path {
    /// The other end.
    pub remote: IpAddr,
    /// Our end, where it is fixed.
    pub local: Option<IpAddr>,
    /// The interface, where it is fixed.
    pub interface: Option<Interface>,
    /// Whether there are routers between the ends.
    pub hops: Hops,
}

/// An interface, by the owner's number for its name: the kernel's is another one when the interface is made anew.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interface(pub u32);

/// Whether there are routers between the two ends of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hops {
    /// None: every packet arrives with a TTL or hop limit of 255 (RFC 5881 §5).
    Single,
    /// Some (RFC 5883).
    Multiple {
        /// What a packet has to have left. FRR sends 255, BIRD 64 where it is not told otherwise by the kernel.
        minimum_ttl: u8,
    },
}

/// Which of the two ports a packet was sent to: a session hears only one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Port {
    /// 3784 (RFC 5881 §4).
    SingleHop,
    /// 4784 (RFC 5883 §5).
    MultiHop,
}

/// What is known of a datagram besides its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// When it arrived, as nearly as that is known.
    pub at: Instant,
    /// Who sent it.
    pub source: IpAddr,
    /// To which of our addresses.
    pub destination: IpAddr,
    /// Where it came in, if any session cares.
    pub interface: Option<Interface>,
    /// TTL or hop limit; a packet without is not believed.
    pub ttl: Option<u8>,
    /// To which port.
    pub port: Port,
}

impl Path {
    pub(super) const fn port(&self) -> Port {
        match self.hops {
            Hops::Single => Port::SingleHop,
            Hops::Multiple { .. } => Port::MultiHop,
        }
    }

    pub(super) fn is_of(&self, arrival: &Arrival) -> bool {
        (self.interface.is_none() || self.interface == arrival.interface)
            && self.local.is_none_or(|local| local == arrival.destination)
    }

    /// Whether a packet can belong to both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        (self.port(), self.remote) == (other.port(), other.remote)
            && may_equal(self.local, other.local)
            && may_equal(self.interface, other.interface)
    }
}

impl Hops {
    pub(super) const fn minimum_ttl(self) -> u8 {
        match self {
            Self::Single => u8::MAX,
            Self::Multiple { minimum_ttl } => minimum_ttl,
        }
    }
}

fn may_equal<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_none() || other.is_none() || one == other
}
