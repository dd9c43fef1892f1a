//! One interface of the kernel as a [`Segment`].

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vipcast_proto::l2::announcer::{Event, Link};
use vipcast_proto::l2::ethernet::{MacAddr, Sighting};

use super::layer2::Segment;
use crate::admin::metrics::Metrics;
use crate::change::publish;
use crate::net::netlink::{Change, Changes, Netlink};
use crate::net::socket::{FrameSocket, SolicitedNodeMembership};
use crate::net::{NetError, frames};

/// An interface that carries VIPs.
#[derive(Debug)]
pub struct Port {
    netlink: Netlink,
    changes: Changes,
    socket: FrameSocket,
    name: String,
    index: u32,
    mac: MacAddr,
    /// Each VIP with the prefix length that it gets.
    vips: BTreeMap<IpAddr, IpNet>,
    link: watch::Sender<Link>,
    /// Without them the interface does not hear who else asks for an IPv6 address that it lacks.
    memberships: BTreeMap<IpAddr, SolicitedNodeMembership>,
    pending: VecDeque<Event>,
    /// What is known of the interface is doubtful; outlives a cancelled look.
    doubtful: bool,
    _driver: JoinSet<()>,
}

/// Why an interface cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It is not there (any more).
    #[error("interface {0} does not exist")]
    Missing(String),
    /// It has no Ethernet address, so there is no ARP and no NDP.
    #[error("interface {0} has no Ethernet address")]
    NotEthernet(String),
    /// The kernel refuses something.
    #[error(transparent)]
    Net(#[from] NetError),
}

impl Port {
    /// Opens the interface `name` for `vips`; its carrier is published on `link`, malformed frames are
    /// counted in `metrics`.
    ///
    /// # Errors
    /// The interface is missing or unsuitable, or the kernel refuses a socket.
    pub async fn open(
        name: &str,
        vips: BTreeMap<IpAddr, IpNet>,
        link: watch::Sender<Link>,
        metrics: Metrics,
    ) -> Result<Self, PortError> {
        let (netlink, changes, driving) = Netlink::connect()?;
        let mut driver = JoinSet::new();
        driver.spawn(driving);
        let interfaces = netlink.interfaces().await?;
        let interface = interfaces
            .into_iter()
            .find(|interface| interface.name == name)
            .ok_or_else(|| PortError::Missing(name.to_owned()))?;
        let mac = interface.mac.ok_or_else(|| PortError::NotEthernet(name.to_owned()))?;
        let socket = FrameSocket::open(interface.index, mac)?.on_rejected(move || metrics.frame_rejected());
        let mut port = Self {
            netlink,
            changes,
            socket,
            name: interface.name,
            index: interface.index,
            mac,
            vips,
            link,
            memberships: BTreeMap::new(),
            pending: VecDeque::new(),
            doubtful: false,
            _driver: driver,
        };
        port.carrier(interface.up);
        Ok(port)
    }

    /// The interface's own Ethernet address.
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.mac
    }

    fn carrier(&mut self, up: bool) {
        let link = if up { Link::Up } else { Link::Down };
        publish(&self.link, link);
        self.pending.push_back(Event::Link(link));
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::Link { index, up } if index == self.index => self.carrier(up),
            Change::AddressGone { index, address } if index == self.index => {
                let ours = self.vips.contains_key(&address.addr());
                self.pending.extend(ours.then(|| Event::Gone(address.addr())));
            }
            // Whatever was lost: what is wanted is put there again, and said again.
            Change::Overrun => {
                self.pending.extend(self.vips.keys().copied().map(Event::Gone));
                self.doubtful = true;
            }
            // Another one may have taken the name of ours, which was deleted.
            Change::Link { .. } => self.doubtful |= *self.link.borrow() == Link::Down,
            Change::AddressGone { .. } => {}
        }
    }

    fn sighted(&mut self, sighting: Sighting) {
        if self.vips.contains_key(&sighting.address) {
            let Sighting { address: vip, from: by, kind } = sighting;
            self.pending.push_back(Event::Seen { vip, by, kind });
        }
    }

    /// The carrier may have changed, or the interface have been made anew.
    async fn look(&mut self) -> Result<(), NetError> {
        let interfaces = self.netlink.interfaces().await?;
        if interfaces.iter().any(|interface| interface.name == self.name && interface.index != self.index) {
            return Err(NetError::Replaced);
        }
        self.doubtful = false;
        let up = interfaces.iter().any(|interface| interface.index == self.index && interface.up);
        self.carrier(up);
        Ok(())
    }

    fn address(&self, vip: IpAddr) -> IpNet {
        self.vips.get(&vip).copied().unwrap_or_else(|| IpNet::from(vip))
    }
}

impl Segment for Port {
    async fn hold(&mut self, vip: IpAddr, lifetime: Duration) -> Result<(), NetError> {
        self.memberships.remove(&vip);
        self.netlink.hold(self.index, self.address(vip), lifetime).await
    }

    async fn drop(&mut self, vip: IpAddr) -> Result<(), NetError> {
        self.netlink.drop(self.index, self.address(vip)).await
    }

    async fn probe(&mut self, vip: IpAddr) -> Result<(), NetError> {
        if let IpAddr::V6(address) = vip
            && !self.memberships.contains_key(&vip)
        {
            self.memberships.insert(vip, SolicitedNodeMembership::join(self.index, address)?);
        }
        self.socket.send(&frames::probe(self.mac, vip)).await
    }

    async fn announce(&mut self, vip: IpAddr) -> Result<(), NetError> {
        for frame in frames::announcement(self.mac, vip) {
            self.socket.send(&frame).await?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Event, NetError> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            if self.doubtful {
                self.look().await?;
                continue;
            }
            tokio::select! {
                change = self.changes.next() => self.changed(change.ok_or(NetError::Closed)?),
                sighting = self.socket.receive() => self.sighted(sighting?),
            }
        }
    }
}
