//! Who is a router on a link: heard by its advertisements (RFC 4861 §4.2), for which it is asked.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv6Addr, SocketAddrV6};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;

use super::socket::register;

/// Asks for routers on the link of an interface and waits until one answers, or advertises itself. Needs CAP_NET_RAW.
/// A router whose lifetime as a default router is zero is one, too: we say the same of ourselves, because routers with
/// unnumbered peers (FRR) learn by it who may connect.
///
/// # Errors
/// The capability or the interface is missing.
pub async fn find(interface: &str, index: u32) -> io::Result<Ipv6Addr> {
    let socket = Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(Protocol::ICMPV6))?;
    socket.attach_filter(&FILTER)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_multicast_hops_v6(HOP_LIMIT)?;
    // Else whoever asks at the same time on this node takes us for the router.
    socket.set_multicast_loop_v6(false)?;
    let routers = SocketAddrV6::new(ALL_ROUTERS, 0, 0, index);
    // Without an address on the link yet, nothing leaves; advertisements come all the same.
    drop(socket.send_to(&SOLICITATION, &routers.into()));
    drop(socket.send_to(&ADVERTISEMENT, &SocketAddrV6::new(ALL_NODES, 0, 0, index).into()));
    let socket = register(socket, Interest::READABLE)?;
    loop {
        let mut buffer = [MaybeUninit::uninit(); 64];
        let (_, from) = socket.async_io(Interest::READABLE, |socket| socket.recv_from(&mut buffer)).await?;
        let from = from.as_socket_ipv6().map(|from| *from.ip());
        if let Some(from) = from.filter(Ipv6Addr::is_unicast_link_local) {
            return Ok(from);
        }
    }
}

const fn load(offset: u32) -> SockFilter {
    SockFilter::new((libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16, 0, 0, offset)
}

const fn unless(value: u32, skip: u8) -> SockFilter {
    SockFilter::new((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, skip, value)
}

const fn answer(length: u32) -> SockFilter {
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, length)
}

/// Router Advertisements that no router has forwarded: "The IP Hop Limit field has a value of 255" (RFC 4861 §6.1.2).
static FILTER: [SockFilter; 6] =
    [load(NETWORK_HEADER + 7), unless(HOP_LIMIT, 3), load(0), unless(134, 1), answer(u32::MAX), answer(0)];

/// Type 133, checksum by the kernel, nothing else (RFC 4861 §4.1).
const SOLICITATION: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];
/// Type 134 with a Router Lifetime of zero: "the router is not a default router" (RFC 4861 §4.2); nothing else is said.
const ADVERTISEMENT: [u8; 16] = [134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// `SKF_NET_OFF` of linux/filter.h.
const NETWORK_HEADER: u32 = (-0x10_0000_i32) as u32;
const HOP_LIMIT: u32 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
