//! UDP with what the kernel knows of a datagram besides its payload: when it arrived, where, and how far it had come.

use std::fmt;
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use socket2::{Domain, Protocol, Socket, Type};

use super::control::{self, Control};

/// Receives all datagrams of one family and port, many with one call and without waiting.
pub struct Receiver {
    socket: Socket,
    batch: Box<Batch>,
    filled: usize,
}

/// A received datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// Its payload, or the first [`PAYLOAD_LEN`] octets.
    pub payload: &'a [u8],
    /// The sender's address.
    pub source: IpAddr,
    /// Ours.
    pub destination: IpAddr,
    /// The index of the interface.
    pub interface: u32,
    /// TTL or hop limit on arrival.
    pub ttl: Option<u8>,
    /// When the kernel received it, by the wall clock.
    pub stamp: Option<SystemTime>,
}

/// Where a datagram of one's own goes, and where it comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route<'a> {
    /// The other end, with the scope of a link-local address.
    pub remote: SocketAddr,
    /// Our address, where it is fixed.
    pub local: Option<IpAddr>,
    /// Our port.
    pub source_port: u16,
    /// The only interface that it may leave by.
    pub interface: Option<&'a str>,
}

impl Receiver {
    /// Listens on `port` of all addresses of the family that `any` belongs to.
    ///
    /// # Errors
    /// The port is taken, or the family is switched off.
    pub fn bind(any: IpAddr, port: u16) -> io::Result<Self> {
        let socket = udp(any)?;
        let fd = socket.as_raw_fd();
        match any {
            IpAddr::V4(_) => {
                enable(fd, libc::IPPROTO_IP, libc::IP_PKTINFO)?;
                enable(fd, libc::IPPROTO_IP, libc::IP_RECVTTL)?;
            }
            IpAddr::V6(_) => {
                socket.set_only_v6(true)?;
                enable(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)?;
                enable(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT)?;
            }
        }
        enable(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
        // What arrives while we cannot read has to be there afterwards. Without CAP_NET_ADMIN the kernel's maximum has to do.
        set(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, QUEUE_LEN)
            .or_else(|_| set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, QUEUE_LEN))?;
        socket.bind(&SocketAddr::new(any, port).into())?;
        Ok(Self { socket, batch: Box::default(), filled: 0 })
    }

    /// Reads what is there; true where there may be more. What was read before is gone.
    ///
    /// # Errors
    /// The socket is unusable.
    pub fn receive(&mut self) -> io::Result<bool> {
        self.filled = 0;
        self.filled = match self.batch.fill(&self.socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            filled => filled?,
        };
        Ok(self.filled == BATCH)
    }

    /// What was read; without what came from nowhere.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.batch.slots.iter().take(self.filled).filter_map(Slot::datagram)
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A socket that sends to one place only, with TTL or hop limit 255 and the class of network control (CS6).
///
/// # Errors
/// The port is taken, the interface missing, or there is no way to the other end at present.
pub fn sender(route: &Route<'_>) -> io::Result<Socket> {
    let socket = udp(route.remote.ip())?;
    match route.remote {
        SocketAddr::V4(_) => {
            socket.set_ttl_v4(FARTHEST)?;
            socket.set_tos_v4(NETWORK_CONTROL)?;
        }
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_unicast_hops_v6(FARTHEST)?;
            socket.set_tclass_v6(NETWORK_CONTROL)?;
        }
    }
    // Nobody reads here.
    socket.set_recv_buffer_size(0)?;
    if let Some(interface) = route.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    let mut from =
        SocketAddr::new(route.local.unwrap_or_else(|| unspecified(route.remote.ip())), route.source_port);
    if let (SocketAddr::V6(from), SocketAddr::V6(to)) = (&mut from, route.remote)
        && from.ip().is_unicast_link_local()
    {
        from.set_scope_id(to.scope_id());
    }
    socket.bind(&from.into())?;
    socket.connect(&route.remote.into())?;
    Ok(socket)
}

/// Any address of the same family.
#[must_use]
pub const fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn udp(like: IpAddr) -> io::Result<Socket> {
    let domain = if like.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))
}

fn enable(fd: i32, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    set(fd, level, option, 1)
}

#[expect(unsafe_code, reason = "socket2 has none of these options")]
fn set(fd: i32, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of an argument that outlives the call; a wrong descriptor is an error.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), INT_LEN) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Memory for one call of recvmmsg(2), allocated once.
#[derive(Clone, Debug)]
struct Batch {
    slots: [Slot; BATCH],
}

/// Memory for one datagram. The kernel writes integers only, so that whatever is in it is a valid value.
#[derive(Clone, Copy, Debug)]
struct Slot {
    payload: [u8; PAYLOAD_LEN],
    /// Aligned as control messages are.
    control: [u64; CONTROL_LEN / size_of::<u64>()],
    /// Large enough for either family's.
    source: libc::sockaddr_in6,
    payload_len: usize,
    control_len: usize,
}

impl Default for Batch {
    fn default() -> Self {
        let source = libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        };
        let slot = Slot {
            payload: [0; PAYLOAD_LEN],
            control: [0; CONTROL_LEN / size_of::<u64>()],
            source,
            payload_len: 0,
            control_len: 0,
        };
        Self { slots: [slot; BATCH] }
    }
}

impl Batch {
    /// How many datagrams were read.
    #[expect(unsafe_code, reason = "recvmmsg(2) has no safe wrapper among our dependencies")]
    fn fill(&mut self, socket: &Socket) -> io::Result<usize> {
        let mut vectors = self.slots.each_mut().map(|slot| libc::iovec {
            iov_base: slot.payload.as_mut_ptr().cast(),
            iov_len: slot.payload.len(),
        });
        let mut pointers = vectors.iter_mut().zip(&mut self.slots).map(|(vector, slot)| {
            // SAFETY: a message header of zeros is one without name, vector and control.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = (&raw mut slot.source).cast();
            header.msg_hdr.msg_namelen = SOURCE_LEN;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN;
            header
        });
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] =
            std::array::from_fn(|_| pointers.next().unwrap_or_else(|| unsafe { std::mem::zeroed() }));
        drop(pointers);
        // SAFETY: each header points to memory of its own slot and vector, with the lengths of that memory, all of which
        // outlive the call; the count is that of the headers.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(count) {
            slot.payload_len = usize::try_from(header.msg_len).unwrap_or(PAYLOAD_LEN);
            slot.control_len = header.msg_hdr.msg_controllen;
        }
        Ok(count)
    }
}

impl Slot {
    fn datagram(&self) -> Option<Datagram<'_>> {
        let control = self.control();
        let source = self.source()?;
        Some(Datagram {
            payload: self.payload.get(..self.payload_len.min(PAYLOAD_LEN))?,
            source,
            destination: control.destination.unwrap_or_else(|| unspecified(source)),
            interface: control.interface.unwrap_or_default(),
            ttl: control.ttl,
            stamp: control.stamp.and_then(|since| UNIX_EPOCH.checked_add(since)),
        })
    }

    fn control(&self) -> Control {
        let mut octets = [0; CONTROL_LEN];
        for (chunk, word) in octets.chunks_exact_mut(size_of::<u64>()).zip(self.control) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        control::parse(octets.get(..self.control_len.min(CONTROL_LEN)).unwrap_or_default())
    }

    /// An IPv4 address follows the port, where IPv6 has its flow label.
    fn source(&self) -> Option<IpAddr> {
        match libc::c_int::from(self.source.sin6_family) {
            libc::AF_INET => Some(IpAddr::from(self.source.sin6_flowinfo.to_ne_bytes())),
            libc::AF_INET6 => Some(IpAddr::from(self.source.sin6_addr.s6_addr)),
            _ => None,
        }
    }
}

impl Datagram<'_> {
    /// How long ago the kernel received it, as the wall clock says `now`.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        self.stamp.and_then(|stamp| now.duration_since(stamp).ok()).unwrap_or_default()
    }
}

/// As much of a payload as is kept.
pub const PAYLOAD_LEN: usize = 256;
/// Datagrams that are read by one call.
const BATCH: usize = 16;
/// TTL, address and interface, and time of either family take less than 100 octets.
const CONTROL_LEN: usize = 128;
/// Thousands of datagrams, each of which costs the kernel most of a kilobyte.
const QUEUE_LEN: libc::c_int = 4 << 20;
const FARTHEST: u32 = 255;
const NETWORK_CONTROL: u32 = 0xc0;
const INT_LEN: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
const SOURCE_LEN: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn exchange(address: &str, port: u16) -> (Datagram<'static>, Vec<u8>, u16) {
        let address: IpAddr = address.parse().unwrap();
        let mut receiver = Receiver::bind(address, 0).unwrap();
        let to = receiver.socket.local_addr().unwrap().as_socket().unwrap();
        let route = Route { remote: to, local: Some(address), source_port: port, interface: None };
        let sender = sender(&route).unwrap();
        assert_eq!(sender.send(b"hello").unwrap(), 5);
        while !receiver.receive().unwrap() && receiver.filled == 0 {}
        let seen: Vec<_> = receiver.datagrams().collect();
        let &[datagram] = &seen[..] else { panic!("{seen:?}") };
        let payload = datagram.payload.to_vec();
        (Datagram { payload: b"", ..datagram }, payload, receiver.batch.slots[0].source.sin6_port.to_be())
    }

    #[test]
    fn the_kernel_tells_when_and_where_and_from_how_far_a_datagram_came() {
        for address in ["127.0.0.1", "::1"] {
            let before = clock::wall();
            let (datagram, payload, port) = exchange(address, 0);
            let after = clock::wall();
            assert_eq!(payload, b"hello");
            assert_ne!(port, 0);
            let stamp = datagram.stamp.unwrap();
            assert!((before..=after).contains(&stamp), "{before:?} {stamp:?} {after:?}");
            assert_eq!(datagram.age(stamp + Duration::from_millis(3)), Duration::from_millis(3));
            assert_eq!(datagram.age(stamp - Duration::from_millis(3)), Duration::ZERO);
            let address: IpAddr = address.parse().unwrap();
            let expected = Datagram {
                payload: b"",
                source: address,
                destination: address,
                interface: 1,
                ttl: Some(255),
                stamp: Some(stamp),
            };
            assert_eq!(datagram, expected);
        }
    }

    #[test]
    fn more_than_a_batch_is_read_in_several_calls_and_in_order() {
        let any: IpAddr = "127.0.0.1".parse().unwrap();
        let mut receiver = Receiver::bind(any, 0).unwrap();
        let to = receiver.socket.local_addr().unwrap().as_socket().unwrap();
        let sender = sender(&Route { remote: to, local: None, source_port: 0, interface: None }).unwrap();
        for number in 0..40_u8 {
            sender.send(&[number; 300]).unwrap();
        }
        let mut read = Vec::new();
        let mut more = true;
        while more {
            more = receiver.receive().unwrap();
            read.extend(receiver.datagrams().map(|datagram| (datagram.payload[0], datagram.payload.len())));
        }
        assert_eq!(read, (0..40).map(|number| (number, PAYLOAD_LEN)).collect::<Vec<_>>());
    }
}
