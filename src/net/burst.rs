//! Raw Ethernet frames by the dozen: many are read, and many sent, with one call that never waits.

use std::fmt;
use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime};

use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::NetError;
use super::control;
use super::socket::{is_link_down, listening, register};

/// A packet socket on one interface, which hears ARP and Neighbor Discovery only.
pub struct BurstSocket {
    socket: AsyncFd<Socket>,
    index: u32,
    slots: Box<[Slot; BATCH]>,
    filled: usize,
}

/// A frame that was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// Its octets, or the first [`FRAME_LEN`] of them.
    pub octets: &'a [u8],
    /// When the kernel received it, by the wall clock, since the epoch.
    stamp: Option<Duration>,
}

/// How sending went on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// So many of the frames left; the others may be tried at once.
    Some(usize),
    /// There is no room for the first of them.
    Full,
    /// The link is down.
    Down,
}

impl BurstSocket {
    /// Listens on interface `index`. Needs CAP_NET_RAW, and a runtime to be called in.
    ///
    /// # Errors
    /// The capability or the interface is missing.
    pub fn open(index: u32) -> Result<Self, NetError> {
        let open = || {
            let socket = listening(index)?;
            set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1)?;
            // Thousands that ask at once wait here for their answer. Without CAP_NET_ADMIN the kernel's maximum has to do.
            set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &QUEUE_LEN)
                .or_else(|_| set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &QUEUE_LEN))?;
            // Whoever finds no room tries again later. To be woken for each frame that has left costs as much as to send it.
            register(socket, Interest::READABLE)
        };
        let socket = open().map_err(|source| NetError::Open { index, source })?;
        Ok(Self { socket, index, slots: Box::new([const { Slot::EMPTY }; BATCH]), filled: 0 })
    }

    /// Waits until there is something to read. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// Reads what is there, without waiting; true where there may be more. What was read before is gone.
    ///
    /// # Errors
    /// The socket is unusable.
    pub fn receive(&mut self) -> Result<bool, NetError> {
        let Self { socket, slots, .. } = self;
        let read = socket.try_io(Interest::READABLE, |socket| fill(slots, socket));
        self.filled = match read {
            Ok(filled) => filled,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || is_link_down(&error) => 0,
            Err(error) => return Err(NetError::Receive(error)),
        };
        Ok(self.filled == BATCH)
    }

    /// What was read.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.slots.iter().take(self.filled).filter_map(Slot::frame)
    }

    /// Sends these frames, Ethernet headers included, [`BATCH`] of them at most, without waiting.
    ///
    /// # Errors
    /// The next frame cannot leave, and trying it again is of no use.
    pub fn send<'a>(&self, frames: impl Iterator<Item = &'a [u8]>) -> Result<Sent, NetError> {
        let mut vectors: Vec<libc::iovec> = frames.take(BATCH).map(vector).collect();
        match send(self.socket.get_ref(), &mut vectors) {
            Ok(sent) => Ok(Sent::Some(sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Sent::Full),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(Sent::Full),
            Err(error) if is_link_down(&error) => Ok(Sent::Down),
            Err(error) => Err(NetError::Send(error)),
        }
    }

    /// Whether the interface is to deliver every multicast frame.
    pub(super) fn all_multicast(&self, wanted: bool) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: i32::try_from(self.index).map_err(io::Error::other)?,
            mr_type: libc::PACKET_MR_ALLMULTI as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        let option = if wanted { libc::PACKET_ADD_MEMBERSHIP } else { libc::PACKET_DROP_MEMBERSHIP };
        set(self.socket.get_ref(), libc::SOL_PACKET, option, &request)
    }
}

impl fmt::Debug for BurstSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BurstSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Frame<'_> {
    /// How long ago the kernel received it, as the wall clock says `now`; nothing where the clock was set back since.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        let stamp = self.stamp.and_then(|stamp| SystemTime::UNIX_EPOCH.checked_add(stamp));
        stamp.and_then(|stamp| now.duration_since(stamp).ok()).unwrap_or_default()
    }
}

/// Memory for one frame. The kernel writes integers only, so that whatever is in it is a valid value.
#[derive(Clone, Debug)]
struct Slot {
    octets: [u8; FRAME_LEN],
    /// Aligned as control messages are.
    control: [u64; CONTROL_LEN / size_of::<u64>()],
    length: usize,
    control_length: usize,
}

impl Slot {
    const EMPTY: Self = Self {
        octets: [0; FRAME_LEN],
        control: [0; CONTROL_LEN / size_of::<u64>()],
        length: 0,
        control_length: 0,
    };

    fn frame(&self) -> Option<Frame<'_>> {
        let mut octets = [0; CONTROL_LEN];
        for (chunk, word) in octets.chunks_exact_mut(size_of::<u64>()).zip(self.control) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        let control = control::parse(octets.get(..self.control_length.min(CONTROL_LEN))?);
        Some(Frame { octets: self.octets.get(..self.length.min(FRAME_LEN))?, stamp: control.stamp })
    }
}

fn vector(frame: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }
}

/// A message of one vector; without name and control.
#[expect(unsafe_code, reason = "a message header has private padding, and is made of zeros")]
fn message(vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: a message header of zeros is one without name, vector and control.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
}

/// How many frames were read.
#[expect(unsafe_code, reason = "recvmmsg(2) has no safe wrapper among our dependencies")]
fn fill(slots: &mut [Slot; BATCH], socket: &Socket) -> io::Result<usize> {
    let mut vectors = slots
        .each_mut()
        .map(|slot| libc::iovec { iov_base: slot.octets.as_mut_ptr().cast(), iov_len: slot.octets.len() });
    let mut headers = vectors.each_mut().map(message);
    for (header, slot) in headers.iter_mut().zip(slots.iter_mut()) {
        header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = CONTROL_LEN;
    }
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
    for (slot, header) in slots.iter_mut().zip(&headers).take(count) {
        slot.length = usize::try_from(header.msg_len).unwrap_or(FRAME_LEN);
        slot.control_length = header.msg_hdr.msg_controllen;
    }
    Ok(count)
}

/// How many of the frames left.
#[expect(unsafe_code, reason = "sendmmsg(2) has no safe wrapper among our dependencies")]
fn send(socket: &Socket, vectors: &mut [libc::iovec]) -> io::Result<usize> {
    if vectors.is_empty() {
        return Ok(0);
    }
    let mut headers: Vec<libc::mmsghdr> = vectors.iter_mut().map(message).collect();
    let length = libc::c_uint::try_from(headers.len()).map_err(io::Error::other)?;
    // SAFETY: each header points to one vector, which points to a frame that the caller borrows; the kernel reads both and
    // writes only into the headers; the count is theirs.
    let count =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), length, libc::MSG_DONTWAIT) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

#[expect(unsafe_code, reason = "socket2 has none of these options")]
fn set<T>(socket: &Socket, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let value: *const T = value;
    // SAFETY: the descriptor is open, and the pointer and the length are those of an argument that outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Frames that are read or sent by one call.
pub const BATCH: usize = 64;

/// Several times what a question or an answer has; who pads more is not understood.
pub const FRAME_LEN: usize = 512;

/// A time stamp takes 32 octets.
const CONTROL_LEN: usize = 64;

/// Some five thousand frames, each of which costs the kernel most of a kilobyte.
const QUEUE_LEN: libc::c_int = 4 << 20;
