//! What can be said of a session, for all peers and for one, before the two are put together.

use std::collections::BTreeSet;
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use std::time::Duration;

use vipcast_proto::bgp::types::{Asn, Family, HoldTime};

use super::{
    Attributes, Authentication, Bfd, Distance, GracefulRestart, NextHop, Peer, PeerAt, RemoteAs, Source,
};

/// What was said of a session; `None`: nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct PeerOptions {
    pub(in crate::config) authentication: Option<Authentication>,
    pub(in crate::config) source: Option<Source>,
    pub(in crate::config) multihop: Option<Multihop>,
    pub(in crate::config) gtsm: Option<bool>,
    pub(in crate::config) hold_time: Option<HoldTime>,
    pub(in crate::config) keepalive: Option<Duration>,
    pub(in crate::config) connect_retry: Option<Duration>,
    pub(in crate::config) send_hold: Option<Duration>,
    pub(in crate::config) families: Option<BTreeSet<Family>>,
    pub(in crate::config) bfd: BfdOptions,
    pub(in crate::config) graceful_restart: GracefulRestartOptions,
    pub(in crate::config) next_hop: Option<NextHop>,
    pub(in crate::config) attributes: Attributes,
}

/// What was said of all peers and of each, from which they follow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct Said {
    pub(in crate::config) of_all: PeerOptions,
    pub(in crate::config) peers: Vec<SaidPeer>,
}

/// A router, and what was said of it alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::config) struct SaidPeer {
    pub(in crate::config) at: PeerAt,
    pub(in crate::config) port: NonZeroU16,
    pub(in crate::config) remote_as: RemoteAs,
    pub(in crate::config) own: PeerOptions,
}

/// Whether there may be other routers between us and a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum Multihop {
    No,
    /// At most so many links: at least two.
    Hops(NonZeroU8),
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct BfdOptions {
    pub(in crate::config) enabled: Option<bool>,
    pub(in crate::config) transmit_interval: Option<Duration>,
    pub(in crate::config) receive_interval: Option<Duration>,
    pub(in crate::config) multiplier: Option<NonZeroU32>,
    pub(in crate::config) multihop: Option<bool>,
    pub(in crate::config) strict: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct GracefulRestartOptions {
    pub(in crate::config) enabled: Option<bool>,
    pub(in crate::config) restart_time: Option<Duration>,
}

impl Said {
    /// The peers of a speaker of this Autonomous System.
    pub(in crate::config) fn peers(&self, local_as: Asn) -> Vec<Peer> {
        self.peers.iter().filter_map(|peer| peer.peer(local_as, &self.of_all)).collect()
    }
}

impl SaidPeer {
    /// The session with it; `None` where something was said neither of it nor of all, which has a default.
    pub(in crate::config) fn peer(&self, local_as: Asn, of_all: &PeerOptions) -> Option<Peer> {
        let options = self.own.clone().or(of_all);
        let peer = options.peer(local_as, self.at.clone(), self.remote_as)?;
        Some(Peer { port: self.port, ..peer })
    }
}

impl PeerOptions {
    /// What is said of one peer, and where that is silent what is said of all.
    fn or(self, all: &Self) -> Self {
        // A keepalive that goes with one hold time need not go with another.
        let keepalive = if self.hold_time.is_some() { None } else { all.keepalive };
        let mut attributes = all.attributes.clone();
        attributes.add(&self.attributes);
        Self {
            authentication: self.authentication.or_else(|| all.authentication.clone()),
            source: self.source.or_else(|| all.source.clone()),
            multihop: self.multihop.or(all.multihop),
            gtsm: self.gtsm.or(all.gtsm),
            hold_time: self.hold_time.or(all.hold_time),
            keepalive: self.keepalive.or(keepalive),
            connect_retry: self.connect_retry.or(all.connect_retry),
            send_hold: self.send_hold.or(all.send_hold),
            families: self.families.or_else(|| all.families.clone()),
            bfd: self.bfd.or(all.bfd),
            graceful_restart: self.graceful_restart.or(all.graceful_restart),
            next_hop: self.next_hop.or(all.next_hop),
            attributes,
        }
    }

    fn peer(self, local_as: Asn, at: PeerAt, remote_as: RemoteAs) -> Option<Peer> {
        let source = self.source(&at);
        let families = self.families.unwrap_or_else(|| families(&at, self.next_hop));
        let distance = distance(&at, self.multihop, self.gtsm, remote_as.is_internal(local_as));
        let many = distance.hops.is_some_and(|hops| hops.get() > 1);
        Some(Peer {
            source,
            port: super::PORT,
            remote_as,
            authentication: self.authentication,
            distance,
            hold_time: self.hold_time?,
            keepalive: self.keepalive,
            connect_retry: self.connect_retry?,
            send_hold: self.send_hold,
            families,
            bfd: if self.bfd.enabled? { Some(self.bfd.bfd(many)?) } else { None },
            graceful_restart: self.graceful_restart.graceful_restart()?,
            next_hop: self.next_hop?,
            attributes: self.attributes,
            at,
        })
    }

    /// An address of the other family, which is meant for the other peers, is left to those.
    fn source(&self, at: &PeerAt) -> Source {
        match (&self.source, at) {
            (_, PeerAt::LinkLocal { .. } | PeerAt::Unnumbered { .. }) | (None, _) => Source::Found,
            (Some(Source::Address(source)), PeerAt::Address(peer)) if source.is_ipv4() != peer.is_ipv4() => {
                Source::Found
            }
            (Some(source), PeerAt::Address(_)) => source.clone(),
        }
    }
}

impl BfdOptions {
    fn or(self, all: Self) -> Self {
        Self {
            enabled: self.enabled.or(all.enabled),
            transmit_interval: self.transmit_interval.or(all.transmit_interval),
            receive_interval: self.receive_interval.or(all.receive_interval),
            multiplier: self.multiplier.or(all.multiplier),
            multihop: self.multihop.or(all.multihop),
            strict: self.strict.or(all.strict),
        }
    }

    fn bfd(self, many_hops: bool) -> Option<Bfd> {
        Some(Bfd {
            transmit_interval: self.transmit_interval?,
            receive_interval: self.receive_interval?,
            multiplier: NonZeroU8::try_from(self.multiplier?).ok()?,
            multihop: self.multihop.unwrap_or(many_hops),
            strict: self.strict?,
        })
    }
}

impl GracefulRestartOptions {
    fn or(self, all: Self) -> Self {
        Self { enabled: self.enabled.or(all.enabled), restart_time: self.restart_time.or(all.restart_time) }
    }

    fn graceful_restart(self) -> Option<Option<GracefulRestart>> {
        let restart_time = u16::try_from(self.restart_time?.as_secs()).ok()?;
        Some(self.enabled?.then_some(GracefulRestart { restart_time }))
    }
}

/// As kube-vip: the session's own family, and both where it is said what the other's next hop is. A session over
/// link-local addresses has no family of its own.
fn families(at: &PeerAt, next_hop: Option<NextHop>) -> BTreeSet<Family> {
    let both = [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into();
    match (at, next_hop) {
        (PeerAt::LinkLocal { .. } | PeerAt::Unnumbered { .. }, _)
        | (_, Some(NextHop::Found | NextHop::Fixed { .. })) => both,
        (PeerAt::Address(address), Some(NextHop::Own) | None) => {
            [vipcast_proto::bgp::types::family_of(*address)].into()
        }
    }
}

/// One link to routers of other Autonomous Systems, any number within ours, unless something is said.
fn distance(at: &PeerAt, multihop: Option<Multihop>, gtsm: Option<bool>, internal: Option<bool>) -> Distance {
    let gtsm = gtsm.unwrap_or(false);
    let one = Some(NonZeroU8::MIN);
    let hops = match (at, multihop) {
        (PeerAt::LinkLocal { .. } | PeerAt::Unnumbered { .. }, _) => one,
        (PeerAt::Address(_), Some(Multihop::Hops(hops))) => Some(hops),
        (PeerAt::Address(_), Some(Multihop::No) | None) if internal == Some(true) && !gtsm => None,
        (PeerAt::Address(_), Some(Multihop::No) | None) => one,
    };
    Distance { hops, gtsm }
}
