//! Raw Ethernet frames: what is sent, and who on the segment is heard to use an address.

use std::fmt;
use std::io::{self, Read};
use std::mem::size_of;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::trace;
use vipcast_proto::l2::ethernet::{MacAddr, Sighting, sighting};

use super::NetError;
use super::frames::solicited_node;

/// A packet socket on one interface, which hears ARP and Neighbor Discovery only.
pub struct FrameSocket {
    socket: AsyncFd<Socket>,
    own: MacAddr,
    on_rejected: Box<dyn Fn() + Send + Sync>,
}

impl FrameSocket {
    /// Listens on interface `index`, whose own address is `own`. Needs CAP_NET_RAW, and a runtime to be called in.
    ///
    /// # Errors
    /// The capability or the interface is missing.
    pub fn open(index: u32, own: MacAddr) -> Result<Self, NetError> {
        let socket =
            listening(index).and_then(|socket| register(socket, Interest::READABLE | Interest::WRITABLE));
        let socket = socket.map_err(|source| NetError::Open { index, source })?;
        Ok(Self { socket, own, on_rejected: Box::new(|| ()) })
    }

    /// Calls `tell` for every frame that is discarded because it is malformed.
    #[must_use]
    pub fn on_rejected(mut self, tell: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_rejected = Box::new(tell);
        self
    }

    /// Sends one frame, Ethernet header included.
    ///
    /// # Errors
    /// The link is down, or the interface is gone.
    pub async fn send(&self, frame: &[u8]) -> Result<(), NetError> {
        let sent = match self.try_send(frame).await {
            // A link that went down and came back leaves its error for the next caller, who is we.
            Err(error) if is_link_down(&error) => self.try_send(frame).await,
            sent => sent,
        };
        sent.map(|_| ()).map_err(NetError::Send)
    }

    /// The next frame of another station that says who uses an address. Cancelling it loses nothing.
    ///
    /// A link that goes down is waited for. An interface that is deleted is never heard again: netlink tells that.
    ///
    /// # Errors
    /// The socket is unusable.
    pub async fn receive(&self) -> Result<Sighting, NetError> {
        let mut buffer = [0; FRAME_LEN];
        loop {
            let length =
                match self.socket.async_io(Interest::READABLE, |mut socket| socket.read(&mut buffer)).await {
                    Ok(length) => length,
                    // Reading the error has cleared it, so that the next wait is a wait.
                    Err(error) if is_link_down(&error) => continue,
                    Err(error) => return Err(NetError::Receive(error)),
                };
            if let Some(sighting) = buffer.get(..length).and_then(|frame| self.foreign(frame)) {
                return Ok(sighting);
            }
        }
    }

    async fn try_send(&self, frame: &[u8]) -> io::Result<usize> {
        self.socket.async_io(Interest::WRITABLE, |socket| socket.send(frame)).await
    }

    /// What another station says. One's own frames may come back, from a switch that loops or a bond's other leg.
    fn foreign(&self, frame: &[u8]) -> Option<Sighting> {
        match sighting(frame) {
            Ok(seen) => seen.filter(|seen| seen.from != self.own),
            Err(reason) => {
                trace!(%reason, "frame discarded");
                (self.on_rejected)();
                None
            }
        }
    }
}

impl fmt::Debug for FrameSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSocket")
            .field("socket", &self.socket)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

/// While it lives, the interface delivers solicitations for an IPv6 address that it does not have (yet), and
/// switches that snoop MLD forward them: duplicate address detection by another node would go unheard otherwise.
#[derive(Debug)]
pub struct SolicitedNodeMembership {
    _socket: Socket,
}

impl SolicitedNodeMembership {
    /// Joins the solicited-node multicast group of `address` on interface `index`.
    ///
    /// # Errors
    /// IPv6 is off, or the interface is missing.
    pub fn join(index: u32, address: Ipv6Addr) -> Result<Self, NetError> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).map_err(NetError::Join)?;
        socket.join_multicast_v6(&solicited_node(address), index).map_err(NetError::Join)?;
        Ok(Self { _socket: socket })
    }
}

/// Protocol 0 until filter and interface are set: not one frame is queued that was not asked for.
pub(super) fn listening(index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), Some(Protocol::from(0)))?;
    socket.attach_filter(&FILTER)?;
    ignore_outgoing(&socket)?;
    socket.bind(&link_layer_address(index)?)?;
    Ok(socket)
}

#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
pub(super) fn register(socket: Socket, interest: Interest) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the socket owns its descriptor and moves into the AsyncFd, which never hands it out; `as_raw_fd` of a
    // Socket answers the same descriptor until it is dropped.
    unsafe { AsyncFd::register_with_interest(socket, interest) }.map_err(io::Error::from)
}

#[expect(unsafe_code, reason = "socket2 has no PACKET_IGNORE_OUTGOING")]
fn ignore_outgoing(socket: &Socket) -> io::Result<()> {
    let enable: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the pointer and the length are those of a local that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            (&raw const enable).cast(),
            INT_LEN,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "socket2 has no constructor for link-layer addresses")]
fn link_layer_address(index: u32) -> io::Result<SockAddr> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is a socket address of plain integers, for which the zeroed storage is a valid value.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET.try_into().map_err(io::Error::other)?;
    address.sll_protocol = ETH_P_ALL.to_be();
    address.sll_ifindex = index;
    // SAFETY: the storage holds a `sockaddr_ll`, and the length is its.
    Ok(unsafe { SockAddr::new(storage, SOCKADDR_LL_LEN) })
}

pub(super) fn is_link_down(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENETDOWN)
}

const fn load(size: u32, offset: u32) -> SockFilter {
    SockFilter::new((libc::BPF_LD | size | libc::BPF_ABS) as u16, 0, 0, offset)
}

const fn jump(test: u32, value: u32, if_true: u8, if_false: u8) -> SockFilter {
    SockFilter::new((libc::BPF_JMP | test | libc::BPF_K) as u16, if_true, if_false, value)
}

const fn answer(length: u32) -> SockFilter {
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, length)
}

/// ARP, or ICMPv6 of type 135 or 136 directly behind an IPv6 header; untagged or with a priority tag only. The kernel
/// takes a VLAN tag off a frame before it comes here, and the frames of all VLANs on a trunk come here: what is said
/// there about an address is not about ours.
static FILTER: [SockFilter; 12] = [
    load(libc::BPF_W, VLAN_TAG),
    jump(libc::BPF_JSET, VLAN_IDENTIFIER, 9, 0),
    load(libc::BPF_H, 12),
    jump(libc::BPF_JEQ, 0x0806, 6, 0),
    jump(libc::BPF_JEQ, 0x86dd, 0, 6),
    load(libc::BPF_B, 20),
    jump(libc::BPF_JEQ, 58, 0, 4),
    load(libc::BPF_B, 54),
    jump(libc::BPF_JEQ, 135, 1, 0),
    jump(libc::BPF_JEQ, 136, 0, 1),
    answer(FRAME_LEN as u32),
    answer(0),
];

/// `SKF_AD_OFF + SKF_AD_VLAN_TAG` of linux/filter.h; the tag is zero where there is none.
const VLAN_TAG: u32 = (-0x1000_i32 + 44) as u32;
const VLAN_IDENTIFIER: u32 = 0x0fff;
const ETH_P_ALL: u16 = 0x0003;
/// More than any Neighbor Discovery message on Ethernet: it has to fit the MTU of 1500.
const FRAME_LEN: usize = 2048;
const INT_LEN: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
const SOCKADDR_LL_LEN: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
