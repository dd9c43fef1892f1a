//! From the configuration to what the speaker is told.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vipcast_proto::bgp::adj_rib_out::Policy;
use vipcast_proto::bgp::fsm::{self, ConnectRetry, Restart, SendHold};
use vipcast_proto::bgp::types::{Asn, Family};

use crate::announce::bgp::settings::Password;
use crate::announce::bgp::settings::{
    At, Authentication, BfdSettings, NextHop, PeerSettings, Reach, RemoteAs, Settings,
};
use crate::config::bgp::{
    self, AddressGroup, Attributes, Bgp, Distance, Peer, PeerAt, Source, TcpAoAlgorithm,
};
use crate::config::{self, Secret};

/// What the speaker is told by this configuration; `router_id` is what it has come to on this node.
pub(super) fn settings(bgp: &Bgp, router_id: Ipv4Addr) -> Settings {
    let peers = bgp.peers.iter().map(|peer| (name(peer), self::peer(bgp, peer, router_id)));
    Settings {
        peers: peers.collect(),
        groups: bgp
            .address_groups
            .iter()
            .map(|one| (one.prefix, group(bgp.local_as, one)))
            .collect::<Vec<_>>()
            .into(),
        communication: bgp.drain.communication.clone(),
    }
}

/// As operators know it: the address, and the port where it is an unusual one.
fn name(peer: &Peer) -> String {
    let at = peer.at.to_string();
    match (peer.port.get(), peer.at.address()) {
        (PORT, _) => at,
        (port, Some(IpAddr::V6(_))) => format!("[{at}]:{port}"),
        (port, _) => format!("{at}:{port}"),
    }
}

fn peer(bgp: &Bgp, peer: &Peer, identifier: Ipv4Addr) -> PeerSettings {
    let (remote_as, peer_as) = match peer.remote_as {
        bgp::RemoteAs::Is(asn) => (RemoteAs::Is, asn),
        bgp::RemoteAs::External => (RemoteAs::External, Asn(0)),
        bgp::RemoteAs::Any => (RemoteAs::Any, Asn(0)),
    };
    PeerSettings {
        session: session(bgp, peer, identifier, peer_as),
        remote_as,
        reach: reach(peer),
        policy: policy(&peer.attributes),
        link_bandwidth: peer.attributes.link_bandwidth.map(|rate| rate.bits_per_second / 8),
        next_hop: match peer.next_hop {
            bgp::NextHop::Own => NextHop::Own,
            bgp::NextHop::Found => NextHop::Found,
            bgp::NextHop::Fixed { ipv4, ipv6 } => NextHop::Fixed(ipv4, ipv6),
        },
        coalesce: bgp.coalesce,
        bfd: peer.bfd.map(|bfd| BfdSettings {
            transmit: bfd.transmit_interval,
            receive: bfd.receive_interval,
            multiplier: bfd.multiplier,
            multihop: bfd.multihop,
        }),
    }
}

fn session(bgp: &Bgp, peer: &Peer, identifier: Ipv4Addr, peer_as: Asn) -> fsm::Config {
    let over_ipv6 = !matches!(peer.at, PeerAt::Address(IpAddr::V4(_)));
    fsm::Config {
        local_as: bgp.local_as,
        peer_as,
        identifier,
        hold_time: peer.hold_time,
        keepalive: peer.keepalive,
        families: peer.families.clone(),
        extended_next_hop: over_ipv6 && peer.families.contains(&Family::IPV4_UNICAST),
        graceful_restart: peer
            .graceful_restart
            .map(|restart| Restart { time: restart.restart_time, forwarding_preserved: true }),
        connect_retry: ConnectRetry { cap: peer.connect_retry.max(FIRST_RETRY), ..ConnectRetry::default() },
        send_hold: peer.send_hold.map_or(SendHold::Default, SendHold::Fixed),
        bfd: match peer.bfd {
            None => fsm::Bfd::Ignored,
            Some(bfd) if bfd.strict => fsm::Bfd::Strict,
            Some(_) => fsm::Bfd::Followed,
        },
    }
}

fn reach(peer: &Peer) -> Reach {
    let (source, interface) = match &peer.source {
        Source::Found => (None, None),
        Source::Address(address) => (Some(*address), None),
        Source::Interface(interface) => (None, Some(interface.clone())),
    };
    let distance: Distance = peer.distance;
    Reach {
        at: match &peer.at {
            PeerAt::Address(address) => At::Address(*address),
            PeerAt::LinkLocal { address, interface } => At::LinkLocal(*address, interface.clone()),
            PeerAt::Unnumbered { interface } => At::Unnumbered(interface.clone()),
        },
        port: peer.port.get(),
        source,
        interface,
        ttl: distance.ttl(),
        minimum_ttl: distance.minimum_ttl(),
        authentication: peer.authentication.as_ref().map(authentication),
    }
}

fn authentication(authentication: &bgp::Authentication) -> Authentication {
    match authentication {
        bgp::Authentication::Md5(password) => Authentication::Md5(self::password(password)),
        bgp::Authentication::TcpAo { password, send_id, receive_id, algorithm } => Authentication::Ao {
            password: self::password(password),
            send_id: *send_id,
            receive_id: *receive_id,
            algorithm: match algorithm {
                TcpAoAlgorithm::HmacSha1 => "hmac(sha1)",
                TcpAoAlgorithm::AesCmac => "cmac(aes128)",
                TcpAoAlgorithm::HmacSha256 => "hmac(sha256)",
            },
        },
    }
}

fn password(password: &config::Password) -> Password {
    match password {
        config::Password::Given(secret) => Password::Given(Secret::expose(secret).to_owned()),
        config::Password::File(path) => Password::File(path.clone()),
        config::Password::Kubernetes(at) => {
            Password::Kubernetes(at.namespace.clone(), at.name.clone(), at.key.clone())
        }
    }
}

/// What is said of all routes; the link bandwidth depends on the session, too.
fn policy(attributes: &Attributes) -> Policy {
    Policy {
        next_hop_v4: None,
        next_hop_v6: None,
        prepend: attributes.prepend.unwrap_or(0),
        med: attributes.med,
        local_pref: attributes.local_preference,
        communities: attributes.communities.clone(),
        extended_communities: attributes.extended_communities.clone(),
        large_communities: attributes.large_communities.clone(),
    }
}

fn group(local_as: Asn, group: &AddressGroup) -> Policy {
    let mut policy = policy(&group.attributes);
    // One list serves sessions of both kinds; the receiver looks at either (RFC 10005).
    policy
        .extended_communities
        .extend(group.attributes.link_bandwidth.map(|rate| rate.community(local_as, false)));
    if let Some(bgp::NextHop::Fixed { ipv4, ipv6 }) = group.next_hop {
        (policy.next_hop_v4, policy.next_hop_v6) = (ipv4, ipv6);
    }
    policy
}

/// BGP's (RFC 4271 §4.2).
const PORT: u16 = 179;
/// The first wait is a second.
const FIRST_RETRY: Duration = Duration::from_secs(1);
