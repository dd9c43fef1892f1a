//! The kernel's side of the network: addresses, links and raw frames.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use ipnet::IpNet;

pub mod burst;
pub mod choice;
mod control;
pub mod datagram;
pub mod frames;
pub mod groups;
pub mod namespace;
pub mod netlink;
pub mod routers;
pub mod socket;
pub mod tcp;
pub mod tcp_key;
pub mod wiring;

/// Whether this node has the address: the kernel then uses it to speak to itself. Nothing is sent.
#[must_use]
pub fn is_ours(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(SocketAddr::new(address, DISCARD))?;
        socket.local_addr()
    };
    source().is_ok_and(|source: SocketAddr| source.ip() == address)
}

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No netlink socket.
    #[error("cannot open a netlink socket")]
    Netlink(#[source] io::Error),
    /// The netlink driver has ended; what became of the request is unknown.
    #[error("the netlink connection is closed")]
    Closed,
    /// The interface was deleted, and there is another one of its name.
    #[error("the interface was made anew")]
    Replaced,
    /// A dump of links, addresses or routes.
    #[error("cannot read the kernel's {what}")]
    Read {
        /// Links, addresses or routes.
        what: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The address was not added, or its lifetime not extended.
    #[error("kernel refused to hold {address}")]
    Hold {
        /// The address.
        address: IpNet,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The address may still be there.
    #[error("kernel refused to drop {address}")]
    Drop {
        /// The address.
        address: IpNet,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel counts lifetimes in seconds, and refuses zero.
    #[error("a lifetime under one second cannot be given to {0}")]
    Lifetime(IpNet),
    /// No packet socket: CAP_NET_RAW is missing, or the interface.
    #[error("cannot open a packet socket on interface {index}")]
    Open {
        /// The interface index.
        index: u32,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A frame did not leave.
    #[error("cannot send a frame")]
    Send(#[source] io::Error),
    /// The socket is unusable.
    #[error("cannot receive frames")]
    Receive(#[source] io::Error),
    /// The interface does not deliver solicitations for an address that it does not have yet.
    #[error("cannot join the solicited-node multicast group")]
    Join(#[source] io::Error),
}

/// The kernel's number for the interface of this name, in the network namespace of the calling thread.
#[must_use]
#[expect(unsafe_code, reason = "the standard library has no interfaces")]
pub fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: the name is NUL-terminated and outlives the call.
    Some(unsafe { libc::if_nametoindex(name.as_ptr()) }).filter(|&index| index != 0)
}

/// A port to which nothing is sent.
const DISCARD: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours_and_a_documentation_address_is_not() {
        assert!(is_ours("127.0.0.1".parse().unwrap()));
        assert!(!is_ours("192.0.2.1".parse().unwrap()));
    }
}
