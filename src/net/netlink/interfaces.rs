//! Interfaces as far as a VIP is concerned, and the one that the default route leaves by.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType, RouteVia,
};
use vipcast_proto::l2::ethernet::MacAddr;

use super::{NetError, Netlink, addresses};

/// An interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// The number that the kernel knows it by.
    pub index: u32,
    /// The name that people know it by.
    pub name: String,
    /// Its Ethernet address, if it is one that speaks Ethernet.
    pub mac: Option<MacAddr>,
    /// It is administratively up and has a carrier.
    pub up: bool,
    /// It is loopback.
    pub loopback: bool,
    /// Its addresses, each with its prefix.
    pub addresses: Vec<IpNet>,
    /// The bridge, bond or VRF that it is a port of.
    pub master: Option<u32>,
}

/// Where packets leave that no other route is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DefaultRoute {
    /// The interface of the best default route: IPv4's, else IPv6's.
    pub interface: Option<u32>,
    /// The next hops of all default routes.
    pub gateways: BTreeSet<IpAddr>,
}

impl Netlink {
    /// All interfaces with their addresses, by index.
    ///
    /// # Errors
    /// Links or addresses cannot be read.
    pub async fn interfaces(&self) -> Result<Vec<Interface>, NetError> {
        let links = self.dump("links", self.handle.link().get().execute()).await?;
        let mut interfaces: Vec<Interface> = links.iter().map(interface).collect();
        for message in self.address_messages().await? {
            let owner = interfaces.iter_mut().find(|interface| interface.index == message.header.index);
            if let Some((owner, address)) = owner.zip(addresses::address(&message)) {
                owner.addresses.push(address);
            }
        }
        interfaces.sort_by_key(|interface| interface.index);
        Ok(interfaces)
    }

    /// The default routes of the main table.
    ///
    /// # Errors
    /// The routes cannot be read.
    pub async fn default_route(&self) -> Result<DefaultRoute, NetError> {
        let v4 = self.default_routes(RouteMessageBuilder::<Ipv4Addr>::new().build()).await?;
        let v6 = self.default_routes(RouteMessageBuilder::<Ipv6Addr>::new().build()).await?;
        let gateways = v4.iter().chain(&v6).flat_map(gateways).collect();
        Ok(DefaultRoute { interface: best(&v4).or_else(|| best(&v6)), gateways })
    }

    async fn default_routes(&self, family: RouteMessage) -> Result<Vec<RouteMessage>, NetError> {
        let mut routes = self.dump("routes", self.handle.route().get(family).execute()).await?;
        routes.retain(is_default);
        Ok(routes)
    }
}

/// `IFF_LOWER_UP` is the carrier; `IFF_RUNNING` lags behind it.
pub(super) fn is_up(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp)
}

fn interface(link: &LinkMessage) -> Interface {
    let mut interface = Interface {
        index: link.header.index,
        name: String::new(),
        mac: None,
        up: is_up(link),
        loopback: link.header.flags.contains(LinkFlags::Loopback),
        addresses: Vec::new(),
        master: None,
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Address(octets) if link.header.link_layer_type == LinkLayerType::Ether => {
                interface.mac = <[u8; 6]>::try_from(octets.as_slice()).ok().map(MacAddr::from);
            }
            LinkAttribute::Controller(index) => interface.master = Some(*index).filter(|index| *index != 0),
            _ => {}
        }
    }
    interface
}

fn is_default(route: &RouteMessage) -> bool {
    let header = &route.header;
    header.destination_prefix_length == 0
        && header.table == RouteHeader::RT_TABLE_MAIN
        && header.kind == RouteType::Unicast
}

fn best(defaults: &[RouteMessage]) -> Option<u32> {
    let ways = defaults.iter().filter_map(|route| Some((priority(route), outgoing(route)?)));
    ways.min().map(|(_, index)| index)
}

fn priority(route: &RouteMessage) -> u32 {
    let priority = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    priority.unwrap_or(0)
}

fn outgoing(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        RouteAttribute::MultiPath(hops) => hops.first().map(|hop| hop.interface_index),
        _ => None,
    })
}

fn gateways(route: &RouteMessage) -> BTreeSet<IpAddr> {
    let hops = route.attributes.iter().flat_map(|attribute| match attribute {
        RouteAttribute::MultiPath(hops) => hops.iter().flat_map(|hop| hop.attributes.iter()).collect(),
        other => vec![other],
    });
    hops.filter_map(gateway).collect()
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(gateway))
        | RouteAttribute::Via(RouteVia::Inet(gateway)) => Some((*gateway).into()),
        RouteAttribute::Gateway(RouteAddress::Inet6(gateway))
        | RouteAttribute::Via(RouteVia::Inet6(gateway)) => Some((*gateway).into()),
        _ => None,
    }
}
