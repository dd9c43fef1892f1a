//! What one end of a session is told, whoever it is: every router and the speaker get the same in their own words.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::IpNet;

/// One speaker.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) local_as: u32,
    pub(crate) router_id: Ipv4Addr,
    pub(crate) peers: Vec<Peer>,
    /// What it originates.
    pub(crate) routes: Vec<IpNet>,
    /// Whether it installs what it learns, several next hops where there are.
    pub(crate) installs: bool,
    /// For how long routes carry GRACEFUL_SHUTDOWN before they are withdrawn; the speaker's.
    pub(crate) drain_wait_ms: u32,
    /// Whether it announces only while it holds a Lease; the speaker's.
    pub(crate) election: Option<Election>,
}

/// Duration, renewal deadline and retry period are 5, 3 and 1 s.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    /// Under which name it takes part.
    pub(crate) node: String,
    pub(crate) kubeconfig: PathBuf,
}

/// A session of it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) local: IpAddr,
    pub(crate) address: IpAddr,
    /// It is whoever is on the link of this interface, not at the address.
    pub(crate) unnumbered: Option<&'static str>,
    pub(crate) remote_as: u32,
    /// It is waited for.
    pub(crate) passive: bool,
    pub(crate) families: BTreeSet<Family>,
    pub(crate) hold: u16,
    pub(crate) password: Option<String>,
    pub(crate) gtsm: bool,
    /// Links between.
    pub(crate) hops: Option<u8>,
    /// IPv4 routes with IPv6 next hops (RFC 8950).
    pub(crate) extended_next_hop: bool,
    pub(crate) restart: Restart,
    /// It does not know four octets.
    pub(crate) two_octets: bool,
    /// Interval in milliseconds, three may be lost.
    pub(crate) bfd: Option<u32>,
    /// COMMUNITIES, of the speaker's routes.
    pub(crate) communities: Vec<(u16, u16)>,
    pub(crate) med: Option<u32>,
}

/// RFC 4724.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Restart {
    No,
    /// Keeps what a peer that restarts has said.
    Helps,
    /// Asks the peer to.
    Restarts,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Setup {
    pub(crate) fn new(local_as: u32, router_id: [u8; 4], peers: Vec<Peer>) -> Self {
        Self {
            local_as,
            router_id: router_id.into(),
            peers,
            routes: Vec::new(),
            installs: false,
            drain_wait_ms: 0,
            election: None,
        }
    }

    /// Its peers, of which there is one.
    pub(crate) fn peer(&mut self) -> &mut Peer {
        self.peers.first_mut().unwrap()
    }
}

impl Peer {
    /// With nothing out of the ordinary, and both families.
    pub(crate) fn new(local: IpAddr, address: IpAddr, remote_as: u32) -> Self {
        Self {
            local,
            address,
            unnumbered: None,
            remote_as,
            passive: false,
            families: [Family::V4, Family::V6].into(),
            hold: 9,
            password: None,
            gtsm: false,
            hops: None,
            extended_next_hop: false,
            restart: Restart::No,
            two_octets: false,
            bfd: None,
            communities: Vec::new(),
            med: None,
        }
    }

    /// As a router names it.
    pub(crate) fn name(&self) -> String {
        self.unnumbered.map_or_else(|| self.address.to_string(), ToOwned::to_owned)
    }

    pub(crate) fn has(&self, family: Family) -> bool {
        self.families.contains(&family)
    }
}

impl Family {
    pub(crate) fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }

    /// `ipv4`, as everybody writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}
