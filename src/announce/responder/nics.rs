//! Which Ethernet interfaces there are, and which of them have a carrier.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;
use vipcast_proto::l2::ethernet::MacAddr;

use crate::change::{Told, publish};
use crate::clock;
use crate::net::NetError;
use crate::net::netlink::{Change, Changes, Interface, Netlink};

/// An interface that frames can be sent on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Nic {
    pub(super) index: u32,
    pub(super) mac: MacAddr,
    /// It is administratively up and has a carrier.
    pub(super) up: bool,
}

/// By name.
pub(super) type Nics = Arc<BTreeMap<String, Nic>>;

/// Publishes the interfaces whenever they change. What is known stays known while the kernel cannot be asked.
pub(super) async fn follow(nics: watch::Sender<Nics>) {
    let mut told = Told::default();
    loop {
        let Err(error) = read(&nics, &mut told).await;
        if told.is_news(error.to_string()) {
            warn!(error = &error as &dyn std::error::Error, "interfaces cannot be read");
        }
        clock::pause(AGAIN).await;
    }
}

async fn read(nics: &watch::Sender<Nics>, told: &mut Told<String>) -> Result<Infallible, NetError> {
    let (netlink, mut changes, driving) = Netlink::connect()?;
    let mut driver = JoinSet::new();
    driver.spawn(driving);
    loop {
        let interfaces = netlink.interfaces().await?;
        told.is_over();
        publish(nics, Arc::new(interfaces.iter().filter_map(nic).collect()));
        // Pods come and go by the dozen, each with an interface.
        clock::pause(REST).await;
        tokio::select! {
            heard = link_changed(&mut changes) => heard?,
            // A new Ethernet address or name is not among what is told.
            () = clock::pause(LOOK) => {}
        }
    }
}

async fn link_changed(changes: &mut Changes) -> Result<(), NetError> {
    loop {
        match changes.next().await.ok_or(NetError::Closed)? {
            Change::Link { .. } | Change::Overrun => return Ok(()),
            Change::AddressGone { .. } => {}
        }
    }
}

fn nic(interface: &Interface) -> Option<(String, Nic)> {
    let Interface { index, name, mac, up, .. } = interface;
    mac.map(|mac| (name.clone(), Nic { index: *index, mac, up: *up }))
}

const AGAIN: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_secs(5);
