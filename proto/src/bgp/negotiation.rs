//! What we offer in our OPEN, what the peer's OPEN makes of it, and which OPEN is refused.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use bytes::{BufMut, Bytes, BytesMut};

use super::fsm::Config;
use super::types::{Asn, Capability, Family, GracefulRestart, HoldTime, Notification, Open};
use super::wire::iana::{error, open as subcode};
use super::wire::{AsNumbers, Parameters};

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
    /// How wide AS numbers are in AS_PATH (RFC 6793), both ways.
    pub as_numbers: AsNumbers,
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// The peer offers to send its routes again (RFC 2918).
    pub route_refresh: bool,
    /// Answers to requests for routes stand between BoRR and EoRR (RFC 7313).
    pub enhanced_route_refresh: bool,
    /// The peer's word on graceful restart (RFC 4724); `None`: it may not even know End-of-RIB.
    pub graceful_restart: Option<GracefulRestart>,
    /// Families whose routes the peer keeps for us while we restart.
    pub preserved: BTreeSet<Family>,
    /// A NOTIFICATION keeps those routes too, unless it is a Hard Reset (RFC 8538).
    pub notification: bool,
}

/// Why an OPEN is not acceptable (RFC 4271 §6.2).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// Bad Peer AS.
    #[error("peer says AS {said}, configured {configured}")]
    PeerAs {
        /// In its OPEN.
        said: Asn,
        /// In our configuration.
        configured: Asn,
    },
    /// Bad Peer AS (RFC 7607).
    #[error("peer says AS 0")]
    ZeroAs,
    /// Unacceptable Hold Time.
    #[error("peer offers a hold time of {0} s, which must be 0 or at least 3")]
    HoldTime(u16),
    /// Bad BGP Identifier.
    #[error("peer says BGP identifier 0.0.0.0")]
    ZeroIdentifier,
    /// Bad BGP Identifier, in one Autonomous System (RFC 6286 §2.2).
    #[error("peer says BGP identifier {0}, which is ours")]
    OurIdentifier(Ipv4Addr),
    /// Unsupported Capability.
    #[error("peer offers none of the configured address families")]
    NoCommonFamily(BTreeSet<Family>),
}

impl OpenError {
    /// The one place that turns a refused OPEN into what we tell the peer.
    #[must_use]
    pub fn notification(&self) -> Notification {
        let (subcode, data) = match self {
            Self::PeerAs { .. } | Self::ZeroAs => (subcode::BAD_PEER_AS, Bytes::new()),
            Self::ZeroIdentifier | Self::OurIdentifier(_) => (subcode::BAD_BGP_IDENTIFIER, Bytes::new()),
            Self::HoldTime(_) => (subcode::UNACCEPTABLE_HOLD_TIME, Bytes::new()),
            Self::NoCommonFamily(missing) => (subcode::UNSUPPORTED_CAPABILITY, multiprotocol(missing)),
        };
        Notification { code: error::OPEN_MESSAGE, subcode, data }
    }
}

impl Negotiated {
    /// How the messages after the OPENs read.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        Parameters {
            as_numbers: self.as_numbers,
            external: self.peering == Peering::External,
            extended_next_hop: self.extended_next_hop,
            enhanced_route_refresh: self.enhanced_route_refresh,
        }
    }
}

impl Peering {
    /// Whether two speakers are in one Autonomous System.
    #[must_use]
    pub fn between(local_as: Asn, peer_as: Asn) -> Self {
        if local_as == peer_as { Self::Internal } else { Self::External }
    }
}

/// Our OPEN. `restarting`: the peer may still have the routes of the process before this one.
#[must_use]
pub fn offer(config: &Config, restarting: bool) -> Open {
    let mut capabilities: Vec<_> = config.families.iter().copied().map(Capability::MultiProtocol).collect();
    capabilities.push(Capability::RouteRefresh);
    if config.extended_next_hop {
        capabilities.push(Capability::ExtendedNextHop(vec![IPV4_OVER_IPV6]));
    }
    capabilities.push(Capability::GracefulRestart(graceful_restart(config, restarting)));
    capabilities.push(Capability::FourOctetAs(config.local_as));
    capabilities.push(Capability::EnhancedRouteRefresh);
    Open {
        my_as: config.local_as.two_octets(),
        hold_time: config.hold_time.seconds(),
        identifier: config.identifier,
        capabilities,
    }
}

/// Judges the peer's OPEN, in the order of RFC 4271 §6.2.
pub fn negotiate(config: &Config, open: &Open) -> Result<Negotiated, OpenError> {
    let four_octet_as = find(open, match_as);
    let peer_as = judge_as(config, open, four_octet_as)?;
    let hold_time = HoldTime::new(open.hold_time).ok_or(OpenError::HoldTime(open.hold_time))?;
    let peering = Peering::between(config.local_as, peer_as);
    judge_identifier(config, open.identifier, peering)?;
    let families: BTreeSet<_> = offered_families(open).intersection(&config.families).copied().collect();
    if families.is_empty() {
        return Err(OpenError::NoCommonFamily(config.families.clone()));
    }
    let graceful_restart = find(open, match_graceful_restart);
    let keeps = config.graceful_restart.is_some() && graceful_restart.is_some();
    Ok(Negotiated {
        peer_as,
        peer_identifier: open.identifier,
        peering,
        hold_time: config.hold_time.negotiate(hold_time),
        as_numbers: four_octet_as.map_or(AsNumbers::TwoOctets, |_| AsNumbers::FourOctets),
        extended_next_hop: config.extended_next_hop && offers_ipv4_over_ipv6(open),
        route_refresh: open.capabilities.contains(&Capability::RouteRefresh),
        enhanced_route_refresh: open.capabilities.contains(&Capability::EnhancedRouteRefresh),
        notification: keeps && graceful_restart.as_ref().is_some_and(|theirs| theirs.notification),
        preserved: if keeps { families.clone() } else { BTreeSet::new() },
        graceful_restart,
        families,
    })
}

/// The four-octet number counts where there is one; the field of two octets must not be zero even then.
fn judge_as(config: &Config, open: &Open, four_octet_as: Option<Asn>) -> Result<Asn, OpenError> {
    let said = four_octet_as.unwrap_or_else(|| Asn(open.my_as.into()));
    if said.0 == 0 || open.my_as == 0 {
        return Err(OpenError::ZeroAs);
    }
    if said != config.peer_as {
        return Err(OpenError::PeerAs { said, configured: config.peer_as });
    }
    Ok(said)
}

fn judge_identifier(config: &Config, identifier: Ipv4Addr, peering: Peering) -> Result<(), OpenError> {
    if identifier.is_unspecified() {
        return Err(OpenError::ZeroIdentifier);
    }
    if identifier == config.identifier && peering == Peering::Internal {
        return Err(OpenError::OurIdentifier(identifier));
    }
    Ok(())
}

/// A speaker that names no family at all speaks of IPv4 unicast, as before RFC 4760.
fn offered_families(open: &Open) -> BTreeSet<Family> {
    let named: BTreeSet<_> = open.capabilities.iter().filter_map(match_family).collect();
    if named.is_empty() { [Family::IPV4_UNICAST].into() } else { named }
}

/// Without families it says no more than that End-of-RIB will come (RFC 4724 §4).
fn graceful_restart(config: &Config, restarting: bool) -> GracefulRestart {
    let Some(restart) = config.graceful_restart else { return GracefulRestart::default() };
    let preserved = |&family: &Family| (family, restart.forwarding_preserved);
    GracefulRestart {
        restarting,
        notification: true,
        restart_time: restart.time.min(LONGEST_RESTART_TIME),
        families: config.families.iter().map(preserved).collect(),
    }
}

fn offers_ipv4_over_ipv6(open: &Open) -> bool {
    find(open, match_extended_next_hop).is_some_and(|pairs| pairs.contains(&IPV4_OVER_IPV6))
}

/// A capability that comes more than once counts as the last one says.
fn find<T>(open: &Open, which: impl Fn(&Capability) -> Option<T>) -> Option<T> {
    open.capabilities.iter().rev().find_map(which)
}

fn match_as(capability: &Capability) -> Option<Asn> {
    if let Capability::FourOctetAs(asn) = capability { Some(*asn) } else { None }
}

fn match_family(capability: &Capability) -> Option<Family> {
    if let Capability::MultiProtocol(family) = capability { Some(*family) } else { None }
}

fn match_extended_next_hop(capability: &Capability) -> Option<Vec<(Family, u16)>> {
    if let Capability::ExtendedNextHop(pairs) = capability { Some(pairs.clone()) } else { None }
}

fn match_graceful_restart(capability: &Capability) -> Option<GracefulRestart> {
    if let Capability::GracefulRestart(restart) = capability { Some(restart.clone()) } else { None }
}

/// "The Data field … MUST list … the set of capabilities" as in an OPEN (RFC 5492 §5).
fn multiprotocol(families: &BTreeSet<Family>) -> Bytes {
    let mut data = BytesMut::with_capacity(families.len().saturating_mul(6));
    for family in families {
        data.put_slice(&[1, 4]);
        data.put_u16(family.afi);
        data.put_slice(&[0, family.safi]);
    }
    data.freeze()
}

/// IPv4 unicast with next hops of AFI 2 (RFC 8950 §4).
const IPV4_OVER_IPV6: (Family, u16) = (Family::IPV4_UNICAST, 2);

/// Twelve bits (RFC 4724 §3).
const LONGEST_RESTART_TIME: u16 = 4095;
