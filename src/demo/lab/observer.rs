//! The observer: asks the whole LAN fifty times a second who has the VIP, and hears everybody who answers.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::error::{LabError, Result};
use super::frame::{self, Heard};
use super::lan::{Host, Mac};
use super::sightings::{Announcement, Log, PERIOD, Sightings};
use super::sys;
use crate::clock;

/// A running observer of one VIP; ends when dropped.
#[derive(Debug)]
pub struct Observer {
    log: Log,
    events: Receiver<Event>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    /// Starts asking for `vip` from `host`, by ARP or by neighbour solicitation.
    pub fn start(host: &Host, vip: IpAddr) -> Result<Self> {
        let (report, events) = channel();
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let (interface, mac) = (host.interface, host.mac);
        let setup = move || open(interface, vip);
        let thread = host.namespace.spawn("observer", setup, move |socket| {
            let mut asking = Asking { socket, vip, mac, report };
            asking.run(&until);
        });
        let thread = thread.map_err(|source| LabError::Socket { what: "starting the observer", source })?;
        Ok(Self { log: Log::default(), events, ended, thread: Some(thread) })
    }

    /// What was seen after `from` and up to `to`.
    pub fn sightings(&mut self, from: Instant, to: Instant) -> Sightings {
        for event in self.events.try_iter() {
            match event {
                Event::Asked(at) => self.log.asked(at),
                Event::Answered { round, owner } => self.log.answered(round, owner),
                Event::Announced(announcement) => self.log.announced(announcement),
            }
        }
        self.log.sightings(from, to)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
enum Event {
    Asked(Instant),
    Answered { round: usize, owner: Mac },
    Announced(Announcement),
}

struct Asking {
    socket: Socket,
    vip: IpAddr,
    mac: Mac,
    report: Sender<Event>,
}

impl Asking {
    fn run(&mut self, ended: &AtomicBool) {
        for round in 0.. {
            let at = clock::now();
            if ended.load(Ordering::Relaxed) || self.report.send(Event::Asked(at)).is_err() {
                return;
            }
            let question = frame::question(self.mac, asker(self.vip, round), self.vip);
            // A LAN that is down answers nothing; that is what the round will say.
            let _ = self.socket.send(&question.unwrap_or_default());
            self.listen(round, at + PERIOD);
        }
    }

    fn listen(&mut self, round: usize, until: Instant) {
        let mut frame = [0; 1514];
        loop {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return;
            }
            let heard = match self.socket.read(&mut frame) {
                Ok(length) => frame.get(..length).and_then(|frame| frame::parse(frame, self.vip)),
                Err(_) => None,
            };
            if let Some(event) = heard.and_then(|heard| self.event(heard, round)) {
                let _ = self.report.send(event);
            }
        }
    }

    fn event(&self, heard: Heard, round: usize) -> Option<Event> {
        match heard {
            Heard::Announcement { owner } => Some(Event::Announced(Announcement { owner, at: clock::now() })),
            Heard::Answer { owner, asker } => {
                round_of(self.vip, asker, round).map(|round| Event::Answered { round, owner })
            }
        }
    }
}

fn open(interface: u32, vip: IpAddr) -> io::Result<Socket> {
    // Protocol 0 until it is bound: no frame of another interface or kind is ever queued.
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    socket.bind(&sys::packet_address(interface, frame::ethertype(vip))?)?;
    socket.set_write_timeout(Some(Duration::from_millis(100)))?;
    Ok(socket)
}

/// Each round asks from another address, and the answer repeats it: so an answer that comes late is not counted
/// in the round of another question.
fn asker(vip: IpAddr, round: usize) -> IpAddr {
    let turn = FIRST_ASKER + u8::try_from(round % ASKERS).unwrap_or_default();
    match vip {
        IpAddr::V4(vip) => {
            let [a, b, c, _] = vip.octets();
            Ipv4Addr::new(a, b, c, turn).into()
        }
        IpAddr::V6(vip) => {
            let [a, b, c, d, ..] = vip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0xa, turn.into()).into()
        }
    }
}

/// The latest round up to `current` that asked from this address.
fn round_of(vip: IpAddr, asked_from: IpAddr, current: usize) -> Option<usize> {
    let first = current.saturating_sub(ASKERS - 1);
    (first..=current).rev().find(|round| asker(vip, *round) == asked_from)
}

const FIRST_ASKER: u8 = 200;
/// Few enough for the neighbour tables of the nodes, enough for answers that are more than half a second late.
const ASKERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_belongs_to_the_round_that_asked() {
        let vip = "10.77.0.100".parse().unwrap();
        assert_eq!(asker(vip, 33), "10.77.0.201".parse::<IpAddr>().unwrap());
        assert_eq!(round_of(vip, asker(vip, 33), 40), Some(33));
        assert_eq!(round_of(vip, asker(vip, 33), 33), Some(33));
        assert_eq!(round_of(vip, "10.77.0.4".parse().unwrap(), 40), None);
    }
}
