//! Addresses in the kernel of a namespace: which there are, adding and removing one.

use std::net::IpAddr;

use futures::TryStreamExt;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};

use super::error::Result;
use super::namespace::Namespace;

/// Every address.
pub fn all(namespace: &Namespace) -> Result<Vec<IpAddr>> {
    let messages = namespace.netlink(
        async |handle| handle.address().get().execute().try_collect::<Vec<_>>().await,
        "reading addresses",
    )?;
    Ok(messages.iter().filter_map(address_in).collect())
}

/// Adds an address, without duplicate address detection, for ever or for some seconds. One that is there gets the new
/// lifetime.
pub fn add(
    namespace: &Namespace,
    interface: u32,
    (address, prefix_length): (IpAddr, u8),
    valid_seconds: Option<u32>,
) -> Result<()> {
    namespace.netlink(
        async move |handle| {
            let mut request = handle.address().add(interface, address, prefix_length).replace();
            let attributes = &mut request.message_mut().attributes;
            attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            attributes.extend(valid_seconds.map(lifetime));
            request.execute().await
        },
        "adding an address",
    )
}

/// Removes an address, if it is there.
pub fn remove(namespace: &Namespace, address: IpAddr) -> Result<()> {
    namespace.netlink(
        async move |handle| {
            let all = handle.address().get().execute().try_collect::<Vec<_>>().await?;
            for message in all.into_iter().filter(|message| address_in(message) == Some(address)) {
                handle.address().del(message).execute().await?;
            }
            Ok(())
        },
        "removing an address",
    )
}

/// Never a source address (preferred for no time), and gone by itself.
fn lifetime(valid_seconds: u32) -> AddressAttribute {
    let mut lifetime = CacheInfo::default();
    lifetime.ifa_valid = valid_seconds;
    AddressAttribute::CacheInfo(lifetime)
}

/// `IFA_LOCAL` is the address where there is one; IPv6 has only `IFA_ADDRESS`.
fn address_in(message: &AddressMessage) -> Option<IpAddr> {
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        if let AddressAttribute::Local(value) = attribute {
            local = Some(*value);
        }
        if let AddressAttribute::Address(value) = attribute {
            address = Some(*value);
        }
    }
    local.or(address)
}
