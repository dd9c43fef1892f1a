//! The client: a thousand numbered datagrams a second through the VIP, and who answered each.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::{LabError, Result};
use super::lan::Host;
use super::trace::{Answer, Reach, Sent, Trace};
use crate::clock;

/// A running client; ends when dropped.
#[derive(Debug)]
pub struct Client {
    trace: Trace,
    records: Receiver<Record>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    /// Starts sending to `vip` from `host`.
    pub fn start(host: &Host, vip: SocketAddr) -> Result<Self> {
        let (report, records) = channel();
        let ended = Arc::new(AtomicBool::new(false));
        let socket = host.namespace.run(move || connect(vip))?;
        let socket = socket.map_err(failed)?;
        let other = socket.try_clone().map_err(failed)?;
        let (sending, receiving) = (Arc::clone(&ended), Arc::clone(&ended));
        let reporting = report.clone();
        let threads = vec![
            start("client-send", move || send(&socket, &reporting, &sending))?,
            start("client-recv", move || receive(&other, &report, &receiving))?,
        ];
        Ok(Self { trace: Trace::default(), records, ended, threads })
    }

    /// How the VIP could be reached after `from` and up to `to`.
    pub fn reach(&mut self, from: Instant, to: Instant) -> Reach {
        self.trace().reach(from, to)
    }

    /// Who answered last, and when.
    pub fn last(&mut self) -> Option<Answer> {
        self.trace().last()
    }

    /// The first answer after `from` by somebody whom `accepted` likes.
    pub fn first_after(&mut self, from: Instant, accepted: impl Fn(u8) -> bool) -> Option<Answer> {
        self.trace().first_after(from, accepted)
    }

    fn trace(&mut self) -> &Trace {
        for record in self.records.try_iter() {
            match record {
                Record::Sent(sent) => self.trace.sent(sent),
                Record::Answered(answer) => self.trace.answered(answer),
            }
        }
        &self.trace
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
enum Record {
    Sent(Sent),
    Answered(Answer),
}

/// A socket keeps the namespace it was made in; its threads need not be there. Not connected: what ICMP says about
/// one datagram must not be mistaken for a refusal of the next.
fn connect(vip: SocketAddr) -> io::Result<Socket> {
    let any: SocketAddr = match vip {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    Ok(Socket { socket, vip })
}

#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    vip: SocketAddr,
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        self.socket.try_clone().map(|socket| Self { socket, vip: self.vip })
    }
}

/// Sends at planned instants. Who wakes late sends one datagram, not the whole backlog.
fn send(socket: &Socket, report: &Sender<Record>, ended: &AtomicBool) {
    let mut planned = clock::now();
    for sequence in 0_u64.. {
        thread::sleep(planned.saturating_duration_since(clock::now()));
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let at = clock::now();
        let late = at.saturating_duration_since(planned);
        // Recorded first, so that no answer is known before its question.
        if report.send(Record::Sent(Sent { at, late })).is_err() {
            return;
        }
        // "No route to host" is what an unheld VIP looks like: an unanswered datagram like any other.
        let _ = socket.socket.send_to(&sequence.to_be_bytes(), socket.vip);
        planned = (planned + PERIOD).max(at);
    }
}

fn receive(socket: &Socket, report: &Sender<Record>, ended: &AtomicBool) {
    let mut datagram = [0; 64];
    while !ended.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.socket.recv_from(&mut datagram) else {
            continue;
        };
        let at = clock::now();
        let answer = datagram.get(..length).and_then(|datagram| parse(datagram, at));
        if let Some(answer) = answer.filter(|_| from == socket.vip)
            && report.send(Record::Answered(answer)).is_err()
        {
            return;
        }
    }
}

fn parse(datagram: &[u8], at: Instant) -> Option<Answer> {
    let (sequence, rest) = datagram.split_first_chunk()?;
    let sequence = usize::try_from(u64::from_be_bytes(*sequence)).ok()?;
    let [node] = rest else { return None };
    Some(Answer { sequence, node: *node, at })
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(failed)
}

fn failed(source: io::Error) -> LabError {
    LabError::Socket { what: "starting the client", source }
}

/// A thousand a second.
const PERIOD: Duration = Duration::from_millis(1);
/// How often a client that hears nothing looks whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);
