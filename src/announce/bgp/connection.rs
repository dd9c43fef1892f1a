//! One TCP connection to a peer: octets in become messages, messages out become octets. Neither waits for the other.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use vipcast_proto::bgp::fsm::Outgoing;
use vipcast_proto::bgp::types::Message;
use vipcast_proto::bgp::wire::{Decoder, Parameters, Refused, encode};

use super::outbox::{Outbox, Wrote};
use crate::clock;
use crate::net::tcp;

/// A connection and what has been read from it but not understood yet: less than a message and a read.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    buffer: BytesMut,
    outbox: Outbox,
    farewell: Option<Bytes>,
    /// Until when what waits may be written.
    permitted: Option<Instant>,
    /// Octets that were written and have not left this host.
    unsent: usize,
    /// When to look again whether they have.
    look: Duration,
    /// The batch is written, and not all of it has left.
    leaving: bool,
    /// Nothing can be written any more; what the peer said before is still read.
    broken: Option<io::Error>,
}

/// What happened on it.
#[derive(Debug)]
pub(super) enum Occurrence {
    /// The peer sent a message.
    Received(Message),
    /// It sent something else.
    Refused(Refused),
    /// Octets have left for the peer.
    Wrote(Wrote),
    /// The permission for what waits to be written is over: it was not written.
    Forbidden,
    /// It is over; how, in words.
    Closed(String),
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            decoder: Decoder::new(),
            buffer: BytesMut::new(),
            outbox: Outbox::default(),
            farewell: None,
            permitted: None,
            unsent: 0,
            look: LOOK,
            leaving: false,
            broken: None,
        }
    }

    /// Our end.
    pub(super) fn local(&self) -> Option<IpAddr> {
        self.stream.local_addr().ok().map(|address| address.ip())
    }

    /// How messages read from now on.
    pub(super) fn set(&mut self, parameters: Parameters) {
        self.decoder.set(parameters);
    }

    pub(super) fn send(&mut self, message: &Outgoing) {
        let mut octets = BytesMut::new();
        match message {
            Outgoing::Open(open) => encode::open(open, &mut octets),
            Outgoing::Keepalive => {
                encode::keepalive(&mut octets);
                return self.outbox.push_keepalive(octets.freeze());
            }
            Outgoing::Notification(notification) => {
                encode::notification(notification, &mut octets);
                // Always the last word: what waits before it need not be said any more.
                self.farewell = Some(octets.freeze());
                return;
            }
        }
        self.outbox.push(octets.freeze());
    }

    /// Until when what waits may be written; `None`: whenever it is.
    pub(super) fn permit(&mut self, until: Option<Instant>) {
        self.permitted = until;
    }

    /// UPDATEs, when those of before are written.
    pub(super) fn send_batch(&mut self, octets: Vec<Bytes>) {
        self.outbox.push_batch(octets);
    }

    /// Whether UPDATEs are under way.
    pub(super) fn has_batch(&self) -> bool {
        self.outbox.has_batch() || self.leaving
    }

    /// What happens next; may be dropped and called again.
    pub(super) async fn next(&mut self) -> Occurrence {
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(message)) => return Occurrence::Received(message),
                Ok(None) => {}
                Err(refused) => return Occurrence::Refused(refused),
            }
            match self.exchange().await {
                Ok(None) => {}
                Ok(Some(occurrence)) => return occurrence,
                Err(error) => return Occurrence::Closed(in_words(&error)),
            }
        }
    }

    /// Reads or writes once, whichever is possible; neither twice in a row where both are.
    async fn exchange(&mut self) -> io::Result<Option<Occurrence>> {
        if let Some(error) = self.broken.take() {
            self.buffer.reserve(READ_LEN);
            let read = self.stream.try_read_buf(&mut self.buffer);
            return match read {
                Ok(octets) if octets > 0 => {
                    self.broken = Some(error);
                    Ok(None)
                }
                Ok(_) | Err(_) => Err(error),
            };
        }
        let interest =
            if self.outbox.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        let ready = if self.unsent > 0 {
            // Nothing tells when octets leave.
            match timeout(self.look, self.stream.ready(interest)).await {
                Ok(ready) => ready?,
                Err(_) => return Ok(self.left(0)),
            }
        } else {
            self.stream.ready(interest).await?
        };
        if ready.is_readable() {
            self.read()?;
        }
        if ready.is_writable() && !self.outbox.is_empty() {
            return self.write();
        }
        Ok(None)
    }

    fn read(&mut self) -> io::Result<()> {
        self.buffer.reserve(READ_LEN);
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> io::Result<Option<Occurrence>> {
        // Time may have passed since it was queued: a frozen process wakes up here.
        if self.permitted.is_some_and(|until| until <= clock::now()) {
            return Ok(Some(Occurrence::Forbidden));
        }
        match self.stream.try_write_vectored(&self.outbox.slices()) {
            Ok(octets) => {
                self.leaving |= self.outbox.advance(octets) == Wrote::Batch;
                Ok(self.left(octets))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                self.broken = Some(error);
                Ok(None)
            }
        }
    }

    /// Whether octets have left this host, where so many more were written: a peer that reads nothing lets the kernel fill
    /// its buffers, and has been told nothing by that.
    fn left(&mut self, written: usize) -> Option<Occurrence> {
        let before = self.unsent + written;
        self.unsent = tcp::unsent(&self.stream);
        if self.unsent == 0 && std::mem::take(&mut self.leaving) {
            return Some(Occurrence::Wrote(Wrote::Batch));
        }
        self.look = if self.unsent < before { LOOK } else { (self.look * 2).min(SELDOM) };
        (self.unsent < before).then_some(Occurrence::Wrote(Wrote::Something))
    }

    /// Says the last word, if there is one, and closes; takes no longer than a moment.
    pub(super) async fn close(mut self) {
        let Some(farewell) = self.farewell.take() else { return };
        let last = self.outbox.last(Some(farewell));
        // A peer that does not read does not get it.
        drop(timeout(FAREWELL, part(&mut self.stream, last)).await);
    }

    /// Ends it at once, and so that the peer notices even if it does not read.
    pub(super) fn reset(self) {
        tcp::reset(self.stream);
    }
}

/// Octets that are not read when a socket is closed make a reset of it, which may overtake what was written.
async fn part(stream: &mut TcpStream, last: VecDeque<Bytes>) -> io::Result<()> {
    for octets in last {
        stream.write_all(&octets).await?;
    }
    stream.shutdown().await?;
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's enum, of which we know enough")]
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "peer closed the connection".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "peer reset the connection".into(),
        io::ErrorKind::TimedOut => "connection lost: the peer acknowledges nothing any more".into(),
        _ => format!("connection lost: {error}"),
    }
}

/// As much as is read before it is looked at.
const READ_LEN: usize = 16 * 1024;
/// How soon it is noticed that octets have left, and how soon at the latest.
const LOOK: Duration = Duration::from_millis(2);
const SELDOM: Duration = Duration::from_millis(64);
/// How long a last word may take to be read.
const FAREWELL: Duration = Duration::from_millis(500);
