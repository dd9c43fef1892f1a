//! Finds the interfaces that carry the VIPs, and keeps an announcer on each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};
use vipcast_proto::l2::announcer::{Announcer, Config, Link, WireCheck};
use vipcast_proto::l2::responder;

use crate::admin::board::{StatusBoard, VipFact};
use crate::admin::status::{LinkState, VipState};
use crate::announce;
use crate::announce::layer2::{self, End, Wires};
use crate::announce::port::{Port, PortError};
use crate::change::Told;
use crate::clock;
use crate::config::Layer2;
use crate::net::NetError;
use crate::net::choice::{ChoiceError, choose};
use crate::net::netlink::{Interface, LeftoverKind, Netlink};
use crate::witness::{CONTROL_PLANE, Witness};

/// The VIPs of one interface, each with the prefix length that it gets.
pub(super) type Vips = BTreeMap<IpAddr, IpNet>;

/// Why the interfaces of the VIPs are not known yet.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    #[error(transparent)]
    Net(#[from] NetError),
    /// It would answer for the VIP whoever holds the Lease.
    #[error(
        "{address} is an ordinary address of {interface}, which somebody else put there; take it off: ip address del {address} dev {interface}"
    )]
    Occupied { address: IpNet, interface: String },
}

/// The interface of each VIP. An interface that is not there yet is waited for; what an earlier life
/// left behind is removed first.
pub(super) async fn find(layer2: &Layer2, vips: &[IpNet], board: &StatusBoard) -> BTreeMap<String, Vips> {
    let mut told = Told::default();
    let mut swept = false;
    loop {
        match look(layer2, vips, &mut swept).await {
            Ok(found) => {
                for (interface, vips) in &found {
                    vips.keys().for_each(|vip| info!(%vip, interface, "interface chosen"));
                }
                return found;
            }
            Err(error) if told.is_news(error.to_string()) => {
                warn!(error = &error as &dyn std::error::Error, "waiting for the interface");
                vips.iter().for_each(|vip| board.vip(vip.addr(), waiting(vip, layer2, &error)));
            }
            Err(_) => {}
        }
        clock::pause(AGAIN).await;
    }
}

fn waiting(vip: &IpNet, layer2: &Layer2, error: &Missing) -> VipFact {
    VipFact {
        prefix_length: vip.prefix_len(),
        interface: layer2.interface.clone().unwrap_or_default(),
        scope: CONTROL_PLANE.to_owned(),
        state: VipState::Absent,
        until: None,
        rival: None,
        why: format!("waiting for the interface: {error}"),
    }
}

async fn look(layer2: &Layer2, vips: &[IpNet], swept: &mut bool) -> Result<BTreeMap<String, Vips>, Missing> {
    let (netlink, _changes, driving) = Netlink::connect()?;
    let mut driver = JoinSet::new();
    driver.spawn(driving);
    // Once: what appears later with our mark is held by another daemon that is alive.
    if !*swept {
        sweep(&netlink, vips).await?;
        *swept = true;
    }
    let interfaces = netlink.interfaces().await?;
    let default_route = netlink.default_route().await?.interface;
    let mut found: BTreeMap<String, Vips> = BTreeMap::new();
    for &vip in vips {
        occupied(&interfaces, vip.addr())?;
        let interface = choose(&interfaces, layer2.interface.as_deref(), vip.addr(), default_route)?;
        found.entry(interface.name.clone()).or_default().insert(vip.addr(), vip);
    }
    Ok(found)
}

fn occupied(interfaces: &[Interface], vip: IpAddr) -> Result<(), Missing> {
    let there = interfaces.iter().find_map(|interface| {
        let address = interface.addresses.iter().find(|address| address.addr() == vip)?;
        Some(Missing::Occupied { address: *address, interface: interface.name.clone() })
    });
    there.map_or(Ok(()), Err)
}

/// Removes what an earlier life has left on any interface, once.
pub(super) async fn clear(vips: &[IpNet]) {
    let swept = async {
        let (netlink, _changes, driving) = Netlink::connect()?;
        let mut driver = JoinSet::new();
        driver.spawn(driving);
        sweep(&netlink, vips).await
    };
    if let Err(error) = swept.await {
        warn!(error = &error as &dyn std::error::Error, "leftover addresses cannot be removed");
    }
}

/// Removes what an earlier life of ours, or kube-vip, left behind. Other addresses with our mark belong to
/// another daemon, or to an earlier configuration, and then they end by themselves.
async fn sweep(netlink: &Netlink, vips: &[IpNet]) -> Result<(), NetError> {
    let vips: BTreeSet<IpAddr> = vips.iter().map(IpNet::addr).collect();
    let leftovers = netlink.leftovers(&vips).await?;
    for leftover in leftovers.into_iter().filter(|leftover| vips.contains(&leftover.address.addr())) {
        netlink.drop(leftover.index, leftover.address).await?;
        let left_by = match leftover.kind {
            LeftoverKind::Marked => "an earlier life of this daemon",
            LeftoverKind::Expiring => "an earlier life of this daemon, on an old kernel",
            LeftoverKind::Deprecated => "another program, such as kube-vip",
        };
        info!(address = %leftover.address, left_by, "leftover address removed");
    }
    Ok(())
}

/// The announcer of one interface, which outlives the interface.
#[derive(Debug)]
pub(super) struct Driver {
    announcer: Announcer,
    lifetime: Duration,
    vips: Vips,
    wires: Wires,
    link: watch::Sender<Link>,
    witness: Witness,
}

impl Driver {
    pub(super) fn new(
        layer2: &Layer2,
        vips: Vips,
        wires: Wires,
        witness: Witness,
    ) -> (Self, watch::Receiver<Link>) {
        let (link, carrier) = watch::channel(Link::Down);
        vips.keys().for_each(|&vip| witness.metrics.declare_vip(vip));
        let announcer = Announcer::new(config(layer2), fastrand::u64(..));
        (Self { announcer, lifetime: layer2.address_lifetime, vips, wires, link, witness }, carrier)
    }

    /// Runs until the core is gone; an interface that breaks is opened again.
    pub(super) async fn run(mut self) {
        let name = self.wires.name.clone();
        let mut reporter = announce::Reporter::new(name.clone(), self.vips.clone(), self.witness.clone());
        let mut told = Told::default();
        loop {
            let error =
                match Port::open(&name, self.vips.clone(), self.link.clone(), self.witness.metrics.clone())
                    .await
                {
                    Ok(port) => {
                        told.is_over();
                        match self.drive(port, &mut reporter).await {
                            End::Unwanted => return,
                            End::Broken(error) => PortError::from(error),
                        }
                    }
                    Err(error) => error,
                };
            self.lost(&name);
            if told.is_news(error.to_string()) {
                warn!(interface = name, error = &error as &dyn std::error::Error, "interface cannot be used");
            }
            clock::pause(AGAIN).await;
        }
    }

    async fn drive(&mut self, port: Port, reporter: &mut announce::Reporter) -> End {
        let name = self.wires.name.clone();
        let mac = port.mac().to_string();
        let mut carrier = self.link.subscribe();
        let board = self.witness.board.clone();
        let show = async move {
            loop {
                let link = *carrier.borrow_and_update();
                board.link(&name, state(link), Some(mac.clone()));
                info!(interface = name, mac, carrier = ?link, "carrier");
                if carrier.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            end = layer2::run(&mut self.announcer, self.lifetime, port, &mut self.wires, reporter) => end,
            () = show => End::Unwanted,
        }
    }

    /// Without the interface there is no carrier; when it is back, the announcer begins again.
    fn lost(&mut self, name: &str) {
        layer2::interrupt(&mut self.announcer);
        self.link.send_replace(Link::Down);
        self.witness.board.link(name, LinkState::Down, None);
    }
}

fn state(link: Link) -> LinkState {
    match link {
        Link::Up => LinkState::Up,
        Link::Down => LinkState::Down,
    }
}

fn config(layer2: &Layer2) -> Config {
    Config { lifetime: layer2.address_lifetime, refresh: layer2.refresh, wire_check: wire_check(layer2) }
}

/// The same for addresses of Services, which are on no interface.
pub(super) fn responder(layer2: &Layer2) -> responder::Config {
    responder::Config {
        refresh: layer2.refresh,
        refresh_frames: REFRESH_FRAMES,
        wire_check: wire_check(layer2),
    }
}

fn wire_check(layer2: &Layer2) -> Option<WireCheck> {
    layer2.wire_check.map(|check| WireCheck {
        probes: u8::try_from(check.probes.get()).unwrap_or(u8::MAX),
        interval: check.interval,
        wait: check.wait,
        retry: check.retry,
    })
}

/// A second, for all addresses of Services together: a LAN does not notice it.
const REFRESH_FRAMES: u32 = 350;

/// An interface that was just made is noticed within a second.
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vip_that_somebody_configured_on_this_node_is_named_with_the_command_that_removes_it() {
        let interface = Interface {
            index: 2,
            name: "eth0".into(),
            mac: None,
            up: true,
            loopback: false,
            addresses: vec!["192.0.2.1/24".parse().unwrap(), "192.0.2.10/24".parse().unwrap()],
            master: None,
        };
        let told = |vip: &str| {
            occupied(std::slice::from_ref(&interface), vip.parse().unwrap())
                .map_err(|error| error.to_string())
        };
        let expected = "192.0.2.10/24 is an ordinary address of eth0, which somebody else put there; \
                        take it off: ip address del 192.0.2.10/24 dev eth0";
        assert_eq!(told("192.0.2.10"), Err(expected.to_owned()));
        assert_eq!(told("192.0.2.11"), Ok(()));
    }
}
