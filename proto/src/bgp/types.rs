//! What BGP messages say, after decoding and before encoding. Nothing here knows octets or sessions.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;

/// Autonomous System number, always four octets in memory (RFC 6793).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Asn(pub u32);

impl Asn {
    /// What stands for a four-octet number towards speakers that know only two octets (RFC 6793 §9).
    pub const TRANS: Self = Self(23456);

    /// The number in two octets, or [`Self::TRANS`].
    #[must_use]
    pub fn two_octets(self) -> u16 {
        u16::try_from(self.0).unwrap_or(23456)
    }
}

/// Asplain (RFC 5396 §2).
impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A Hold Time that the protocol permits: zero, or at least three seconds (RFC 4271 §4.2).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct HoldTime(u16);

impl HoldTime {
    /// `None` for 1 and 2.
    #[must_use]
    pub const fn new(seconds: u16) -> Option<Self> {
        match seconds {
            1 | 2 => None,
            _ => Some(Self(seconds)),
        }
    }

    /// The smaller of two offers governs the session (RFC 4271 §4.2).
    #[must_use]
    pub fn negotiate(self, peer: Self) -> Self {
        self.min(peer)
    }

    /// `None` means that neither the hold nor the keepalive timer runs (RFC 4271 §4.4).
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        (self.0 != 0).then(|| Duration::from_secs(self.0.into()))
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn seconds(self) -> u16 {
        self.0
    }
}

/// Address family and subsequent address family of a route (RFC 4760); every pair that a peer may name, not only ours.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Family {
    /// Address Family Identifier.
    pub afi: u16,
    /// Subsequent Address Family Identifier.
    pub safi: u8,
}

impl Family {
    /// AFI 1, SAFI 1.
    pub const IPV4_UNICAST: Self = Self { afi: 1, safi: 1 };
    /// AFI 2, SAFI 1.
    pub const IPV6_UNICAST: Self = Self { afi: 2, safi: 1 };
}

/// What a speaker says of itself (RFC 4271 §4.2), not judged yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Open {
    /// My Autonomous System, the two-octet field as it was received; the four-octet number is a capability.
    pub my_as: u16,
    /// Hold Time in seconds, as received: 1 and 2 are refused by the session.
    pub hold_time: u16,
    /// BGP Identifier (RFC 6286: any number but zero, which the session refuses).
    pub identifier: Ipv4Addr,
    /// In the order in which they came (RFC 5492).
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// The four-octet number that it says (RFC 6793), the last one where there are several.
    #[must_use]
    pub fn four_octet_as(&self) -> Option<Asn> {
        self.capabilities.iter().rev().find_map(|capability| {
            if let Capability::FourOctetAs(asn) = capability { Some(*asn) } else { None }
        })
    }
}

/// RFC 5492.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Capability {
    /// Code 1 (RFC 4760 §8).
    MultiProtocol(Family),
    /// Code 2 (RFC 2918).
    RouteRefresh,
    /// Code 5 (RFC 8950): routes of a family with next hops of another address family.
    ExtendedNextHop(Vec<(Family, u16)>),
    /// Code 64 (RFC 4724, RFC 8538).
    GracefulRestart(GracefulRestart),
    /// Code 65 (RFC 6793).
    FourOctetAs(Asn),
    /// Code 70 (RFC 7313).
    EnhancedRouteRefresh,
    /// One that we do not use.
    Unknown {
        /// As IANA assigns it.
        code: u8,
        /// Its value, not looked into.
        value: Bytes,
    },
}

/// RFC 4724 §3, with the N bit of RFC 8538 §2.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GracefulRestart {
    /// R: the speaker has just restarted.
    pub restarting: bool,
    /// N: NOTIFICATIONs other than Hard Reset keep routes too.
    pub notification: bool,
    /// Within how many seconds the session will be there again; 0 to 4095.
    pub restart_time: u16,
    /// Each family with its F bit: forwarding state was preserved.
    pub families: Vec<(Family, bool)>,
}

/// What a NOTIFICATION says (RFC 4271 §4.5).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Data field.
    pub data: Bytes,
}

/// RFC 2918 and RFC 7313 §3.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RouteRefresh {
    /// Whose routes.
    pub family: Family,
    /// 0 request, 1 beginning (BoRR), 2 end (EoRR); others are ignored by the session (RFC 7313 §5).
    pub subtype: u8,
}

/// What of an UPDATE concerns a speaker that imports nothing: that it came, and what was wrong with it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Update {
    /// How many routes it announced, of any family.
    pub announced: usize,
    /// How many routes it withdrew, of any family.
    pub withdrawn: usize,
    /// End-of-RIB of that family (RFC 4724 §2).
    pub end_of_rib: Option<Family>,
    /// It was malformed, but not so that the session must end (RFC 7606): its routes count as withdrawn.
    pub treated_as_withdraw: bool,
    /// Attributes that were malformed and are as if they were not there (RFC 7606 §2).
    pub attributes_discarded: u8,
}

/// RFC 4271 §4, RFC 2918.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Type 1.
    Open(Open),
    /// Type 2.
    Update(Update),
    /// Type 3.
    Notification(Notification),
    /// Type 4.
    Keepalive,
    /// Type 5.
    RouteRefresh(RouteRefresh),
}

/// Where routes lead.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NextHop {
    /// RFC 4271 §5.1.3, or of an IPv6 route by IPv4: not sent.
    V4(Ipv4Addr),
    /// RFC 2545 §3: the global address, and the link-local one where both are on the peer's link. Of IPv4 routes: RFC 8950.
    V6 {
        /// Global, or link-local where it is the only one.
        address: Ipv6Addr,
        /// Link-local.
        link_local: Option<Ipv6Addr>,
    },
}

/// What we say of a route, the same for many routes (RFC 4271 §5).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Attributes {
    /// AS_PATH as one AS_SEQUENCE, ours first and as often as it is prepended; empty towards iBGP peers.
    pub as_path: Vec<Asn>,
    /// NEXT_HOP, or the next hop in MP_REACH_NLRI.
    pub next_hop: NextHop,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF; to iBGP peers only.
    pub local_pref: Option<u32>,
    /// COMMUNITIES (RFC 1997), sorted, each once.
    pub communities: Vec<u32>,
    /// EXTENDED COMMUNITIES (RFC 4360), sorted, each once; the link bandwidth (RFC 10005) is one.
    pub extended_communities: Vec<[u8; 8]>,
    /// LARGE_COMMUNITY (RFC 8092), sorted, each once: global administrator, local data 1 and 2.
    pub large_communities: Vec<[u32; 3]>,
}

/// A route's destination has a family.
#[must_use]
pub fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::IPV4_UNICAST,
        IpAddr::V6(_) => Family::IPV6_UNICAST,
    }
}
