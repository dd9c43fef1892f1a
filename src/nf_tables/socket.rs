//! The kernel's packet filter over nfnetlink: transactions, questions, and news of what others change.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::message::{Attributes, Batch, Message, find, question};

/// A socket for requests. Its calls block, for as long as the kernel works.
pub(crate) struct NfTables {
    socket: Socket,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

impl NfTables {
    /// Opens the socket in the network namespace of the calling thread, for good.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        // Or a refused batch came back whole, once for each error.
        socket.set_cap_ack(true)?;
        SockRef::from(&socket).set_read_timeout(Some(PATIENCE))?;
        let port = socket.bind_auto()?.port_number();
        Ok(Self { socket, port, sequence: 1, buffer: vec![0; BUFFER] })
    }

    /// By this number the kernel tells our changes from those of others.
    pub(crate) const fn port(&self) -> u32 {
        self.port
    }

    /// Has the kernel carry out what `fill` asks for, as a whole.
    pub(crate) fn transact(&mut self, fill: impl FnOnce(&mut Batch)) -> io::Result<()> {
        let first = self.sequence;
        let mut batch = Batch::begin(first);
        fill(&mut batch);
        let (octets, last) = batch.end();
        self.sequence = last.wrapping_add(2);
        self.send(&octets)?;
        self.outcome(first, last)
    }

    /// The bodies of all answers to a question about tables of a family (`NFPROTO_…`), in order. A table that is not there
    /// is an error.
    pub(crate) fn ask(
        &mut self,
        family: libc::c_int,
        kind: libc::c_int,
        flags: libc::c_int,
        fill: impl Fn(&mut Attributes<'_>),
    ) -> io::Result<Vec<Vec<u8>>> {
        for _ in 0..ATTEMPTS {
            let sequence = self.sequence;
            self.sequence = sequence.wrapping_add(1);
            self.send(&question(family, kind, flags, sequence, &fill))?;
            if let Some(bodies) = self.answers(sequence)? {
                return Ok(bodies);
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// `None` if something changed while the kernel answered. The answers are read to their end all the same, or the next
    /// question would be refused.
    fn answers(&mut self, sequence: u32) -> io::Result<Option<Vec<Vec<u8>>>> {
        let (mut bodies, mut interrupted) = (Vec::new(), false);
        loop {
            let length = self.receive()?;
            let messages = Message::all(self.buffer.get(..length).unwrap_or_default());
            for message in messages.filter(|message| message.sequence == sequence) {
                interrupted |= i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0;
                match (message.status(), message.attributes()) {
                    (Some(status), _) => {
                        return errno(status).map(|()| Some(bodies).filter(|_| !interrupted));
                    }
                    (None, Some(body)) => bodies.push(body.to_vec()),
                    (None, None) => {}
                }
            }
        }
    }

    /// The first error among the answers, up to the acknowledgement of the last request. Where there is no nf_tables,
    /// only the beginning is answered.
    fn outcome(&mut self, first: u32, last: u32) -> io::Result<()> {
        let mut refusal = Ok(());
        loop {
            let length = self.receive()?;
            for message in Message::all(self.buffer.get(..length).unwrap_or_default()) {
                let ours = message.sequence.wrapping_sub(first) <= last.wrapping_sub(first);
                let Some(status) = message.status().filter(|_| ours) else { continue };
                refusal = refusal.and_then(|()| errno(status));
                if message.sequence == last || message.sequence == first {
                    return refusal;
                }
            }
        }
    }

    fn send(&self, octets: &[u8]) -> io::Result<()> {
        // A batch is one datagram; what does not fit is refused. Where the kernel owes us no more than anybody (in a user
        // namespace), there may still be room.
        if octets.len() > MODEST && force_send_buffer(&self.socket, octets.len().saturating_mul(2)).is_err() {
            SockRef::from(&self.socket).set_send_buffer_size(octets.len().saturating_mul(2))?;
        }
        self.socket.send_to(octets, &SocketAddr::new(0, 0), 0).map(drop)
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut place = self.buffer.as_mut_slice();
        self.socket.recv(&mut place, 0)
    }
}

impl std::fmt::Debug for NfTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NfTables").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Hears what is changed in nf_tables.
pub(crate) struct News {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

impl News {
    /// Listens in the network namespace of the calling thread. It has to be called in a runtime.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.set_non_blocking(true)?;
        socket.bind_auto()?;
        socket.add_membership(libc::NFNLGRP_NFTABLES as u32)?;
        Ok(Self { socket: register(socket)?, buffer: vec![0; BUFFER] })
    }

    /// Completes when somebody else than `port` may have changed `table`, which is also so when news were lost.
    /// Cancelling it loses nothing.
    pub(crate) async fn touched(&mut self, table: &str, port: u32) -> io::Result<()> {
        loop {
            let buffer = &mut self.buffer;
            let received = self
                .socket
                .async_io(Interest::READABLE, |socket| {
                    let mut place = buffer.as_mut_slice();
                    socket.recv(&mut place, 0)
                })
                .await;
            let length = match received {
                Ok(length) => length,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
                Err(error) => return Err(error),
            };
            let touched = |message: Message<'_>| message.port != port && is_about(&message, table);
            if Message::all(self.buffer.get(..length).unwrap_or_default()).any(touched) {
                return Ok(());
            }
        }
    }
}

impl std::fmt::Debug for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("News").finish_non_exhaustive()
    }
}

/// Every message of nf_tables that is about a table has the name of the table first.
fn is_about(message: &Message<'_>, table: &str) -> bool {
    let name = message.attributes().and_then(|body| find(body, NAME_OF_TABLE));
    name.and_then(|name| name.strip_suffix(&[0])) == Some(table.as_bytes())
}

fn errno(status: i32) -> io::Result<()> {
    match status {
        0.. => Ok(()),
        refused => Err(io::Error::from_raw_os_error(refused.saturating_neg())),
    }
}

#[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays open")]
fn register(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the socket owns its descriptor and moves into the AsyncFd, which never hands it out; `as_raw_fd` of a
    // Socket answers the same descriptor until it is dropped.
    unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)
}

#[expect(unsafe_code, reason = "the safe libraries know only the option that obeys wmem_max")]
fn force_send_buffer(socket: &Socket, octets: usize) -> io::Result<()> {
    let size = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX / 2);
    // SAFETY: the option is an int, which outlives the call, and its length is said.
    let returned = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            std::ptr::from_ref(&size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) const NAME_OF_TABLE: libc::c_int = 1;
/// More than the kernel puts into one datagram.
const BUFFER: usize = 1 << 16;
/// What fits into the send buffer that every socket has.
const MODEST: usize = 1 << 15;
/// How often a question is asked whose answer is overtaken by changes.
const ATTEMPTS: usize = 5;
/// The kernel answers while it is asked; this is for the case that it does not.
const PATIENCE: Duration = Duration::from_secs(5);
