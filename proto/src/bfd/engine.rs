//! Many sessions on one clock: which of them a packet belongs to, and which is due next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::path::{Arrival, Path, Port};
use super::random::Random;
use super::rejected::Rejected;
use super::session::{Config, Session, Status};
use super::types::{Discriminator, State};
use super::wire::{self, Packet};

/// The owner's name for a session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u64);

/// What the driver has to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send this packet with a TTL or hop limit of 255.
    Send(SessionId, Packet),
    /// Tell the owner what is new.
    Tell(SessionId, Status),
    /// The session is no more: nothing will be sent for it.
    Gone(SessionId),
}

/// Why a session was not added.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddError {
    /// The name is in use.
    #[error("there is such a session already")]
    Known,
    /// A packet could belong to both.
    #[error("another session watches the same path")]
    Overlaps(SessionId),
}

/// What an operator wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admin {
    /// Off.
    Down,
    /// On.
    Up,
}

/// All sessions of a system.
#[derive(Debug)]
pub struct Engine {
    sessions: BTreeMap<SessionId, Entry>,
    by_discriminator: BTreeMap<Discriminator, SessionId>,
    by_remote: BTreeMap<(Port, IpAddr), Vec<SessionId>>,
    due: BTreeSet<(Instant, SessionId)>,
    stalls: u64,
    random: Random,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    discriminator: Discriminator,
    path: Path,
    told: Status,
    /// Its place in `due`.
    queued: Option<Instant>,
    /// Removed: until then the other side is told.
    leaving: Option<Instant>,
}

impl Engine {
    /// Without sessions. `seed` makes discriminators and jitter those of no other system.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            sessions: BTreeMap::new(),
            by_discriminator: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            due: BTreeSet::new(),
            stalls: 0,
            random: Random::new(seed),
        }
    }

    /// Begins a session. One on the same path that is being removed gives way at once: the other side would take the two for
    /// one that changes its mind.
    ///
    /// # Errors
    /// The name or the path is taken.
    pub fn add(
        &mut self,
        now: Instant,
        id: SessionId,
        path: Path,
        config: Config,
        actions: &mut Vec<Action>,
    ) -> Result<(), AddError> {
        if self.sessions.contains_key(&id) {
            return Err(AddError::Known);
        }
        let rivals: Vec<_> = self.sessions.iter().filter(|(_, entry)| entry.path.overlaps(&path)).collect();
        if let Some(&(&other, _)) = rivals.iter().find(|(_, entry)| entry.leaving.is_none()) {
            return Err(AddError::Overlaps(other));
        }
        let leaving: Vec<SessionId> = rivals.into_iter().map(|(&id, _)| id).collect();
        for id in leaving {
            self.forget(id, actions);
        }
        let discriminator = self.new_discriminator();
        let session = Session::new(now, discriminator, config, self.random.next());
        let told = session.status();
        let entry = Entry { session, discriminator, path, told, queued: None, leaving: None };
        self.by_discriminator.insert(discriminator, id);
        self.by_remote.entry((path.port(), path.remote)).or_default().push(id);
        self.sessions.insert(id, entry);
        actions.push(Action::Tell(id, told));
        self.requeue(id);
        Ok(())
    }

    /// Ends a session: the other side is told for one detection time that this is no failure (RFC 5880 §6.8.16), then
    /// [`Action::Gone`] follows.
    pub fn remove(&mut self, now: Instant, id: SessionId, actions: &mut Vec<Action>) {
        let Some(entry) = self.sessions.get_mut(&id).filter(|entry| entry.leaving.is_none()) else { return };
        let packet = entry.session.admin_down(now);
        let farewell = entry.session.farewell();
        entry.leaving = Some(now + farewell.unwrap_or_default());
        let place = (entry.path.port(), entry.path.remote);
        if let Some(ids) = self.by_remote.get_mut(&place) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.by_remote.remove(&place);
            }
        }
        match farewell {
            Some(_) => self.settle(id, packet, actions),
            None => self.forget(id, actions),
        }
    }

    /// Switches a session off or on; the path is not said to have failed.
    pub fn admin(&mut self, now: Instant, id: SessionId, admin: Admin, actions: &mut Vec<Action>) {
        let Some(entry) = self.sessions.get_mut(&id).filter(|entry| entry.leaving.is_none()) else { return };
        let packet = match admin {
            Admin::Down => entry.session.admin_down(now),
            Admin::Up => entry.session.admin_up(now),
        };
        self.settle(id, packet, actions);
    }

    /// Changes the timers of a session, Up or not.
    pub fn configure(&mut self, now: Instant, id: SessionId, config: Config, actions: &mut Vec<Action>) {
        let Some(entry) = self.sessions.get_mut(&id).filter(|entry| entry.leaving.is_none()) else { return };
        let packet = entry.session.configure(now, config);
        self.settle(id, packet, actions);
    }

    /// A datagram was received; the order of what is checked is that of RFC 5880 §6.8.6.
    ///
    /// # Errors
    /// It was discarded.
    pub fn receive(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        payload: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), Rejected> {
        let packet = wire::decode(payload).map_err(Rejected::Decode)?;
        let id = self.select(arrival, &packet)?;
        let entry = self.sessions.get_mut(&id).ok_or(Rejected::NoSession)?;
        if packet.authenticated {
            return Err(Rejected::Authenticated);
        }
        if arrival.ttl.is_none_or(|ttl| ttl < entry.path.hops.minimum_ttl()) {
            return Err(Rejected::TimeToLive);
        }
        let answer = entry.session.receive(now, arrival.at, &packet);
        self.settle(id, answer, actions);
        Ok(())
    }

    /// Does what is due. Everything that was received has to be handed over before. Returns how late it is.
    pub fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) -> Option<Duration> {
        let lateness = now.checked_duration_since(self.deadline()?)?;
        let mut stalled = false;
        while let Some(id) = self.pop(now) {
            let Some(entry) = self.sessions.get_mut(&id) else { continue };
            entry.queued = None;
            if entry.leaving.is_some_and(|gone| gone <= now) {
                self.forget(id, actions);
                continue;
            }
            let tick = entry.session.tick(now, lateness);
            stalled |= tick.excused;
            self.settle(id, tick.packet, actions);
        }
        self.stalls += u64::from(stalled);
        self.send_ahead(now, actions);
        Some(lateness)
    }

    /// What is due next leaves together with what is due now: with hundreds of sessions the driver wakes up half as often.
    fn send_ahead(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let soon = self.due.iter().take_while(|(at, _)| *at <= now + MOST_AHEAD);
        let soon: Vec<SessionId> = soon.map(|&(_, id)| id).collect();
        for id in soon {
            let entry = self.sessions.get_mut(&id).filter(|entry| entry.leaving.is_none());
            let packet = entry.and_then(|entry| entry.session.ahead(now));
            if packet.is_some() {
                self.settle(id, packet, actions);
            }
        }
    }

    /// When to call [`Engine::tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    /// How many times a stall of this system was mistaken for silence of another, almost.
    #[must_use]
    pub const fn stalls(&self) -> u64 {
        self.stalls
    }

    /// Whether there is nothing to do, ever.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The sessions that are not being removed.
    pub fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().filter(|(_, entry)| entry.leaving.is_none()).map(|(&id, _)| id)
    }

    /// "If the Your Discriminator field is nonzero, it MUST be used to select the session"; else where the packet came from.
    fn select(&self, arrival: &Arrival, packet: &Packet) -> Result<SessionId, Rejected> {
        if let Some(your) = packet.your_discriminator {
            let id = self.by_discriminator.get(&your).ok_or(Rejected::YourDiscriminator)?;
            let session = self.sessions.get(id).filter(|entry| entry.path.port() == arrival.port);
            return session.map(|_| *id).ok_or(Rejected::YourDiscriminator);
        }
        if !matches!(packet.state, State::Down | State::AdminDown) {
            return Err(Rejected::State);
        }
        let candidates = self.by_remote.get(&(arrival.port, arrival.source)).ok_or(Rejected::NoSession)?;
        let belongs = |id: &SessionId| self.sessions.get(id).is_some_and(|entry| entry.path.is_of(arrival));
        candidates.iter().copied().find(belongs).ok_or(Rejected::NoSession)
    }

    /// After every event of a session: what it says leaves, its owner learns what is new, its deadline is known.
    fn settle(&mut self, id: SessionId, packet: Option<Packet>, actions: &mut Vec<Action>) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        actions.extend(packet.map(|packet| Action::Send(id, packet)));
        let status = entry.session.status();
        if status != entry.told && entry.leaving.is_none() {
            entry.told = status;
            actions.push(Action::Tell(id, status));
        }
        self.requeue(id);
    }

    fn pop(&mut self, now: Instant) -> Option<SessionId> {
        let &(_, id) = self.due.first().filter(|&&(at, _)| at <= now)?;
        self.due.pop_first();
        Some(id)
    }

    fn requeue(&mut self, id: SessionId) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let deadline = entry.session.deadline().into_iter().chain(entry.leaving).min();
        if deadline == entry.queued {
            return;
        }
        if let Some(at) = entry.queued {
            self.due.remove(&(at, id));
        }
        self.due.extend(deadline.map(|at| (at, id)));
        entry.queued = deadline;
    }

    fn forget(&mut self, id: SessionId, actions: &mut Vec<Action>) {
        if let Some(entry) = self.sessions.remove(&id) {
            self.by_discriminator.remove(&entry.discriminator);
            if let Some(at) = entry.queued {
                self.due.remove(&(at, id));
            }
            actions.push(Action::Gone(id));
        }
    }

    fn new_discriminator(&mut self) -> Discriminator {
        loop {
            let drawn = Discriminator::new(self.random.between(1, u32::MAX));
            if let Some(unused) = drawn.filter(|drawn| !self.by_discriminator.contains_key(drawn)) {
                return unused;
            }
        }
    }
}

/// Nobody's interval is so long that more would be saved.
const MOST_AHEAD: Duration = Duration::from_millis(4);
