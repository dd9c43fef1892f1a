//! What two OPENs agree on, and which OPEN is refused.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::types::{Asn, Family, GracefulRestart, HoldTime};

/// Whether the peer is in our Autonomous System.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Peering {
    /// eBGP.
    External,
    /// iBGP.
    Internal,
}

/// What holds for one session, from its OPENs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Negotiated {
    /// The peer's Autonomous System.
    pub peer_as: Asn,
    /// The peer's BGP Identifier.
    pub peer_identifier: Ipv4Addr,
    /// eBGP or iBGP.
    pub peering: Peering,
    /// The smaller of the two offers.
    pub hold_time: HoldTime,
    /// Those that both offer; never empty.
    pub families: BTreeSet<Family>,
    /// AS numbers have four octets in AS_PATH (RFC 6793), both ways.
    pub four_octet_as: bool,
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// The peer may ask for routes again (RFC 2918).
    pub route_refresh: bool,
    /// … and hears where the answer begins and ends (RFC 7313).
    pub enhanced_route_refresh: bool,
    /// The peer's word on graceful restart (RFC 4724); `None`: it does not even know End-of-RIB.
    pub graceful_restart: Option<GracefulRestart>,
    /// Families whose routes the peer keeps for us while we restart.
    pub preserved: BTreeSet<Family>,
    /// A NOTIFICATION keeps routes too, unless it is a Hard Reset (RFC 8538).
    pub notification: bool,
}
