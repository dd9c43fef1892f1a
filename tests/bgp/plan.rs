//! The two ends of a session before they are started: the speaker at one end of a cable, a router at the other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::route::Route;
use super::setup::{Family, Peer, Restart, Setup};

/// What both ends are told.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) speaker: Setup,
    pub(crate) router: Setup,
    /// There is a third machine between them.
    pub(crate) routed: bool,
}

impl Plan {
    /// An external session over IPv4 with both families; the router waits.
    pub(crate) fn new() -> Self {
        let mut router = Setup::new(ROUTER_AS, [10, 88, 0, 1], vec![Peer::new(v4(1), v4(2), SPEAKER_AS)]);
        router.peer().passive = true;
        let mut speaker = Setup::new(SPEAKER_AS, [10, 88, 0, 2], vec![Peer::new(v4(2), v4(1), ROUTER_AS)]);
        speaker.routes = VIPS.map(|vip| vip.parse().unwrap()).into();
        Self { speaker, router, routed: false }
    }

    /// Says it to both ends.
    pub(crate) fn both(mut self, say: impl Fn(&mut Peer)) -> Self {
        say(self.speaker.peer());
        say(self.router.peer());
        self
    }

    pub(crate) fn over_ipv6(mut self) -> Self {
        (self.speaker.peer().local, self.speaker.peer().address) = (v6(2), v6(1));
        (self.router.peer().local, self.router.peer().address) = (v6(1), v6(2));
        self
    }

    /// Nobody knows the other's address.
    pub(crate) fn unnumbered(self) -> Self {
        self.both(|peer| (peer.unnumbered, peer.extended_next_hop) = (Some("eth0"), true))
    }

    pub(crate) fn only(self, family: Family) -> Self {
        self.both(|peer| peer.families = [family].into())
    }

    pub(crate) fn systems(mut self, speaker: u32, router: u32) -> Self {
        (self.speaker.local_as, self.router.local_as) = (speaker, router);
        (self.speaker.peer().remote_as, self.router.peer().remote_as) = (router, speaker);
        self
    }

    pub(crate) fn password(self, password: &str) -> Self {
        self.both(|peer| peer.password = Some(password.to_owned()))
    }

    pub(crate) fn hold(self, hold: u16) -> Self {
        self.both(|peer| peer.hold = hold)
    }

    pub(crate) fn bfd(self, interval: u32) -> Self {
        self.both(|peer| peer.bfd = Some(interval))
    }

    /// The speaker asks the router to keep its routes.
    pub(crate) fn graceful_restart(mut self) -> Self {
        self.speaker.peer().restart = Restart::Restarts;
        self.router.peer().restart = Restart::Helps;
        self
    }

    /// Two links, with a router between that speaks no BGP.
    pub(crate) fn routed(mut self) -> Self {
        self.routed = true;
        (self.router.peer().local, self.speaker.peer().address) =
            (FAR.parse().unwrap(), FAR.parse().unwrap());
        self.both(|peer| peer.hops = Some(3)).only(Family::V4)
    }

    /// What the router knows once everything is well.
    pub(crate) fn expected(&self) -> BTreeSet<Route> {
        self.vips(&VIPS)
    }

    /// The same, of other VIPs.
    pub(crate) fn vips(&self, vips: &[&str]) -> BTreeSet<Route> {
        let peer = self.speaker.peers.first().unwrap();
        let internal = self.speaker.local_as == self.router.local_as;
        let path: &[u32] = if internal { &[] } else { &[self.speaker.local_as] };
        let families = vips.iter().map(|vip| (vip, Family::of(&vip.parse().unwrap())));
        let routes = families.filter(|(_, family)| peer.has(*family)).map(|(vip, family)| {
            let hop = match family {
                Family::V4 if !peer.extended_next_hop => v4(2),
                Family::V4 | Family::V6 => v6(2),
            };
            let communities = peer.communities.iter().copied().collect();
            Route { communities, med: peer.med, ..Route::new(vip, &hop.to_string(), path) }
        });
        routes.collect()
    }
}

pub(crate) fn v4(number: u8) -> IpAddr {
    IpAddr::from([10, 88, 0, number])
}

pub(crate) fn v6(number: u16) -> IpAddr {
    IpAddr::from([0xfd00, 0x88, 0, 0, 0, 0, 0, number])
}

pub(crate) const VIPS: [&str; 2] = ["192.0.2.1/32", "2001:db8::1/128"];
pub(crate) const SPEAKER_AS: u32 = 65002;
pub(crate) const ROUTER_AS: u32 = 65001;
/// The router's address where it is two links away.
pub(crate) const FAR: &str = "10.89.0.1";
