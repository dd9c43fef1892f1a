//! What the speaker is told to do, and what another configuration changes about it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use vipcast_proto::bgp::adj_rib_out::{Policy, link_bandwidth};
use vipcast_proto::bgp::fsm::{Cease, Config, Negotiated, Peering};

/// The speaker.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Each under the name that operators know it by: its address.
    pub peers: BTreeMap<String, PeerSettings>,
    /// What is said of some addresses in another way than of the others, the more specific prefixes first.
    pub groups: Arc<Vec<(IpNet, Policy)>>,
    /// What peers are told with Cease (RFC 9003); `None`: why it stops, in our words.
    pub communication: Option<String>,
}

/// A peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerSettings {
    /// What the session is like.
    pub session: Config,
    /// What the peer has to say as its Autonomous System.
    pub remote_as: RemoteAs,
    /// How it is reached.
    pub reach: Reach,
    /// What it hears of all routes.
    pub policy: Policy,
    /// How much traffic this node takes of what several share, in octets a second (RFC 10005).
    pub link_bandwidth: Option<u64>,
    /// Where it shall send packets.
    pub next_hop: NextHop,
    /// Changes within this time after one become one.
    pub coalesce: Duration,
    /// Bidirectional Forwarding Detection beside it.
    pub bfd: Option<BfdSettings>,
}

/// What a peer has to say as its Autonomous System.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RemoteAs {
    /// The number in [`Config::peer_as`].
    Is,
    /// Any number but ours.
    External,
    /// Any number.
    Any,
}

/// How a peer is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reach {
    /// Where it is.
    pub at: At,
    /// Its TCP port.
    pub port: u16,
    /// Our end, where it is fixed.
    pub source: Option<IpAddr>,
    /// The only interface that the connection may use.
    pub interface: Option<String>,
    /// TTL or hop limit of what we send; `None`: the kernel's.
    pub ttl: Option<u8>,
    /// The least TTL or hop limit that is taken from it (RFC 5082); `None`: any.
    pub minimum_ttl: Option<u8>,
    /// How the connection proves itself.
    pub authentication: Option<Authentication>,
}

/// Where a peer is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum At {
    /// At this address.
    Address(IpAddr),
    /// At this link-local address on an interface.
    LinkLocal(Ipv6Addr, String),
    /// The router on the link of this interface, whatever its address.
    Unnumbered(String),
}

/// How the connection proves itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authentication {
    /// RFC 2385.
    Md5(Password),
    /// RFC 5925.
    Ao {
        /// The master key.
        password: Password,
        /// KeyID that we send.
        send_id: u8,
        /// KeyID that we expect.
        receive_id: u8,
        /// As the kernel calls it.
        algorithm: &'static str,
    },
}

/// Where a password is; read for each attempt to connect.
#[derive(Clone, Eq, PartialEq)]
pub enum Password {
    /// Here.
    Given(String),
    /// In a file, the end of its line apart.
    File(PathBuf),
    /// In a Kubernetes Secret: namespace, name and key.
    Kubernetes(String, String, String),
}

/// Where peers shall send packets, unless a group of addresses says otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NextHop {
    /// To the session's own address; for routes of the other family IPv4 over IPv6 (RFC 8950) where that was
    /// negotiated, else as [`Found`](Self::Found).
    #[default]
    Own,
    /// To an address of the route's family on the session's interface.
    Found,
    /// To these; a family without one as [`Own`](Self::Own).
    Fixed(Option<Ipv4Addr>, Option<Ipv6Addr>),
}

/// RFC 5880, asynchronous mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BfdSettings {
    /// Desired Min TX Interval.
    pub transmit: Duration,
    /// Required Min RX Interval.
    pub receive: Duration,
    /// Detect Mult.
    pub multiplier: NonZeroU8,
    /// RFC 5883.
    pub multihop: bool,
}

/// What becomes of a peer when the configuration changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It is new.
    Begin,
    /// It is not wanted any more.
    End,
    /// Its session has to be another.
    Replace,
    /// It hears something else of the routes, in the session that there is.
    Adjust,
}

impl Settings {
    /// Peers whose connections shall prove themselves by TCP-AO.
    pub fn signed_by_tcp_ao(&self) -> impl Iterator<Item = &str> {
        let signed =
            |peer: &PeerSettings| matches!(peer.reach.authentication, Some(Authentication::Ao { .. }));
        self.peers.iter().filter(move |(_, peer)| signed(peer)).map(|(name, _)| name.as_str())
    }

    /// What has to happen to which peer; peers that stay as they are do not notice.
    #[must_use]
    pub fn changes(&self, to: &Self) -> BTreeMap<String, Change> {
        let gone = self.peers.keys().filter(|name| !to.peers.contains_key(*name));
        let gone = gone.map(|name| (name.clone(), Change::End));
        let news = to.peers.iter().filter_map(|(name, peer)| {
            let change = match self.peers.get(name) {
                None => Change::Begin,
                Some(known) if known == peer => return None,
                Some(known) if known.is_same_session(peer) => Change::Adjust,
                Some(_) => Change::Replace,
            };
            Some((name.clone(), change))
        });
        gone.chain(news).collect()
    }
}

impl Change {
    /// What a peer is told whose session ends.
    pub(super) fn cease(self) -> Option<Cease> {
        match self {
            Self::End => Some(Cease::PeerDeConfigured),
            Self::Replace => Some(Cease::OtherConfigurationChange),
            Self::Begin | Self::Adjust => None,
        }
    }
}

impl PeerSettings {
    /// Namespace, name and key of its password, where that is in a Kubernetes Secret.
    #[must_use]
    pub fn secret(&self) -> Option<(String, String, String)> {
        match self.reach.authentication.as_ref()? {
            Authentication::Md5(Password::Kubernetes(namespace, name, key))
            | Authentication::Ao { password: Password::Kubernetes(namespace, name, key), .. } => {
                Some((namespace.clone(), name.clone(), key.clone()))
            }
            Authentication::Md5(Password::Given(_) | Password::File(_))
            | Authentication::Ao { password: Password::Given(_) | Password::File(_), .. } => None,
        }
    }

    fn is_same_session(&self, other: &Self) -> bool {
        let Self { session, remote_as, reach, policy: _, link_bandwidth: _, next_hop: _, coalesce: _, bfd } =
            self;
        (session, remote_as, reach, bfd) == (&other.session, &other.remote_as, &other.reach, &other.bfd)
    }

    /// What is said to the peer of a session of all routes.
    pub(super) fn policy_for(&self, negotiated: &Negotiated) -> Policy {
        let mut policy = self.policy.clone();
        if let NextHop::Fixed(v4, v6) = self.next_hop {
            policy.next_hop_v4 = policy.next_hop_v4.or(v4);
            policy.next_hop_v6 = policy.next_hop_v6.or(v6);
        }
        if let Some(rate) = self.link_bandwidth {
            policy.extended_communities.insert(self.bandwidth(rate, negotiated.peering));
        }
        policy
    }

    /// Transitive only where it has to leave our Autonomous System.
    fn bandwidth(&self, rate: u64, peering: Peering) -> [u8; 8] {
        #[expect(clippy::cast_precision_loss, reason = "the community has no more digits")]
        let mut community = link_bandwidth(self.session.local_as, rate as f32);
        if let ([kind, ..], Peering::Internal) = (&mut community, peering) {
            *kind |= NON_TRANSITIVE;
        }
        community
    }
}

impl Reach {
    /// Its address and port, where the address is fixed.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.at {
            At::Address(address) => Some(SocketAddr::new(*address, self.port)),
            At::LinkLocal(address, _) => Some(SocketAddr::new((*address).into(), self.port)),
            At::Unnumbered(_) => None,
        }
    }

    /// The interface whose link the peer is on, where that is fixed.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        match &self.at {
            At::Address(_) => None,
            At::LinkLocal(_, interface) | At::Unnumbered(interface) => Some(interface),
        }
    }

    /// The interface whose link the peer is on, or that is to be used.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        self.link().or(self.interface.as_deref())
    }
}

/// A password that is given is not shown.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(_) => f.write_str("***"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Kubernetes(namespace, name, key) => write!(f, "Secret {namespace}/{name}:{key}"),
        }
    }
}

/// The T bit (RFC 4360 §2).
const NON_TRANSITIVE: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn only_what_has_changed_moves() {
        let peer = fixture::peer(1790);
        let other_policy =
            PeerSettings { policy: Policy { med: Some(1), ..Policy::default() }, ..peer.clone() };
        let mut other_session = peer.clone();
        other_session.reach.ttl = Some(64);
        let settings = |peers: &[(&str, &PeerSettings)]| Settings {
            peers: peers.iter().map(|(name, peer)| ((*name).to_owned(), (*peer).clone())).collect(),
            ..Settings::default()
        };
        let before = settings(&[("same", &peer), ("gone", &peer), ("policy", &peer), ("session", &peer)]);
        let after = settings(&[
            ("same", &peer),
            ("new", &peer),
            ("policy", &other_policy),
            ("session", &other_session),
        ]);
        let expected = [
            ("gone", Change::End),
            ("new", Change::Begin),
            ("policy", Change::Adjust),
            ("session", Change::Replace),
        ];
        assert_eq!(before.changes(&after), expected.map(|(name, change)| (name.to_owned(), change)).into());
        assert_eq!(before.changes(&before), [].into());
    }

    #[test]
    fn a_password_is_not_shown() {
        let secret = Password::Kubernetes("kube-system".into(), "bgp".into(), "password".into());
        assert_eq!(
            format!("{:?} {secret:?}", Password::Given("hunter2".into())),
            "*** Secret kube-system/bgp:password"
        );
    }
}
