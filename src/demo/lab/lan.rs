//! A LAN of network namespaces: a switch, nodes, an API host, a client and an observer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use futures::TryStreamExt;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::address;
use super::error::{LabError, Result};
use super::namespace::Namespace;

/// A hardware address.
pub type Mac = [u8; 6];

/// One machine on the LAN.
#[derive(Debug)]
pub struct Host {
    /// Its name: `node1`, `api`, `client`, `observer`.
    pub name: String,
    /// Its network.
    pub namespace: Namespace,
    /// Its hardware address.
    pub mac: Mac,
    /// Its IPv4 address, in 10.77.0.0/24.
    pub v4: Ipv4Addr,
    /// Its IPv6 address, in fd00:77::/64.
    pub v6: Ipv6Addr,
    /// The index of its interface [`INTERFACE`] in its own namespace.
    pub interface: u32,
    /// The index of the port of the switch that its cable leads to.
    pub(super) port: u32,
}

impl Host {
    /// A machine that others have made: the namespace at `path`, with the interface [`INTERFACE`] in it.
    pub fn existing(name: &str, path: &Path, mac: Mac, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Self> {
        let namespace = Namespace::at(path)?;
        let interface = index_of(&namespace, INTERFACE)?;
        // No switch of ours has a port for it.
        Ok(Self { name: name.to_owned(), namespace, mac, v4, v6, interface, port: 0 })
    }

    /// The addresses in this host's kernel, as netlink tells from inside its namespace.
    pub fn addresses(&self) -> Result<Vec<IpAddr>> {
        address::all(&self.namespace)
    }

    /// Gives this host's kernel an address, for ever or for some seconds, as a daemon would.
    pub fn add_address(&self, address: IpAddr, valid_seconds: Option<u32>) -> Result<()> {
        address::add(&self.namespace, self.interface, host_net(address), valid_seconds)
    }

    /// Takes an address from this host's kernel, if it is there.
    pub fn remove_address(&self, address: IpAddr) -> Result<()> {
        address::remove(&self.namespace, address)
    }
}

/// The whole of it. Dropping it removes every namespace and link.
#[derive(Debug)]
pub struct Lan {
    pub(super) switch: Namespace,
    /// The index of the bridge in the switch.
    pub(super) bridge: u32,
    /// The machines that may hold the VIP, `node1` first.
    pub nodes: Vec<Host>,
    /// Where the Kubernetes API is served.
    pub api: Host,
    /// Who uses the VIP.
    pub client: Host,
    /// Who asks the LAN for the owners of the VIP.
    pub observer: Host,
}

impl Lan {
    /// Builds it; everybody reaches everybody when this returns.
    pub fn build(nodes: usize) -> Result<Self> {
        let count = u8::try_from(nodes).ok().filter(|n| (1..=MAX_NODES).contains(n));
        let count = count.ok_or(LabError::Nodes(nodes))?;
        let switch = Namespace::create()?;
        let bridge = make_bridge(&switch)?;
        let attach = |name: &str, number| attach(&switch, bridge, name, number);
        Ok(Self {
            nodes: (1..=count)
                .map(|i| attach(&format!("node{i}"), FIRST_NODE - 1 + i))
                .collect::<Result<_>>()?,
            api: attach("api", 2)?,
            client: attach("client", 3)?,
            observer: attach("observer", 4)?,
            switch,
            bridge,
        })
    }

    /// The node with this hardware address.
    #[must_use]
    pub fn node_by_mac(&self, mac: Mac) -> Option<usize> {
        self.nodes.iter().position(|node| node.mac == mac)
    }
}

fn make_bridge(switch: &Namespace) -> Result<u32> {
    switch.netlink(
        async |handle| {
            // Multicast is flooded: who snoops loses solicitations to groups nobody has reported yet.
            let bridge = LinkBridge::new(BRIDGE).forward_delay(0).mcast_snooping(false).up();
            handle.link().add(bridge.build()).execute().await
        },
        "making the switch",
    )?;
    index_of(switch, BRIDGE)
}

fn attach(switch: &Namespace, bridge: u32, name: &str, number: u8) -> Result<Host> {
    let namespace = Namespace::create()?;
    let mac = [0x02, 0x77, 0, 0, 0, number];
    plug(&namespace, switch.number(), name, mac)?;
    let port = index_of(switch, name)?;
    switch.netlink(
        async |handle| {
            let up = LinkUnspec::new_with_index(port).controller(bridge).up();
            handle.link().change(up.build()).execute().await
        },
        "plugging a cable into the switch",
    )?;
    let host = Host {
        interface: index_of(&namespace, INTERFACE)?,
        name: name.to_owned(),
        namespace,
        mac,
        v4: Ipv4Addr::new(10, 77, 0, number),
        v6: Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, number.into()),
        port,
    };
    for (own, length) in [(IpAddr::V4(host.v4), 24), (IpAddr::V6(host.v6), 64)] {
        address::add(&host.namespace, host.interface, (own, length), None)?;
    }
    Ok(host)
}

/// One end in the host, the other straight in the switch's namespace, named after the host.
fn plug(namespace: &Namespace, switch: i32, name: &str, mac: Mac) -> Result<()> {
    let far = LinkMessageBuilder::<LinkUnspec>::new().name(name).setns_by_fd(switch).build();
    let near = LinkVeth::new(INTERFACE, name)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
        .address(mac.to_vec())
        .up();
    namespace.netlink(async |handle| handle.link().add(near.build()).execute().await, "making a cable")
}

pub(in crate::demo) fn index_of(namespace: &Namespace, name: &str) -> Result<u32> {
    let found = namespace.netlink(
        async |handle| {
            let links = handle.link().get().execute().try_collect::<Vec<_>>().await?;
            Ok(links
                .into_iter()
                .find(|link| link.attributes.contains(&LinkAttribute::IfName(name.to_owned()))))
        },
        "looking for a link",
    )?;
    found.map(|link| link.header.index).ok_or_else(|| LabError::NoInterface(name.to_owned()))
}

const fn host_net(address: IpAddr) -> (IpAddr, u8) {
    match address {
        IpAddr::V4(_) => (address, 32),
        IpAddr::V6(_) => (address, 128),
    }
}

/// The interface of every host.
pub const INTERFACE: &str = "eth0";
/// Nodes get the host numbers from here on; the VIPs are above them.
const FIRST_NODE: u8 = 11;
/// The VIPs of the laboratory begin at number 100.
pub const MAX_NODES: u8 = 80;
const BRIDGE: &str = "switch";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root, for network namespaces: tools/test runs it"]
    fn a_lan_has_the_addresses_it_promises() {
        let lan = Lan::build(2).unwrap();
        let has = |host: &Host, address: &str| host.addresses().unwrap().contains(&address.parse().unwrap());
        assert!(has(&lan.nodes[0], "10.77.0.11") && has(&lan.nodes[1], "fd00:77::c"));
        assert!(has(&lan.api, "10.77.0.2") && has(&lan.client, "fd00:77::3"));
        assert_eq!(lan.node_by_mac(lan.nodes[1].mac), Some(1));
        assert_eq!(lan.node_by_mac(lan.client.mac), None);
    }

    #[test]
    #[ignore = "needs root, for network namespaces: tools/test runs it"]
    fn an_address_can_be_given_and_taken() {
        let lan = Lan::build(1).unwrap();
        let vip: IpAddr = "10.77.0.100".parse().unwrap();
        let node = &lan.nodes[0];
        node.add_address(vip, Some(60)).unwrap();
        assert!(node.addresses().unwrap().contains(&vip));
        node.remove_address(vip).unwrap();
        assert!(!node.addresses().unwrap().contains(&vip));
    }

    #[test]
    fn a_lan_without_nodes_or_with_too_many_is_refused() {
        assert!(matches!(Lan::build(0), Err(LabError::Nodes(0))));
        assert!(matches!(Lan::build(81), Err(LabError::Nodes(81))));
    }
}
