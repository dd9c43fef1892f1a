//! Addresses on the loopback interface, so that this node takes what routers send to them; they die by themselves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::warn;
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::l2::announcer::{Announcer, Config, Event, Link};

use crate::announce::layer2::{self, End, Segment};
use crate::announce::report::{Announcing, Reporter};
use crate::change::Told;
use crate::clock;
use crate::net::NetError;
use crate::net::netlink::{Change, Changes, Netlink};
use crate::witness::Witness;

/// What connects it with the speaker.
#[derive(Debug)]
pub struct Wires {
    /// What shall be there.
    pub desired: watch::Receiver<Desired>,
    /// What is there.
    pub reports: mpsc::Sender<(String, Report)>,
    /// The kernel refused an address lately.
    pub refused: watch::Sender<bool>,
}

/// Runs until the speaker is gone. `lifetime` is the longest that the kernel keeps an address by itself.
pub async fn run(vips: BTreeSet<IpAddr>, lifetime: Duration, wires: Wires, witness: Witness) {
    let config = Config { lifetime, refresh: Duration::from_secs(3600), wire_check: None };
    let mut announcer = Announcer::new(config, fastrand::u64(..));
    let vips: BTreeMap<IpAddr, IpNet> = vips.into_iter().map(|vip| (vip, IpNet::from(vip))).collect();
    let Wires { desired, reports, refused } = wires;
    let ours = vips.keys().copied().collect();
    let mut reporter = Reporter::new(INTERFACE.to_owned(), vips, witness).announcing(Announcing::Routes);
    let mut wires = layer2::Wires { name: INTERFACE.to_owned(), vips: ours, desired, reports, refused };
    let mut told = Told::default();
    loop {
        let error = match Loopback::open().await {
            Ok(loopback) => {
                match layer2::run(&mut announcer, lifetime, loopback, &mut wires, &mut reporter).await {
                    End::Unwanted => return,
                    End::Broken(error) => error,
                }
            }
            Err(error) => error,
        };
        layer2::interrupt(&mut announcer);
        if told.is_news(error.to_string()) {
            warn!(error = &error as &dyn std::error::Error, "loopback interface cannot be used");
        }
        clock::pause(AGAIN).await;
    }
}

/// The interface in the kernel.
#[derive(Debug)]
struct Loopback {
    netlink: Netlink,
    changes: Changes,
    index: u32,
    held: BTreeSet<IpAddr>,
    pending: VecDeque<Event>,
    _driver: JoinSet<()>,
}

impl Loopback {
    async fn open() -> Result<Self, NetError> {
        let (netlink, changes, driving) = Netlink::connect()?;
        let mut driver = JoinSet::new();
        driver.spawn(driving);
        let interfaces = netlink.interfaces().await?;
        let loopback = interfaces.iter().find(|interface| interface.loopback);
        // Every network namespace has it, and nobody can remove it.
        let index = loopback.map_or(1, |interface| interface.index);
        // Whether it is up does not matter: addresses of any interface are the node's.
        let pending = VecDeque::from([Event::Link(Link::Up)]);
        Ok(Self { netlink, changes, index, held: BTreeSet::new(), pending, _driver: driver })
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::AddressGone { index, address }
                if index == self.index && self.held.contains(&address.addr()) =>
            {
                self.pending.push_back(Event::Gone(address.addr()));
            }
            Change::Overrun => self.pending.extend(self.held.iter().copied().map(Event::Gone)),
            Change::Link { .. } | Change::AddressGone { .. } => {}
        }
    }
}

impl Segment for Loopback {
    async fn hold(&mut self, vip: IpAddr, lifetime: Duration) -> Result<(), NetError> {
        self.held.insert(vip);
        self.netlink.hold(self.index, IpNet::from(vip), lifetime).await
    }

    async fn drop(&mut self, vip: IpAddr) -> Result<(), NetError> {
        self.held.remove(&vip);
        self.netlink.drop(self.index, IpNet::from(vip)).await
    }

    /// Nobody else is there.
    async fn probe(&mut self, _: IpAddr) -> Result<(), NetError> {
        Ok(())
    }

    /// Routes are announced by the speaker.
    async fn announce(&mut self, _: IpAddr) -> Result<(), NetError> {
        Ok(())
    }

    async fn next(&mut self) -> Result<Event, NetError> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            let change = self.changes.next().await.ok_or(NetError::Closed)?;
            self.changed(change);
        }
    }
}

/// The loopback interface; alerts know by it that only routes make a VIP known.
pub const INTERFACE: &str = "lo";
const AGAIN: Duration = Duration::from_secs(1);
