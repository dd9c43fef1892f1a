//! What `vipcast peers` and `vipcast routes` say: the sessions with routers, and what each of them was told.
//!
//! Fields are only ever added.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;
use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};
use vipcast_proto::bgp::adj_rib_out::Snapshot;
use vipcast_proto::bgp::fsm::State;
use vipcast_proto::bgp::types::{Attributes, Family, NextHop, family_of};

use super::timestamp::Timestamp;

/// What the speaker knows about a session.
#[derive(Clone, Debug)]
pub struct PeerFact {
    /// Our Autonomous System towards it.
    pub local_as: u32,
    /// Its own, as configured or as it has said; 0 where any will do and it has said none.
    pub peer_as: u32,
    /// What is configured in the place of a number.
    pub remote_as: Option<RemoteAsWord>,
    /// Where it is, as configured.
    pub at: String,
    /// Its TCP port.
    pub port: u16,
    /// Our end of the connection.
    pub local: Option<IpAddr>,
    /// RFC 4271 §8.2.2.
    pub state: State,
    /// When it was established, while it is.
    pub established: Option<Instant>,
    /// Those of the session; without one, those that are offered.
    pub families: BTreeSet<Family>,
    /// What was negotiated, while there is a session.
    pub negotiated: Option<NegotiatedFact>,
    /// What it knows of our routes.
    pub told: Arc<Snapshot>,
    /// Since when something waits to be told.
    pub waiting: Option<Instant>,
    /// Routes that it has announced, all of them ignored.
    pub received: Counter,
    /// When and why the last session, or attempt at one, ended.
    pub last_error: Option<(SystemTime, String)>,
    /// Code and subcode of the last NOTIFICATION to it.
    pub notified: Option<(u8, u8)>,
    /// Code and subcode of the last NOTIFICATION from it.
    pub notification: Option<(u8, u8)>,
    /// What BFD says of it.
    pub bfd: Option<BfdWord>,
    /// No session is begun before BFD is up.
    pub waits_for_bfd: bool,
    /// Routes are announced with GRACEFUL_SHUTDOWN.
    pub draining: bool,
}

/// What the OPENs have come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NegotiatedFact {
    /// Its BGP Identifier.
    pub identifier: Ipv4Addr,
    /// In seconds.
    pub hold_time: u16,
}

/// Which Autonomous Systems will do, where not one of them is configured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteAsWord {
    /// All but ours.
    External,
    /// All.
    Any,
}

/// What BFD says of a peer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BfdWord {
    /// Switched off by one of the two operators.
    AdminDown,
    /// Not heard.
    Down,
    /// Heard.
    Up,
}

/// The answer to `GET /v1/peers`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peers {
    /// Name of the node.
    pub node: String,
    /// When this answer was made.
    pub now: Timestamp,
    /// In order of their names.
    pub peers: Vec<PeerStatus>,
    /// Why there are none, where there should be some.
    pub why_none: Option<String>,
}

/// One session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// The name that commands take.
    pub peer: String,
    /// Our Autonomous System.
    pub local_as: u32,
    /// Its own, as configured or as it has said; 0 where any will do and it has said none.
    pub peer_as: u32,
    /// What is configured in the place of a number.
    pub remote_as: Option<RemoteAsWord>,
    /// Where it is.
    pub address: String,
    /// Its TCP port.
    pub port: u16,
    /// Our end of the connection.
    pub local_address: Option<IpAddr>,
    /// `idle`, `connect`, `active`, `opensent`, `openconfirm` or `established`.
    pub state: String,
    /// When it came up or went down.
    pub since: Timestamp,
    /// One per address family.
    pub families: Vec<FamilyStatus>,
    /// Its BGP Identifier.
    pub identifier: Option<Ipv4Addr>,
    /// As negotiated.
    pub hold_time_seconds: Option<u16>,
    /// Routes that it has announced, in all sessions; all of them were ignored.
    pub received: u64,
    /// How long something has been waiting to be told.
    pub waiting_milliseconds: Option<u64>,
    /// What BFD says.
    pub bfd: Option<BfdWord>,
    /// No session is begun before BFD is up.
    #[serde(default)]
    pub waits_for_bfd: bool,
    /// Routes are announced with GRACEFUL_SHUTDOWN.
    pub draining: bool,
    /// Why the last session, or attempt at one, ended.
    pub last_error: Option<LastError>,
}

/// An address family of a session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FamilyStatus {
    /// `ipv4-unicast` or `ipv6-unicast`.
    pub family: String,
    /// Routes that the peer knows from us.
    pub announced: usize,
    /// Routes that it does not hear of, and why.
    pub omitted: Vec<Omission>,
}

/// Routes that a peer does not hear of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Omission {
    /// How many.
    pub routes: usize,
    /// Why.
    pub why: String,
}

/// Why a session ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// In words.
    pub why: String,
}

/// The answer to `GET /v1/routes`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Routes {
    /// Name of the node.
    pub node: String,
    /// When this answer was made.
    pub now: Timestamp,
    /// What each peer knows from us.
    pub routes: Vec<RouteStatus>,
    /// Addresses that a peer, or all of them, do not know from us, and why.
    pub absent: Vec<AbsentRoute>,
}

/// What a peer knows of a route.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// Where it leads.
    pub prefix: IpNet,
    /// Who knows it.
    pub peer: String,
    /// Where packets go.
    pub next_hop: IpAddr,
    /// AS_PATH.
    pub as_path: Vec<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_preference: Option<u32>,
    /// RFC 1997, as `65535:0`.
    pub communities: Vec<String>,
    /// RFC 8092, as `65000:1:2`.
    pub large_communities: Vec<String>,
    /// RFC 4360, in hexadecimal.
    pub extended_communities: Vec<String>,
    /// Since when, at the earliest.
    pub since: Timestamp,
    /// Who wants it.
    pub why: String,
}

/// An address that a peer does not know from us.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AbsentRoute {
    /// The address.
    pub prefix: IpNet,
    /// Who does not know it though it should; absent: nobody does or should.
    pub peer: Option<String>,
    /// Why.
    pub why: String,
}

/// A moment on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

impl Now {
    fn since(self, at: Instant) -> SystemTime {
        self.wall.checked_sub(self.instant.saturating_duration_since(at)).unwrap_or(self.wall)
    }
}

impl PeerFact {
    pub(super) fn status(&self, peer: &str, since: SystemTime, now: Now) -> PeerStatus {
        PeerStatus {
            peer: peer.to_owned(),
            local_as: self.local_as,
            peer_as: self.peer_as,
            remote_as: self.remote_as,
            address: self.at.clone(),
            port: self.port,
            local_address: self.local,
            state: self.state.to_string().to_lowercase(),
            since: self.established.map_or(since, |at| now.since(at)).into(),
            families: self.families.iter().map(|family| self.family(*family)).collect(),
            identifier: self.negotiated.map(|it| it.identifier),
            hold_time_seconds: self.negotiated.map(|it| it.hold_time),
            received: self.received.get(),
            waiting_milliseconds: self.lag(now.instant).map(millis),
            bfd: self.bfd,
            waits_for_bfd: self.waits_for_bfd,
            draining: self.draining,
            last_error: self
                .last_error
                .as_ref()
                .map(|(at, why)| LastError { at: (*at).into(), why: why.clone() }),
        }
    }

    /// How long something has been waiting to be told.
    pub(super) fn lag(&self, now: Instant) -> Option<Duration> {
        self.waiting.map(|since| now.saturating_duration_since(since))
    }

    pub(super) fn announced(&self, family: Family) -> usize {
        let of_family = |prefix: &&IpNet| family_of(prefix.addr()) == family;
        self.told.groups().map(|(_, prefixes)| prefixes.iter().filter(of_family).count()).sum()
    }

    pub(super) fn routes(&self, peer: &str, now: Now, vips: &BTreeMap<IpAddr, VipWord>) -> Vec<RouteStatus> {
        let established = self.established.map_or(now.wall, |at| now.since(at));
        let route = |attributes: &Attributes, prefix: &IpNet| {
            let vip = vips.get(&prefix.addr());
            RouteStatus {
                prefix: *prefix,
                peer: peer.to_owned(),
                next_hop: next_hop(attributes),
                as_path: attributes.as_path.iter().map(|asn| asn.0).collect(),
                med: attributes.med,
                local_preference: attributes.local_pref,
                communities: attributes.communities.iter().map(|it| community(*it)).collect(),
                large_communities: attributes.large_communities.iter().map(large_community).collect(),
                extended_communities: attributes.extended_communities.iter().map(hexadecimal).collect(),
                since: vip.map_or(established, |vip| vip.since.max(established)).into(),
                why: vip.map_or_else(|| "announced".into(), |vip| vip.scope.clone()),
            }
        };
        let groups = self.told.groups();
        groups.flat_map(|(said, prefixes)| prefixes.iter().map(move |prefix| route(said, prefix))).collect()
    }

    fn family(&self, family: Family) -> FamilyStatus {
        let omitted = self.told.omitted().iter().filter(|omitted| omitted.family == family);
        FamilyStatus {
            family: family_name(family),
            announced: self.announced(family),
            omitted: omitted
                .map(|omitted| Omission { routes: omitted.routes, why: omitted.why.to_string() })
                .collect(),
        }
    }
}

/// What the status board says of a VIP.
pub(super) struct VipWord {
    pub(super) scope: String,
    pub(super) since: SystemTime,
}

pub(super) fn family_name(family: Family) -> String {
    match (family.afi, family.safi) {
        (1, 1) => "ipv4-unicast".into(),
        (2, 1) => "ipv6-unicast".into(),
        (afi, safi) => format!("{afi}/{safi}"),
    }
}

fn next_hop(attributes: &Attributes) -> IpAddr {
    match attributes.next_hop {
        NextHop::V4(address) => address.into(),
        NextHop::V6 { address, .. } => address.into(),
    }
}

fn community(community: u32) -> String {
    format!("{}:{}", community >> 16, community & 0xffff)
}

fn large_community([administrator, one, two]: &[u32; 3]) -> String {
    format!("{administrator}:{one}:{two}")
}

fn hexadecimal(octets: &[u8; 8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
