//! The BGP Identifier: given, of an interface, or of the node.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use tokio::task::JoinSet;
use tracing::warn;

use crate::config::bgp::RouterId;
use crate::net::netlink::{Interface, Netlink};

/// Our BGP Identifier. It is not awaited: an interface that comes later changes it with the next start.
pub(super) async fn router_id(wanted: &RouterId, vips: &BTreeSet<IpAddr>) -> Ipv4Addr {
    match wanted {
        RouterId::Given(id) => *id,
        RouterId::OfNode { otherwise } => match interfaces().await {
            Ok((interfaces, default_route)) => {
                of_node(&interfaces, default_route, vips).unwrap_or(*otherwise)
            }
            Err(_) => *otherwise,
        },
        RouterId::OfInterface { interface, otherwise } => {
            let found = interfaces().await.map_err(|error| error.to_string());
            let id = found.and_then(|(found, _)| of_interface(interface, &found, vips));
            id.unwrap_or_else(|why| {
                warn!(interface, why, instead = %otherwise, "no router ID from the interface, one made of the node's name");
                *otherwise
            })
        }
    }
}

/// The address of the interface that somebody has named, or why there is none.
fn of_interface(name: &str, interfaces: &[Interface], vips: &BTreeSet<IpAddr>) -> Result<Ipv4Addr, String> {
    let interface = interfaces.iter().find(|interface| interface.name == name);
    let interface = interface.ok_or_else(|| "there is no such interface".to_owned())?;
    first_address(interface, vips).ok_or_else(|| "it has no IPv4 address of this node's alone".to_owned())
}

/// Where nothing is routed by default, as with unnumbered peers, any address of the node's will do.
fn of_node(
    interfaces: &[Interface],
    default_route: Option<u32>,
    vips: &BTreeSet<IpAddr>,
) -> Option<Ipv4Addr> {
    let chosen = interfaces.iter().find(|interface| Some(interface.index) == default_route);
    let any = || interfaces.iter().find_map(|interface| first_address(interface, vips));
    chosen.and_then(|interface| first_address(interface, vips)).or_else(any)
}

async fn interfaces() -> Result<(Vec<Interface>, Option<u32>), crate::net::NetError> {
    let (netlink, _changes, driving) = Netlink::connect()?;
    let mut driver = JoinSet::new();
    driver.spawn(driving);
    Ok((netlink.interfaces().await?, netlink.default_route().await?.interface))
}

fn first_address(interface: &Interface, vips: &BTreeSet<IpAddr>) -> Option<Ipv4Addr> {
    let usable = |address: IpAddr| match address {
        IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local() && !vips.contains(&address) => Some(v4),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    };
    interface.addresses.iter().find_map(|net| usable(net.addr()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str, addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|net| net.parse().unwrap()).collect();
        let name = name.to_owned();
        Interface { index, name, mac: None, up: true, loopback: false, addresses, master: None }
    }

    #[test]
    fn a_router_id_is_an_address_of_the_interface_that_was_named_or_it_is_said_why_not() {
        let interfaces = [
            interface(1, "lo", &["127.0.0.1/8", "192.0.2.10/32"]),
            interface(2, "eth0", &["2001:db8::1/64", "192.0.2.1/24"]),
        ];
        let vips = [IpAddr::from([192, 0, 2, 10])].into();
        let of = |name: &str| of_interface(name, &interfaces, &vips);
        assert_eq!(of("eth0"), Ok([192, 0, 2, 1].into()));
        assert_eq!(of("nope"), Err("there is no such interface".to_owned()));
        assert_eq!(of("lo"), Err("it has no IPv4 address of this node's alone".to_owned()));
        assert_eq!(of_node(&interfaces, None, &vips), Some([192, 0, 2, 1].into()));
    }

    #[tokio::test]
    async fn an_interface_that_there_is_not_leaves_the_router_id_made_of_the_name() {
        let otherwise = Ipv4Addr::new(10, 1, 2, 3);
        let wanted = RouterId::OfInterface { interface: "nope".into(), otherwise };
        assert_eq!(router_id(&wanted, &BTreeSet::new()).await, otherwise);
    }
}
