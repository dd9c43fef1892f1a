//! The BGP speaker's configuration: whole, validated, and with everything that was said once for all peers spread to each.

mod annotations;
mod attributes;
mod options;
mod router_id;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use vipcast_proto::bgp::types::{Asn, Family, HoldTime};

use super::secret::Password;
pub use annotations::{NodeAnnotations, NodeBgp};
pub use attributes::{AddressGroup, Attributes, LinkBandwidth};
pub(super) use options::{BfdOptions, GracefulRestartOptions, Multihop, PeerOptions, Said, SaidPeer};
pub use router_id::{RouterId, stable_router_id};

/// The BGP speaker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bgp {
    /// Our Autonomous System.
    pub local_as: Asn,
    /// Our BGP Identifier.
    pub router_id: RouterId,
    /// The routers, no two at the same address and port. Empty only where [`node_annotations`](Self::node_annotations)
    /// are asked for, see [`with_node`](Self::with_node).
    pub peers: Vec<Peer>,
    /// What is said of some VIPs in another way than of the others, the more specific prefixes first.
    pub address_groups: Vec<AddressGroup>,
    /// Annotations of this Node that say more, or other things; followed while they change.
    pub node_annotations: Option<NodeAnnotations>,
    /// How it ends.
    pub drain: Drain,
    /// Changes within this time become one: from the first change on, never extended. Zero: none is waited for.
    pub coalesce: Duration,
    /// From what the peers follow, and those that are found later.
    pub(super) said: Said,
}

/// A router.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Where it is.
    pub at: PeerAt,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// Its Autonomous System.
    pub remote_as: RemoteAs,
    /// How the connection proves itself; `None`: not at all.
    pub authentication: Option<Authentication>,
    /// From where it is dialled.
    pub source: Source,
    /// How far away it is.
    pub distance: Distance,
    /// Hold Time that is offered. Zero: the session is only ended by BFD or by TCP.
    pub hold_time: HoldTime,
    /// Between two KEEPALIVEs; `None`: a third of the negotiated hold time. Whole seconds.
    pub keepalive: Option<Duration>,
    /// Longest wait before it is dialled again: the first time at once, then after a second, doubled each time up to this.
    pub connect_retry: Duration,
    /// How long it may refuse to read (RFC 9687 SendHoldTime, longer than the hold time); `None`: twice the negotiated
    /// hold time, and at least eight minutes.
    pub send_hold: Option<Duration>,
    /// Families that are offered to it and announced to it. Never empty.
    pub families: BTreeSet<Family>,
    /// The Bidirectional Forwarding Detection that runs beside it; `None`: none.
    pub bfd: Option<Bfd>,
    /// That it shall keep our routes while the daemon restarts; `None`: it shall not.
    pub graceful_restart: Option<GracefulRestart>,
    /// Where it shall send packets, unless an address group says otherwise.
    pub next_hop: NextHop,
    /// What it is told of VIPs; address groups say more, see [`Bgp::attributes`].
    pub attributes: Attributes,
}

/// Where a router is.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PeerAt {
    /// At this address; never a link-local one.
    Address(IpAddr),
    /// At this link-local address on the link of an interface.
    LinkLocal {
        /// In fe80::/10.
        address: Ipv6Addr,
        /// By name.
        interface: String,
    },
    /// The only router on the link of an interface, found by its advertisements (RFC 4861).
    Unnumbered {
        /// By name.
        interface: String,
    },
}

/// What a router has to say as its Autonomous System.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RemoteAs {
    /// This number.
    Is(Asn),
    /// Any number but ours.
    External,
    /// Any number.
    Any,
}

/// How a TCP connection proves itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authentication {
    /// RFC 2385.
    Md5(Password),
    /// RFC 5925. One key: exchanging keys needs another.
    TcpAo {
        /// The master key.
        password: Password,
        /// KeyID that we send.
        send_id: u8,
        /// KeyID that we expect.
        receive_id: u8,
        /// RFC 5926, or what Linux has beyond it.
        algorithm: TcpAoAlgorithm,
    },
}

/// By what TCP-AO signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TcpAoAlgorithm {
    /// HMAC-SHA-1-96 (RFC 5926 §3.1).
    HmacSha1,
    /// AES-128-CMAC-96 (RFC 5926 §3.1).
    AesCmac,
    /// HMAC-SHA-256-96, which Linux and several routers have.
    HmacSha256,
}

/// From where a router is dialled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// The kernel chooses, by the route to it.
    Found,
    /// From this address, of the family of the router's.
    Address(IpAddr),
    /// Out of this interface, with an address of its own.
    Interface(String),
}

/// How far away a router is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Distance {
    /// At most so many links; `None`: as far as the kernel's TTL reaches, as between speakers of one AS.
    pub hops: Option<NonZeroU8>,
    /// The Generalized TTL Security Mechanism (RFC 5082).
    pub gtsm: bool,
}

/// Asynchronous mode of RFC 5880.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bfd {
    /// Desired Min TX Interval, in whole milliseconds.
    pub transmit_interval: Duration,
    /// Required Min RX Interval, in whole milliseconds.
    pub receive_interval: Duration,
    /// Detect Mult.
    pub multiplier: NonZeroU8,
    /// RFC 5883, to port 4784; else RFC 5881, to port 3784.
    pub multihop: bool,
    /// BGP waits until BFD is up.
    pub strict: bool,
}

/// RFC 4724, as the speaker that restarts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GracefulRestart {
    /// Restart Time in seconds: 1 to 4095.
    pub restart_time: u16,
}

/// Where a router shall send packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextHop {
    /// The session's own address. For routes of the other family: an IPv4 route over IPv6 by RFC 8950 where the router
    /// takes that; else as [`Found`](Self::Found).
    Own,
    /// An address of the route's family on the interface that the session uses.
    Found,
    /// This one; a family without one as [`Own`](Self::Own).
    Fixed {
        /// Of IPv4 routes.
        ipv4: Option<Ipv4Addr>,
        /// Of IPv6 routes.
        ipv6: Option<Ipv6Addr>,
    },
}

/// How sessions end in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drain {
    /// Between GRACEFUL_SHUTDOWN (RFC 8326) and the withdrawal. Zero: withdrawn at once, without it.
    pub wait: Duration,
    /// Also while the node is cordoned and others of the control plane are ready.
    pub cordoned: bool,
    /// What routers are told with Cease (RFC 9003), at most 128 octets; `None`: why it stops, in our words.
    pub communication: Option<String>,
}

impl Bgp {
    /// Where passwords are: those of the peers, and that of peers which annotations may bring.
    pub fn passwords(&self) -> impl Iterator<Item = &Password> {
        let all = self.peers.iter().filter_map(|peer| peer.authentication.as_ref());
        all.chain(self.said.of_all.authentication.as_ref()).map(Authentication::password)
    }

    /// What a router is told of a VIP: what it is told of all, and what the most specific group that contains the VIP
    /// says. Communities of both are sent; of everything else the group's counts.
    #[must_use]
    pub fn attributes(&self, peer: &Peer, vip: IpAddr) -> Attributes {
        let mut attributes = peer.attributes.clone();
        if let Some(group) = self.group(vip) {
            attributes.add(&group.attributes);
        }
        attributes
    }

    /// Where a router shall send the packets of a VIP.
    #[must_use]
    pub fn next_hop(&self, peer: &Peer, vip: IpAddr) -> NextHop {
        self.group(vip).and_then(|group| group.next_hop).unwrap_or(peer.next_hop)
    }

    /// The most specific group that contains a VIP.
    fn group(&self, vip: IpAddr) -> Option<&AddressGroup> {
        self.address_groups.iter().find(|group| group.prefix.contains(&vip))
    }
}

impl Authentication {
    /// Where its password is.
    #[must_use]
    pub fn password(&self) -> &Password {
        match self {
            Self::Md5(password) | Self::TcpAo { password, .. } => password,
        }
    }
}

impl Distance {
    /// TTL or hop limit of what we send. `None`: the kernel's.
    #[must_use]
    pub fn ttl(self) -> Option<u8> {
        if self.gtsm { Some(u8::MAX) } else { self.hops.map(NonZeroU8::get) }
    }

    /// The least TTL or hop limit that is taken from it (RFC 5082 §3), for `IP_MINTTL` and `IPV6_MINHOPCOUNT`.
    #[must_use]
    pub fn minimum_ttl(self) -> Option<u8> {
        let hops = self.hops.map_or(1, NonZeroU8::get);
        self.gtsm.then(|| u8::MAX - (hops - 1))
    }
}

impl RemoteAs {
    /// Whether a number is what it has to say.
    #[must_use]
    pub fn permits(self, local: Asn, said: Asn) -> bool {
        match self {
            Self::Is(asn) => said == asn,
            Self::External => said != local,
            Self::Any => true,
        }
    }

    /// Whether sessions to it are internal (iBGP), where that is known before it has spoken.
    #[must_use]
    pub fn is_internal(self, local: Asn) -> Option<bool> {
        match self {
            Self::Is(asn) => Some(asn == local),
            Self::External => Some(false),
            Self::Any => None,
        }
    }
}

impl PeerAt {
    /// The interface whose link it is on, where that is fixed.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Address(_) => None,
            Self::LinkLocal { interface, .. } | Self::Unnumbered { interface } => Some(interface),
        }
    }

    /// Its address, where that is known before its router advertisement.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::LinkLocal { address, .. } => Some((*address).into()),
            Self::Unnumbered { .. } => None,
        }
    }
}

/// `192.0.2.1`, `fe80::1%eth0`, `unnumbered:eth0`: as it may be written in a configuration.
impl fmt::Display for PeerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::LinkLocal { address, interface } => write!(f, "{address}%{interface}"),
            Self::Unnumbered { interface } => write!(f, "unnumbered:{interface}"),
        }
    }
}

impl fmt::Display for RemoteAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(asn) => asn.fmt(f),
            Self::External => f.write_str("external"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// BGP's (RFC 4271 §4.2).
pub(super) const PORT: NonZeroU16 = match NonZeroU16::new(179) {
    Some(port) => port,
    None => NonZeroU16::MIN,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_says_which_ttl_is_sent_and_which_is_taken() {
        let distance = |hops, gtsm| Distance { hops: NonZeroU8::new(hops), gtsm };
        let ttls = |distance: Distance| (distance.ttl(), distance.minimum_ttl());
        assert_eq!(ttls(distance(1, false)), (Some(1), None));
        assert_eq!(ttls(distance(0, false)), (None, None));
        assert_eq!(ttls(distance(50, false)), (Some(50), None));
        assert_eq!(ttls(distance(1, true)), (Some(255), Some(255)));
        assert_eq!(ttls(distance(0, true)), (Some(255), Some(255)));
        assert_eq!(ttls(distance(3, true)), (Some(255), Some(253)));
        assert_eq!(ttls(distance(255, true)), (Some(255), Some(1)));
    }

    #[test]
    fn an_autonomous_system_is_known_or_has_to_be_another_or_may_be_any() {
        let (ours, other) = (Asn(65000), Asn(65001));
        let is = |remote: RemoteAs| {
            (remote.permits(ours, ours), remote.permits(ours, other), remote.is_internal(ours))
        };
        assert_eq!(is(RemoteAs::Is(ours)), (true, false, Some(true)));
        assert_eq!(is(RemoteAs::Is(other)), (false, true, Some(false)));
        assert_eq!(is(RemoteAs::External), (false, true, Some(false)));
        assert_eq!(is(RemoteAs::Any), (true, true, None));
    }
}
