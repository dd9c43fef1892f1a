//! The service behind the VIP: on each node a responder that answers from the VIP and says which node it is.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::error::{LabError, Result};
use super::lan::Host;

/// A responder on one node; ends when dropped.
#[derive(Debug)]
pub struct Echo {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Answers datagrams to `vip` on `host`, whenever its kernel has the VIP. Each answer is the question with the
    /// node's `identity` appended.
    pub fn start(host: &Host, vip: SocketAddr, identity: u8) -> Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let name = format!("echo-{}", host.name);
        let work = move |socket: UdpSocket| answer(&socket, identity, &until);
        let thread = host.namespace.spawn(&name, move || bind(vip), work);
        let thread = thread.map_err(|source| LabError::Socket { what: "starting a responder", source })?;
        Ok(Self { ended, thread: Some(thread) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `IP_FREEBIND`: the VIP need not be there yet.
fn bind(vip: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(vip), Type::DGRAM, Some(Protocol::UDP))?;
    match vip {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    socket.bind(&vip.into())?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(LOOK_UP))?;
    Ok(socket)
}

fn answer(socket: &UdpSocket, identity: u8, ended: &AtomicBool) {
    let mut datagram = [0; MAX_QUESTION + 1];
    while !ended.load(Ordering::Relaxed) {
        let question = datagram.get_mut(..MAX_QUESTION).unwrap_or_default();
        // Time-outs, and what ICMP reports about earlier answers, are no reason to stop.
        let Ok((length, asker)) = socket.recv_from(question) else {
            continue;
        };
        if let Some(place) = datagram.get_mut(length) {
            *place = identity;
        }
        // Refused where the VIP has just gone: then nobody is to answer from it.
        let _ = socket.send_to(datagram.get(..=length).unwrap_or_default(), asker);
    }
}

const MAX_QUESTION: usize = 64;
/// How often a silent responder looks whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);
