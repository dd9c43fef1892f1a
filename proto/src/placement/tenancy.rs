//! Our own member Lease: renewals, the grant that follows from them, and twins.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::statement::{Life, Statement};
use super::words::{Action, Config, Record, Write};
use crate::election::Timing;

/// Our own Lease as a function of time. At most one request is under way.
#[derive(Debug)]
pub(super) struct Tenancy {
    life: Life,
    timing: Timing,
    pace: Duration,
    seat: Seat,
    transitions: u32,
    sequence: u64,
    taken_after: u64,
    /// Writes that may have happened, with their departures: what is older than one that did is forgotten.
    sent: VecDeque<(u64, Instant)>,
    confirmed: u64,
    echoed: u64,
    /// The write that the present grant began with: what came back from before it says nothing of what
    /// happened while there was none.
    began_with: u64,
    /// The departure that the grant counts from.
    granted_from: Option<Instant>,
    last_departure: Option<Instant>,
    request: Option<Request>,
    doubtful: bool,
    renew_at: Option<Instant>,
    not_before: Option<Instant>,
}

/// Whose the Lease is.
#[derive(Debug)]
enum Seat {
    /// Not seen yet.
    Unseen,
    /// Another life's, which may still hold by it.
    Foreign { record: Box<Record>, free_at: Instant },
    /// Ours, or ours to take. `None`: it does not exist.
    Ours { version: Option<String> },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Request {
    Read,
    Write,
}

/// How a record came to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// By list or watch, in the order of the writes of all members.
    Watch,
    /// By the answer to a request, which says nothing of other members.
    Answer,
}

/// What a record of ours means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sighted {
    /// Nothing new.
    Nothing,
    /// The write that departed then has come back on the watch.
    Echo(Instant),
    /// Somebody else speaks under our name, or what we said was deleted.
    Lost,
}

impl Tenancy {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            life: config.life,
            timing: config.timing,
            pace: config.pace,
            seat: Seat::Unseen,
            transitions: 0,
            sequence: 0,
            taken_after: 0,
            sent: VecDeque::new(),
            confirmed: 0,
            echoed: 0,
            began_with: 0,
            granted_from: None,
            last_departure: None,
            request: None,
            doubtful: false,
            renew_at: None,
            not_before: None,
        }
    }

    pub(super) fn sight(&mut self, now: Instant, record: Option<&Record>, source: Source) -> Sighted {
        let Some(record) = record else { return self.missing(now) };
        match &record.statement {
            Some(said) if said.life == self.life => self.own(now, record, said.sequence, source),
            Some(_) | None => self.foreign(now, record),
        }
    }

    /// A Lease of ours that somebody deleted is written anew, and so are the claims: whoever came meanwhile has not seen
    /// them. Another's is waited out.
    fn missing(&mut self, now: Instant) -> Sighted {
        let written = self.has_written();
        match &mut self.seat {
            Seat::Unseen => self.seat = Seat::Ours { version: None },
            Seat::Foreign { record, free_at } => {
                *free_at = now + record.lease_duration.unwrap_or(self.timing.lease_duration);
            }
            Seat::Ours { version } => {
                // Perhaps it is the state before our write under way, which tells by its conflict.
                *version = None;
                self.renew_at = Some(now);
                return if written { Sighted::Lost } else { Sighted::Nothing };
            }
        }
        Sighted::Nothing
    }

    fn own(&mut self, now: Instant, record: &Record, sequence: u64, source: Source) -> Sighted {
        if sequence >= self.confirmed {
            self.seat = Seat::Ours { version: Some(record.version.clone()) };
            self.doubtful = false;
        }
        let departed = self.sent.iter().find(|&&(sent, _)| sent == sequence).map(|&(_, departed)| departed);
        let Some(departed) = departed else { return Sighted::Nothing };
        self.confirm(now, sequence, departed);
        if source == Source::Answer || sequence <= self.echoed {
            return Sighted::Nothing;
        }
        self.echoed = sequence;
        Sighted::Echo(departed)
    }

    fn confirm(&mut self, now: Instant, sequence: u64, departed: Instant) {
        self.confirmed = self.confirmed.max(sequence);
        self.sent.retain(|&(sent, _)| sent >= sequence);
        if now < departed + self.timing.renew_deadline {
            if self.granted_from.is_none() {
                self.began_with = sequence;
            }
            self.granted_from = self.granted_from.max(Some(departed));
        }
    }

    fn foreign(&mut self, now: Instant, record: &Record) -> Sighted {
        let ours_to_take = |said: &Statement| said.has_left() || said.life.boot == self.life.boot;
        let ours_to_take = record.statement.as_ref().is_some_and(ours_to_take);
        match &self.seat {
            // The watch still shows who we came after.
            Seat::Ours { .. } if self.has_written() && record.transitions < self.transitions => {
                Sighted::Nothing
            }
            // Nor is it news that what we are about to take is there.
            Seat::Ours { version } if version.as_ref() == Some(&record.version) => Sighted::Nothing,
            Seat::Foreign { record: seen, .. } if seen.stands_still_since(record) => Sighted::Nothing,
            Seat::Unseen if ours_to_take => {
                self.take(record.version.clone(), record.transitions);
                Sighted::Nothing
            }
            Seat::Unseen | Seat::Foreign { .. } | Seat::Ours { .. } => {
                let wait = record.lease_duration.unwrap_or(self.timing.lease_duration);
                self.seat = Seat::Foreign { record: Box::new(record.clone()), free_at: now + wait };
                self.granted_from = None;
                self.doubtful = false;
                Sighted::Lost
            }
        }
    }

    fn take(&mut self, version: String, transitions: u32) {
        self.seat = Seat::Ours { version: Some(version) };
        self.transitions = transitions.saturating_add(1);
        self.taken_after = self.sequence;
    }

    /// Whether the Lease is known to have been ours since we took it.
    fn has_written(&self) -> bool {
        self.confirmed > self.taken_after
    }

    pub(super) fn written(&mut self, now: Instant, record: &Record) -> Sighted {
        self.request = None;
        self.sight(now, Some(record), Source::Answer)
    }

    pub(super) fn read(&mut self, now: Instant, record: Option<&Record>) -> Sighted {
        self.request = None;
        self.doubtful = false;
        self.sight(now, record, Source::Answer)
    }

    pub(super) fn conflict(&mut self) {
        self.request = None;
        self.doubtful = true;
        self.not_before = None;
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.request = None;
        self.not_before = Some(now + self.timing.failure_pause());
        self.renew_at = self.not_before;
    }

    /// Whether the grant has ended just now.
    pub(super) fn lapsed(&mut self, now: Instant) -> bool {
        let lapsed = self.until().is_some_and(|until| now >= until);
        if lapsed {
            self.granted_from = None;
        }
        lapsed
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.granted_from.map(|from| from + self.timing.renew_deadline)
    }

    pub(super) fn fence(&self) -> Option<Instant> {
        self.granted_from.map(|from| from + self.timing.fence())
    }

    pub(super) fn echoed(&self) -> u64 {
        self.echoed
    }

    /// The newest write that has come back since the grant began; with no grant or no such write, none.
    pub(super) fn entered(&self) -> Option<u64> {
        self.granted_from.and(Some(self.echoed)).filter(|&echoed| echoed >= self.began_with)
    }

    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    pub(super) fn last_departure(&self) -> Option<Instant> {
        self.last_departure
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.sequence + 1
    }

    /// Somebody else's record is under our name.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.seat, Seat::Foreign { .. })
    }

    /// Whether a request is to be made now: to read, or to write.
    pub(super) fn turn(&mut self, now: Instant, news: bool) -> Option<Turn> {
        if let Seat::Foreign { record, free_at } = &self.seat
            && now >= *free_at
        {
            let (version, transitions) = (record.version.clone(), record.transitions);
            self.take(version, transitions);
        }
        if self.wake(now, news).is_none_or(|at| now < at) || matches!(self.seat, Seat::Foreign { .. }) {
            return None;
        }
        if self.doubtful {
            self.request = Some(Request::Read);
            self.not_before = Some(now + self.pace);
            return Some(Turn::Read);
        }
        Some(Turn::Write)
    }

    /// When [`Self::turn`] will have something, if nothing else happens.
    pub(super) fn wake(&self, now: Instant, news: bool) -> Option<Instant> {
        if self.request.is_some() {
            return None;
        }
        match &self.seat {
            Seat::Unseen => None,
            Seat::Foreign { free_at, .. } => Some(*free_at),
            Seat::Ours { .. } => {
                let due = if news || self.doubtful { now } else { self.renew_at.unwrap_or(now) };
                Some(self.not_before.map_or(due, |at| at.max(due)))
            }
        }
    }

    /// The statement departs.
    pub(super) fn depart(&mut self, now: Instant, statement: Statement) -> Action {
        let based_on = match &self.seat {
            Seat::Ours { version } => version.clone(),
            Seat::Unseen | Seat::Foreign { .. } => None,
        };
        self.sequence = statement.sequence;
        self.sent.push_back((self.sequence, now));
        while self.sent.len() > REMEMBERED_WRITES {
            self.sent.pop_front();
        }
        self.last_departure = Some(now);
        self.request = Some(Request::Write);
        self.renew_at = Some(now + self.timing.retry_period);
        self.not_before = Some(now + self.pace);
        Action::Write(Write { based_on, transitions: self.transitions, statement })
    }
}

/// What [`Tenancy::turn`] wants done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    Read,
    Write,
}

impl Record {
    fn stands_still_since(&self, other: &Self) -> bool {
        self.renewed == other.renewed
            && self.transitions == other.transitions
            && self.statement.as_ref().map(|said| (said.life, said.sequence))
                == other.statement.as_ref().map(|said| (said.life, said.sequence))
    }
}

/// A write that is late can still turn up after others; more than a few cannot be under way.
const REMEMBERED_WRITES: usize = 16;
