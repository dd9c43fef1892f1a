//! Runs the responder of one interface, which may not be there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::election::Grant;
use vipcast_proto::l2::announcer::Link;
use vipcast_proto::l2::ethernet::{Heard, heard, is_addressed_to};
use vipcast_proto::l2::responder::{Action, Event, Responder};

use super::Standing;
use super::nics::{Nic, Nics};
use super::outbox::Outbox;
use super::tell::Teller;
use crate::clock;
use crate::net::NetError;
use crate::net::burst::{BurstSocket, Frame};
use crate::net::groups::Groups;

/// What one interface is to answer for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Grows with every change; reports repeat it.
    pub(super) version: u64,
    pub(super) vips: Arc<BTreeMap<IpAddr, Grant>>,
    /// Its share of the slow repetitions, in frames a second.
    pub(super) refresh_frames: u32,
}

/// What a worker tells.
#[derive(Debug)]
pub(super) enum Said {
    /// What was done with which version.
    Report(Report),
    /// How things stand.
    Standing(Standing),
}

/// What connects a worker with the rest.
#[derive(Debug)]
pub(super) struct Wires {
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) nics: watch::Receiver<Nics>,
    pub(super) said: mpsc::Sender<(Arc<str>, Said)>,
}

/// The responder of one interface, which outlives the interface.
#[derive(Debug)]
pub(super) struct Worker {
    name: Arc<str>,
    wires: Wires,
    responder: Responder,
    teller: Teller,
    outbox: Outbox,
    port: Option<Port>,
    /// The interface is there, and could not be opened: when to try it again.
    reopen_at: Option<Instant>,
    reported: Option<u64>,
    stood: Standing,
    /// What the responder's moves were when they were looked at.
    moved: u64,
    /// Standings that move all the time are told once in a while.
    stand_at: Option<Instant>,
    /// One of the addresses that are announced.
    some: Option<IpAddr>,
}

#[derive(Debug)]
struct Port {
    nic: Nic,
    socket: BurstSocket,
    groups: Groups,
}

/// What woke a worker.
enum Woken {
    /// Something to read.
    Frames,
    /// Something else, which is looked at anyway.
    Anything,
    /// Nobody wants it any more.
    End,
}

impl Worker {
    pub(super) fn new(name: Arc<str>, responder: Responder, teller: Teller, wires: Wires) -> Self {
        Self {
            name,
            wires,
            responder,
            teller,
            outbox: Outbox::default(),
            port: None,
            reopen_at: None,
            reported: None,
            stood: Standing::default(),
            moved: 0,
            stand_at: None,
            some: None,
        }
    }

    /// Runs until nobody wants it any more. Each turn does a bounded part of everything that waits, so that nobody who
    /// floods the interface keeps it from the rest.
    pub(super) async fn run(mut self) {
        loop {
            self.permit();
            self.attach();
            self.act();
            self.send();
            if self.tell().await.is_err() {
                return;
            }
            match self.wait().await {
                Woken::Frames => self.read().await,
                Woken::Anything => {}
                Woken::End => return,
            }
        }
    }

    /// What may be answered for comes before anything else.
    fn permit(&mut self) {
        if !self.wires.wanted.has_changed().unwrap_or(false) && self.reported.is_some() {
            return;
        }
        let Wanted { version, vips, refresh_frames } = self.wires.wanted.borrow_and_update().clone();
        self.responder.ration(refresh_frames);
        self.handle(Event::Desired(Desired { serial: version, vips: vips.clone() }));
        if let Some(port) = &mut self.port
            && let Err(error) = port.follow(&vips)
        {
            self.teller.broken(&error);
        }
    }

    /// Opens the interface, or another one of its name, or none.
    fn attach(&mut self) {
        let nic = self.wires.nics.borrow_and_update().get(&*self.name).copied();
        let known = self.port.as_ref().map(|port| port.nic);
        let same = known.zip(nic).is_some_and(|(known, nic)| known == Nic { up: known.up, ..nic });
        match nic {
            Some(nic) if same => self.carry(nic),
            Some(nic) if self.reopen_at.is_none_or(|at| at <= clock::now()) => {
                self.detach();
                let vips = self.wires.wanted.borrow().vips.clone();
                match Port::open(nic, &vips) {
                    Ok(port) => {
                        self.teller.works();
                        self.port = Some(port);
                        self.carry(nic);
                    }
                    Err(error) => {
                        self.teller.broken(&error);
                        self.reopen_at = Some(clock::now() + AGAIN);
                    }
                }
            }
            Some(_) => {}
            None => self.detach(),
        }
    }

    fn carry(&mut self, nic: Nic) {
        if let Some(port) = &mut self.port {
            port.nic = nic;
            let link = if nic.up { Link::Up } else { Link::Down };
            if self.stood.link != link {
                self.handle(Event::Link(link));
            }
        }
    }

    fn detach(&mut self) {
        self.reopen_at = None;
        if self.port.take().is_some() {
            self.outbox.clear(&self.teller.counts);
            self.handle(Event::Link(Link::Down));
        }
    }

    /// What is due, as far as there is room for it.
    fn act(&mut self) {
        let due = if self.outbox.has_room() { self.responder.deadline() } else { self.responder.end() };
        if due.is_some_and(|due| due <= clock::now()) {
            self.handle(Event::Tick);
        }
    }

    fn handle(&mut self, event: Event) {
        if let Event::Link(link) = event {
            self.stood.link = link;
            self.stand_at = Some(clock::now());
        }
        let actions = self.responder.handle(clock::now(), event);
        self.perform(&actions);
    }

    fn perform(&mut self, actions: &[Action]) {
        let mac = self.port.as_ref().map(|port| port.nic.mac);
        for action in actions {
            match *action {
                Action::Tell(finding) => self.teller.found(finding),
                Action::Announce { vip, .. } => self.some = Some(vip),
                Action::Probe(_) | Action::Answer { .. } => {}
            }
            if let Some(mac) = mac {
                self.outbox.put(mac, action, &self.teller.counts);
            }
        }
    }

    fn send(&mut self) {
        let Some(port) = &mut self.port else { return };
        let sent = self.outbox.flush(clock::now, |frames| port.socket.send(frames), &self.teller.counts);
        if let Err(error) = sent {
            self.teller.broken(&error);
            self.outbox.clear(&self.teller.counts);
        }
    }

    /// One batch of what was received. A frame that waited for long asks on behalf of somebody who has asked again since, or
    /// tells of times that are over: it is passed over.
    async fn read(&mut self) {
        let Some(port) = &mut self.port else { return };
        let more = match port.socket.receive() {
            Ok(more) => more,
            Err(error) => {
                self.teller.broken(&error);
                self.detach();
                self.reopen_at = Some(clock::now() + AGAIN);
                return;
            }
        };
        let (read, wall) = (clock::now(), clock::wall());
        let mut actions = vec![];
        for frame in port.socket.frames() {
            let age = frame.age(wall);
            if age > STALE {
                self.teller.counts.stale.inc();
            } else if let Some(heard) = port.nic.hear(&frame, || self.teller.rejected()) {
                let at = read.checked_sub(age).unwrap_or(read);
                actions.extend(self.responder.handle(clock::now(), Event::Heard { heard, at }));
            }
        }
        self.perform(&actions);
        if more {
            tokio::task::yield_now().await;
        }
    }

    /// Err: nobody listens any more.
    async fn tell(&mut self) -> Result<(), mpsc::error::SendError<(Arc<str>, Said)>> {
        let now = clock::now();
        if self.reported != Some(self.responder.revision()) {
            self.reported = Some(self.responder.revision());
            self.say(Said::Report(self.responder.report())).await?;
        }
        self.teller.batch(now, &self.responder, self.some);
        if self.moved != self.responder.moves() {
            self.moved = self.responder.moves();
            self.stand_at.get_or_insert(now + REST);
        }
        if self.stand_at.is_some_and(|at| at <= now) {
            self.stand_at = None;
            self.stood.tally = self.responder.tally();
            self.stood.rivals = Arc::new(self.responder.rivals().clone());
            self.teller.counts.tally(self.stood.tally);
            self.say(Said::Standing(self.stood.clone())).await?;
        }
        Ok(())
    }

    async fn say(&self, said: Said) -> Result<(), mpsc::error::SendError<(Arc<str>, Said)>> {
        self.wires.said.send((self.name.clone(), said)).await
    }

    async fn wait(&mut self) -> Woken {
        let work = if self.outbox.has_room() { self.responder.deadline() } else { self.responder.end() };
        let deadline = [work, self.outbox.full_until, self.reopen_at, self.stand_at, self.teller.deadline()]
            .into_iter()
            .flatten()
            .min();
        let reading = self.port.as_ref().filter(|_| self.outbox.has_room());
        tokio::select! {
            changed = self.wires.wanted.changed() => match changed {
                Ok(()) => {
                    self.wires.wanted.mark_changed();
                    Woken::Anything
                }
                Err(_) => Woken::End,
            },
            changed = self.wires.nics.changed() => if changed.is_ok() { Woken::Anything } else { Woken::End },
            () = readable(reading) => Woken::Frames,
            () = clock::until(deadline) => Woken::Anything,
        }
    }
}

async fn readable(port: Option<&Port>) {
    match port {
        // An error is met again by whoever reads.
        Some(port) => drop(port.socket.readable().await),
        None => std::future::pending().await,
    }
}

impl Port {
    fn open(nic: Nic, vips: &BTreeMap<IpAddr, Grant>) -> Result<Self, NetError> {
        let socket = BurstSocket::open(nic.index)?;
        let mut port = Self { nic, socket, groups: Groups::new(nic.index) };
        port.follow(vips)?;
        Ok(port)
    }

    /// Hears those who ask for these addresses. IPv4 is asked for by broadcast.
    fn follow(&mut self, vips: &BTreeMap<IpAddr, Grant>) -> Result<(), NetError> {
        let v6 = vips.range(IpAddr::V6(Ipv6Addr::UNSPECIFIED)..).filter_map(|(vip, _)| match vip {
            IpAddr::V6(vip) => Some(*vip),
            IpAddr::V4(_) => None,
        });
        self.groups.follow(&self.socket, v6).map_err(NetError::Join)
    }
}

impl Nic {
    /// What another station says or asks. One's own frames may come back, from a switch that loops or a bond's other leg,
    /// and an interface that hears everything hears questions to others.
    fn hear(&self, frame: &Frame<'_>, rejected: impl FnOnce()) -> Option<Heard> {
        let Ok(heard) = heard(frame.octets) else {
            rejected();
            return None;
        };
        let sighting = heard.sighting.filter(|sighting| sighting.from != self.mac);
        let solicitation = heard
            .solicitation
            .filter(|asked| asked.from != self.mac && is_addressed_to(frame.octets, self.mac));
        let anything = sighting.is_some() || solicitation.is_some();
        anything.then_some(Heard { sighting, solicitation })
    }
}

/// Who asks by ARP or Neighbor Discovery asks again after a second.
const STALE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(100);
