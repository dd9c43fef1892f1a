//! Cables, bridges and addresses between namespaces, for the demo and the tests.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use futures::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags};
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkMessage};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, new_connection};
use vipcast_proto::l2::ethernet::MacAddr;

use super::namespace::Namespace;

/// What an administrator wants a link to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkState {
    /// `ip link set up`.
    Up,
    /// `ip link set down`.
    Down,
}

impl Namespace {
    /// Lays a cable: `name` here, `peer_name` in `peer`. Both ends are down.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_veth(&self, name: &str, peer: &Self, peer_name: &str) -> io::Result<()> {
        let peer_end = LinkUnspec::new_with_name(peer_name).setns_by_fd(peer.as_fd().as_raw_fd());
        let veth =
            LinkVeth::new(name, peer_name).set_info_data(InfoData::Veth(InfoVeth::Peer(peer_end.build())));
        self.configure(async |handle| handle.link().add(veth.build()).execute().await)
    }

    /// Makes a bridge, which is down and has no ports.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_bridge(&self, name: &str) -> io::Result<()> {
        self.configure(async |handle| handle.link().add(LinkBridge::new(name).build()).execute().await)
    }

    /// Plugs `port` into `bridge`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_port(&self, bridge: &str, port: &str) -> io::Result<()> {
        self.configure(async |handle| {
            let bridge = index(&handle, bridge).await?;
            set(&handle, LinkUnspec::new_with_name(port).controller(bridge).build()).await
        })
    }

    /// Sets a link up or down.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_link(&self, name: &str, state: LinkState) -> io::Result<()> {
        let link = LinkUnspec::new_with_name(name);
        let link = match state {
            LinkState::Up => link.up(),
            LinkState::Down => link.down(),
        };
        self.configure(async |handle| set(&handle, link.build()).await)
    }

    /// Gives a link an Ethernet address.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_mac(&self, name: &str, mac: MacAddr) -> io::Result<()> {
        let link = LinkUnspec::new_with_name(name).address(mac.octets().to_vec());
        self.configure(async |handle| set(&handle, link.build()).await)
    }

    /// Deletes a link; of a cable, the other end goes too.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn delete_link(&self, name: &str) -> io::Result<()> {
        self.configure(async |handle| {
            let index = index(&handle, name).await?;
            handle.link().del(index).execute().await
        })
    }

    /// Adds an ordinary address, usable at once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_address(&self, name: &str, address: IpNet) -> io::Result<()> {
        self.configure(async |handle| {
            let index = index(&handle, name).await?;
            let mut request = handle.address().add(index, address.addr(), address.prefix_len());
            if address.addr().is_ipv6() {
                request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            }
            request.execute().await
        })
    }

    /// The index of a link.
    ///
    /// # Errors
    /// There is no such link.
    pub fn link_index(&self, name: &str) -> io::Result<u32> {
        self.configure(async |handle| index(&handle, name).await)
    }

    fn configure<T: Send>(
        &self,
        work: impl AsyncFnOnce(Handle) -> Result<T, rtnetlink::Error> + Send,
    ) -> io::Result<T> {
        self.block_on(|| async {
            let (connection, handle, _) = new_connection()?;
            tokio::select! {
                done = work(handle) => done.map_err(super::netlink::io_error),
                () = connection => Err(io::ErrorKind::BrokenPipe.into()),
            }
        })?
    }
}

async fn set(handle: &Handle, link: LinkMessage) -> Result<(), rtnetlink::Error> {
    handle.link().set(link).execute().await
}

async fn index(handle: &Handle, name: &str) -> Result<u32, rtnetlink::Error> {
    let link = handle.link().get().match_name(name).execute().try_next().await?;
    link.map(|link| link.header.index).ok_or(rtnetlink::Error::RequestFailed)
}
