//! Addresses that die by themselves: hold, drop, and recognise what an earlier life left behind.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use rtnetlink::AddressMessageBuilder;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};

use super::{NetError, Netlink};

/// `IFA_PROTO` of every address that vipcast holds: the letter V. The kernel uses 1 to 3, keepalived 18; it is no
/// number that iproute2 or FRR name for routes (0 to 18, 42, 99, 186 to 199), which other software borrows here.
pub const MARK: u8 = 0x56;

/// An address that nobody refreshes any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leftover {
    /// The interface that has it.
    pub index: u32,
    /// The address, as [`Netlink::drop`] wants it.
    pub address: IpNet,
    /// How it was recognised.
    pub kind: LeftoverKind,
}

/// How a leftover was recognised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeftoverKind {
    /// By our mark.
    Marked,
    /// A VIP, deprecated, with an end: ours, on a kernel older than 5.18, which ignores the mark; or a DNS VIP of kube-vip.
    Expiring,
    /// A VIP, deprecated and without end: kube-vip's.
    Deprecated,
}

impl Netlink {
    /// Gives `address` to the interface for `lifetime` from now, whole seconds of it, or extends the lifetime
    /// that it has. One request, one answer.
    ///
    /// It is never a source address, and no route to its prefix comes with it.
    ///
    /// # Errors
    /// The kernel refuses: no CAP_NET_ADMIN, no interface, IPv6 off; or the lifetime is under a second.
    pub async fn hold(&self, index: u32, address: IpNet, lifetime: Duration) -> Result<(), NetError> {
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(INFINITE - 1).min(INFINITE - 1);
        if seconds == 0 {
            return Err(NetError::Lifetime(address));
        }
        let mut request = self.handle.address().add(index, address.addr(), address.prefix_len()).replace();
        request.message_mut().attributes.extend(attributes(address, seconds));
        self.confirmed(request.execute().await)?.map_err(|source| NetError::Hold { address, source })
    }

    /// Takes `address` from the interface. That it is gone already, or the interface is, is a success.
    ///
    /// # Errors
    /// The kernel refuses, and the address may still be there.
    pub async fn drop(&self, index: u32, address: IpNet) -> Result<(), NetError> {
        let dropped = self.handle.address().del(message(index, address)).execute().await;
        match self.confirmed(dropped)? {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(()),
            answer => answer.map_err(|source| NetError::Drop { address, source }),
        }
    }

    /// The addresses with our mark, on all interfaces.
    ///
    /// # Errors
    /// The addresses cannot be read.
    pub async fn marked(&self) -> Result<Vec<(u32, IpNet)>, NetError> {
        let leftovers = self.leftovers(&BTreeSet::new()).await?;
        Ok(leftovers.into_iter().map(|leftover| (leftover.index, leftover.address)).collect())
    }

    /// What earlier lives of this program or of kube-vip have left on any interface. An address without our mark
    /// is one only if it is exactly one of `vips` and deprecated, which no administrator does by accident.
    ///
    /// # Errors
    /// The addresses cannot be read.
    pub async fn leftovers(&self, vips: &BTreeSet<IpAddr>) -> Result<Vec<Leftover>, NetError> {
        let addresses = self.address_messages().await?;
        Ok(addresses.iter().filter_map(|message| leftover(message, vips)).collect())
    }

    pub(super) async fn address_messages(&self) -> Result<Vec<AddressMessage>, NetError> {
        self.dump("addresses", self.handle.address().get().execute()).await
    }
}

/// The address and prefix of a message: the local end, where there are two.
pub(super) fn address(message: &AddressMessage) -> Option<IpNet> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    address.and_then(|address| IpNet::new(address, message.header.prefix_len).ok())
}

fn leftover(message: &AddressMessage, vips: &BTreeSet<IpAddr>) -> Option<Leftover> {
    let address = address(message)?;
    let kind = if has_mark(message) {
        LeftoverKind::Marked
    } else if !vips.contains(&address.addr()) || !is_deprecated(message) {
        return None;
    } else if is_permanent(message) {
        LeftoverKind::Deprecated
    } else {
        LeftoverKind::Expiring
    };
    Some(Leftover { index: message.header.index, address, kind })
}

fn has_mark(message: &AddressMessage) -> bool {
    message.attributes.contains(&AddressAttribute::Protocol(AddressProtocol::Other(MARK)))
}

/// Preferred lifetime 0. The flag tells it, because the kernel reports both lifetimes of a permanent address as infinite.
fn is_deprecated(message: &AddressMessage) -> bool {
    has_flag(message, AddressFlags::Deprecated)
}

fn is_permanent(message: &AddressMessage) -> bool {
    has_flag(message, AddressFlags::Permanent)
}

fn has_flag(message: &AddressMessage, wanted: AddressFlags) -> bool {
    message
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(wanted)))
}

fn attributes(address: IpNet, seconds: u32) -> [AddressAttribute; 3] {
    let mut lifetimes = CacheInfo::default();
    lifetimes.ifa_valid = seconds;
    lifetimes.ifa_preferred = 0;
    // The wire check before a take-over is ours; the kernel's would keep an IPv6 VIP tentative for a second.
    let flags = match address {
        IpNet::V4(_) => AddressFlags::Noprefixroute,
        IpNet::V6(_) => AddressFlags::Noprefixroute | AddressFlags::Nodad,
    };
    [
        AddressAttribute::CacheInfo(lifetimes),
        AddressAttribute::Flags(flags),
        AddressAttribute::Protocol(AddressProtocol::Other(MARK)),
    ]
}

fn message(index: u32, address: IpNet) -> AddressMessage {
    match address {
        IpNet::V4(net) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
        IpNet::V6(net) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
    }
}

/// `INFINITY_LIFE_TIME` of the kernel.
const INFINITE: u32 = u32::MAX;
