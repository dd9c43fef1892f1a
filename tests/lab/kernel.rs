//! Addresses and neighbours as the kernel of a namespace tells them.

use std::net::{IpAddr, UdpSocket};

use futures::TryStreamExt;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use vipcast::demo::lab::lan::{Host, Mac};
use vipcast::demo::lab::namespace::Namespace;

/// An address and everything that is promised about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) address: IpAddr,
    pub(crate) prefix_length: u8,
    pub(crate) valid: u32,
    pub(crate) preferred: u32,
    /// When it was last written, in hundredths of a second.
    pub(crate) written: u32,
    pub(crate) mark: Option<u8>,
    pub(crate) flags: AddressFlags,
}

pub(crate) fn addresses(namespace: &Namespace) -> Vec<Address> {
    let messages = namespace.netlink(
        async |handle| handle.address().get().execute().try_collect::<Vec<_>>().await,
        "reading addresses",
    );
    messages.unwrap().iter().filter_map(address).collect()
}

fn address(message: &AddressMessage) -> Option<Address> {
    let mut found = Address {
        address: local(message)?,
        prefix_length: message.header.prefix_len,
        valid: 0,
        preferred: 0,
        written: 0,
        mark: None,
        flags: AddressFlags::empty(),
    };
    for attribute in &message.attributes {
        if let AddressAttribute::CacheInfo(cache) = attribute {
            (found.valid, found.preferred, found.written) =
                (cache.ifa_valid, cache.ifa_preferred, cache.tstamp);
        }
        if let AddressAttribute::Protocol(protocol) = attribute {
            found.mark = Some((*protocol).into());
        }
        if let AddressAttribute::Flags(flags) = attribute {
            found.flags = *flags;
        }
    }
    Some(found)
}

fn local(message: &AddressMessage) -> Option<IpAddr> {
    let is_local = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    };
    let is_address = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    };
    message.attributes.iter().find_map(is_local).or_else(|| message.attributes.iter().find_map(is_address))
}

/// Adds a leftover: deprecated for ever, with or without a mark.
pub(crate) fn add_deprecated(host: &Host, address: &str, mark: Option<u8>) {
    let address: IpAddr = address.parse().unwrap();
    let interface = host.interface;
    let added = host.namespace.netlink(
        async move |handle| {
            let mut request = handle.address().add(interface, address, 32);
            let attributes = &mut request.message_mut().attributes;
            let mut cache = CacheInfo::default();
            (cache.ifa_valid, cache.ifa_preferred) = (u32::MAX, 0);
            attributes.push(AddressAttribute::CacheInfo(cache));
            attributes.extend(mark.map(|mark| AddressAttribute::Protocol(mark.into())));
            request.execute().await
        },
        "adding a leftover",
    );
    added.unwrap();
}

/// The hardware address that the kernel of `host` sends to when it means `address`.
pub(crate) fn neighbour(host: &Host, address: &str) -> Option<Mac> {
    let address: IpAddr = address.parse().unwrap();
    let messages = neighbours(host);
    messages.into_iter().find(|message| destination(message) == Some(address)).and_then(|message| {
        message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(mac) => mac.as_slice().try_into().ok(),
            _ => None,
        })
    })
}

/// Makes the kernel of `host` forget it: the next datagram asks anew.
pub(crate) fn forget_neighbour(host: &Host, address: &str) {
    let address: IpAddr = address.parse().unwrap();
    for message in neighbours(host).into_iter().filter(|message| destination(message) == Some(address)) {
        let deleted = host.namespace.netlink(
            async |handle| handle.neighbours().del(message).execute().await,
            "forgetting a neighbour",
        );
        // One that is being resolved is gone before it can be deleted.
        let _ = deleted;
    }
}

fn neighbours(host: &Host) -> Vec<NeighbourMessage> {
    let messages = host.namespace.netlink(
        async |handle| handle.neighbours().get().execute().try_collect::<Vec<_>>().await,
        "reading neighbours",
    );
    messages.unwrap()
}

fn destination(message: &NeighbourMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some((*address).into()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some((*address).into()),
        _ => None,
    })
}

/// The address that the kernel of `host` would send from.
pub(crate) fn source_towards(host: &Host, peer: IpAddr) -> IpAddr {
    let choose = || {
        let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect((peer, 9))?;
        socket.local_addr()
    };
    host.namespace.run(choose).unwrap().unwrap().ip()
}
