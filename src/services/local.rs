//! The interfaces of this node: where an address can be announced by ARP and NDP, and which routers are behind them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;

use crate::change::{Told, publish};
use crate::clock;
use crate::net::NetError;
use crate::net::choice::{ChoiceError, choose};
use crate::net::netlink::{DefaultRoute, Interface, Netlink};

/// What is known of this node's interfaces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Local {
    /// All of them; empty before they are known.
    pub interfaces: Vec<Interface>,
    /// Where packets leave that no other route is for.
    pub default_route: DefaultRoute,
}

/// Where an address is announced on this node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spot {
    /// Name of the interface.
    pub interface: Arc<str>,
    /// Whether it has its carrier.
    pub up: bool,
}

/// Which interface is wished for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish<'a> {
    /// The one with a prefix that contains the address, and no other.
    OnLink,
    /// The same, else the one of the default route.
    Found,
    /// This one.
    Named(&'a str),
}

impl Local {
    /// Where `address` is announced, or in words why nowhere.
    ///
    /// # Errors
    /// There is no such interface, or more than one.
    pub fn spot(&self, wish: Wish<'_>, address: IpAddr) -> Result<Spot, String> {
        let (named, default_route) = match wish {
            Wish::OnLink => (None, None),
            Wish::Found => (None, self.default_route.interface),
            Wish::Named(name) => (Some(name), None),
        };
        let interface = choose(&self.interfaces, named, address, default_route);
        let interface = interface.map_err(|error| words(&error))?;
        if interface.mac.is_none() {
            return Err(format!("interface {} has no Ethernet address", interface.name));
        }
        Ok(Spot { interface: interface.name.as_str().into(), up: interface.up })
    }

    /// The networks of the interfaces, without loopback.
    #[must_use]
    pub fn networks(&self) -> BTreeSet<IpNet> {
        let interfaces = self.interfaces.iter().filter(|interface| !interface.loopback);
        interfaces.flat_map(|interface| &interface.addresses).map(IpNet::trunc).collect()
    }

    /// Whether the kernel has been asked yet: no machine is without any interface.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.interfaces.is_empty()
    }
}

/// In the words of those who write Services: the settings that help elsewhere are not theirs.
fn words(error: &ChoiceError) -> String {
    match error {
        ChoiceError::Missing { name, existing } => {
            format!("this node has no interface {name}, it has {existing}")
        }
        ChoiceError::Ambiguous { candidates, .. } => {
            format!(
                "several interfaces of this node are on its network, and none of them is named: {candidates}"
            )
        }
        ChoiceError::NoneFits { existing, .. } => {
            format!("it is on the network of no interface of this node ({existing}), and none is named")
        }
    }
}

/// Publishes every change, for ever.
pub async fn follow(out: watch::Sender<Local>) -> Infallible {
    let mut told = Told::default();
    loop {
        if let Err(error) = look_on(&out).await
            && told.is_news(error.to_string())
        {
            warn!(error = &error as &dyn std::error::Error, "interfaces cannot be listed");
        }
        clock::pause(AGAIN).await;
    }
}

/// Looks whenever something has changed, and from time to time: a new address is not always told.
async fn look_on(out: &watch::Sender<Local>) -> Result<(), NetError> {
    let (netlink, mut changes, driving) = Netlink::connect()?;
    let mut driver = JoinSet::new();
    driver.spawn(driving);
    loop {
        let interfaces = netlink.interfaces().await?;
        let default_route = netlink.default_route().await?;
        publish(out, Local { interfaces, default_route });
        match timeout(PATROL, changes.next()).await {
            Ok(None) => return Err(NetError::Closed),
            // Each pod of a node has an interface: many changes are one.
            Ok(Some(_)) => {
                clock::pause(CALM).await;
                changes.skip();
            }
            Err(_) => {}
        }
    }
}

const AGAIN: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_millis(50);
const PATROL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use vipcast_proto::l2::ethernet::MacAddr;

    use super::*;

    fn interface(index: u32, name: &str, up: bool, address: &str) -> Interface {
        let mac = (name != "tun0").then(|| MacAddr::from([2, 0, 0, 0, 0, 1]));
        let addresses = vec![address.parse().unwrap()];
        Interface { index, name: name.into(), mac, up, loopback: false, addresses, master: None }
    }

    #[test]
    fn an_address_is_announced_where_its_network_is_or_where_it_was_said() {
        let local = Local {
            interfaces: vec![
                interface(2, "eth0", true, "192.0.2.1/24"),
                interface(3, "eth1", false, "198.51.100.1/24"),
                interface(4, "tun0", true, "203.0.113.1/24"),
            ],
            default_route: DefaultRoute { interface: Some(2), gateways: [].into() },
        };
        let spot = |wish, address: &str| {
            let spot = local.spot(wish, address.parse().unwrap());
            spot.map(|spot| (spot.interface.to_string(), spot.up))
        };
        let eth = |name: &str, up| Ok((name.to_owned(), up));
        assert_eq!(spot(Wish::OnLink, "198.51.100.7"), eth("eth1", false));
        assert_eq!(spot(Wish::Found, "10.0.0.1"), eth("eth0", true));
        assert!(spot(Wish::OnLink, "10.0.0.1").is_err());
        assert_eq!(spot(Wish::Named("eth1"), "192.0.2.7"), eth("eth1", false));
        assert_eq!(
            spot(Wish::OnLink, "203.0.113.9"),
            Err("interface tun0 has no Ethernet address".to_owned())
        );
        let missing = "this node has no interface eth9, it has eth0, eth1, tun0".to_owned();
        assert_eq!(spot(Wish::Named("eth9"), "192.0.2.7"), Err(missing));
    }
}
