//! A station on the LAN that hears every ARP frame, and asks for some addresses fifty times a second.

#![allow(dead_code, reason = "the benchmark asks for more than the tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use vipcast::clock;
use vipcast::demo::lab::frame::{self, Heard};
use vipcast::demo::lab::lan::{Host, Mac};
use vipcast::demo::lab::sightings::{Log, PERIOD};
use vipcast::demo::lab::sys;

use super::census;

/// A running station; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Panel {
    logs: BTreeMap<IpAddr, Log>,
    said: Vec<Said>,
    events: Receiver<Event>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A node says that an address is its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) at: Instant,
    pub(crate) address: IpAddr,
    pub(crate) owner: Mac,
    /// To nobody in particular.
    pub(crate) unasked: bool,
}

#[derive(Debug)]
enum Event {
    /// All addresses are asked for.
    Round(Instant),
    Answered(usize, Said),
    Announced(Said),
}

impl Panel {
    /// Hears, and asks nothing.
    pub(crate) fn listen(host: &Host) -> Self {
        Self::ask(host, &[])
    }

    /// Asks for each of `addresses` in each round.
    pub(crate) fn ask(host: &Host, addresses: &[IpAddr]) -> Self {
        Self::ask_each(host, addresses, PERIOD)
    }

    /// The same with rounds of another length.
    pub(crate) fn ask_each(host: &Host, addresses: &[IpAddr], period: Duration) -> Self {
        let (report, events) = channel();
        let ended = Arc::new(AtomicBool::new(false));
        let (until, interface, mac) = (Arc::clone(&ended), host.interface, host.mac);
        let asked = addresses.to_vec();
        let setup = move || open(interface);
        let work = move |socket| Asking { socket, mac, asked, period, report }.run(&until);
        let thread = host.namespace.spawn("panel", setup, work).unwrap();
        let logs = addresses.iter().map(|&address| (address, Log::default())).collect();
        Self { logs, said: Vec::new(), events, ended, thread: Some(thread) }
    }

    /// Everything that was said so far, in order.
    pub(crate) fn said(&mut self) -> &[Said] {
        self.read();
        &self.said
    }

    /// When each address was first said to be somebody's, after `from`, by one of `owners`.
    pub(crate) fn first(&mut self, from: Instant, owners: &[Mac]) -> BTreeMap<IpAddr, Instant> {
        let mut first = BTreeMap::new();
        for said in self.said().iter().filter(|said| said.at > from && owners.contains(&said.owner)) {
            first.entry(said.address).or_insert(said.at);
        }
        first
    }

    /// How many rounds of all addresses together had two owners, and the longest stretch of them at one address.
    pub(crate) fn double(&mut self, from: Instant, to: Instant) -> (usize, Duration) {
        self.read();
        let seen = self.logs.values().map(|log| log.sightings(from, to));
        seen.fold((0, Duration::ZERO), |(rounds, longest), seen| {
            (rounds + seen.double, longest.max(seen.longest_double))
        })
    }

    /// The longest for which one of the addresses was not answered for, and how many rounds that was of all together.
    pub(crate) fn silence(&mut self, from: Instant, to: Instant) -> (usize, Duration) {
        self.read();
        let addresses: BTreeSet<_> = self.logs.keys().copied().collect();
        let mut longest = Duration::ZERO;
        for address in addresses {
            let mut last = from;
            let said =
                self.said.iter().filter(|said| said.address == address && said.at > from && said.at <= to);
            for at in said.map(|said| said.at).chain([to]) {
                longest = longest.max(at - last);
                last = at;
            }
        }
        let unanswered = |log: &Log| {
            let seen = log.sightings(from, to);
            seen.rounds - seen.answered
        };
        (self.logs.values().map(unanswered).sum(), longest)
    }

    fn read(&mut self) {
        for event in self.events.try_iter() {
            match event {
                Event::Round(at) => self.logs.values_mut().for_each(|log| log.asked(at)),
                Event::Answered(round, said) => {
                    self.logs.entry(said.address).or_default().answered(round, said.owner);
                    self.said.push(said);
                }
                Event::Announced(said) => self.said.push(said),
            }
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Asking {
    socket: Socket,
    mac: Mac,
    asked: Vec<IpAddr>,
    period: Duration,
    report: Sender<Event>,
}

impl Asking {
    fn run(&mut self, ended: &AtomicBool) {
        for round in 0.. {
            let at = clock::now();
            if ended.load(Ordering::Relaxed) || self.report.send(Event::Round(at)).is_err() {
                return;
            }
            for &address in &self.asked {
                let question = frame::question(self.mac, asker(round).into(), address);
                // A LAN that is down answers nothing; that is what the round will say.
                let _ = self.socket.send(&question.unwrap());
            }
            self.hear(round, at + self.period);
        }
    }

    fn hear(&mut self, round: usize, until: Instant) {
        let mut frame = [0; 1514];
        loop {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return;
            }
            let Ok(length) = self.socket.read(&mut frame) else { continue };
            let at = clock::now();
            let Some((address, heard)) = census::heard(&frame[..length]) else { continue };
            let event = match heard {
                Heard::Announcement { owner } => {
                    Some(Event::Announced(Said { at, address, owner, unasked: true }))
                }
                Heard::Answer { owner, asker } => round_of(asker, round)
                    .map(|round| Event::Answered(round, Said { at, address, owner, unasked: false })),
            };
            event.into_iter().for_each(|event| drop(self.report.send(event)));
        }
    }
}

fn open(interface: u32) -> io::Result<Socket> {
    // Protocol 0 until it is bound: no frame of another interface or kind is ever queued.
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    sys::keep_unread(&socket, UNREAD)?;
    socket.bind(&sys::packet_address(interface, frame::ethertype(Ipv4Addr::UNSPECIFIED.into()))?)?;
    socket.set_write_timeout(Some(Duration::from_millis(100)))?;
    Ok(socket)
}

/// Each round asks from another address, which the answer repeats: one that comes late belongs to the round that asked.
fn asker(round: usize) -> Ipv4Addr {
    let turn = u8::try_from(round % ASKERS).unwrap_or_default();
    Ipv4Addr::new(10, 77, 0, FIRST_ASKER + turn)
}

/// The latest round up to `current` that asked from this address.
fn round_of(asked_from: IpAddr, current: usize) -> Option<usize> {
    let first = current.saturating_sub(ASKERS - 1);
    (first..=current).rev().find(|round| asked_from == IpAddr::from(asker(*round)))
}

const FIRST_ASKER: u8 = 200;
const ASKERS: usize = 32;
/// All announcements of ten thousand addresses, if nobody reads for a while.
const UNREAD: u32 = 32 << 20;
