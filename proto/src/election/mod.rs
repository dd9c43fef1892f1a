//! Who may announce a scope, and until when: one Lease as a function of time.
//!
//! Leadership is a deadline on the local monotonic clock, counted from the moment the renewal left.
//! Another machine's clock is never compared with ours: a rival is judged by how long *we* have
//! seen its record stand still. Every write is conditional on the record it was based on.

mod lease;
mod sight;
#[cfg(test)]
mod tests;

use std::mem;
use std::time::{Duration, Instant};

pub use lease::{Action, Answer, Grant, Intent, Predecessor, Record, Stamp, Timing, Write};
use sight::{Ours, Sight};

use crate::standing::Standing;

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A deadline has come.
    Tick,
    /// This node's standing changed.
    Standing(Standing),
    /// The watch shows this Lease; `None`: it does not exist. May lag behind what we wrote.
    Observed(Option<Record>),
    /// The request that is under way has ended.
    Answered(Answer),
    /// Every announcer has let go of every address of this scope, after the grant was withdrawn.
    Vacated,
    /// What a holder says in the Lease beside its name is not what it was: it is written at once.
    Restated,
}

/// One Lease, seen from one candidate. At most one request is under way at any time.
#[derive(Debug)]
pub struct Elector {
    timing: Timing,
    ours: Ours,
    standing: Standing,
    state: State,
    sight: Option<Sight>,
    sight_is: Currency,
    request: Option<Request>,
    next_at: Option<Instant>,
    /// How long a free Lease is left to others, who come first.
    courtesy: Duration,
    /// From a claim to the first renewal.
    first_renewal: Duration,
    /// The request that is under way may not say what is to be said by now.
    restated: bool,
}

/// Whether `sight` is what the Lease is; in anything but the first case it is read before a write.
/// Doubt grows until the Lease is seen again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Currency {
    Current,
    /// Not seen yet, deleted, or a write of ours may have happened since.
    Outdated,
    /// Somebody else wrote since, as far as one can tell.
    Contradicted,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Standby,
    Holding(Grant),
    /// The grant is withdrawn. Once vacated, the release is written, and tried again until the
    /// Lease has run out by itself.
    Leaving {
        vacated: bool,
        moot_at: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
struct Request {
    departed: Instant,
    kind: RequestKind,
}

#[derive(Clone, Copy, Debug)]
enum RequestKind {
    Read,
    Write(Intent, Predecessor),
}

/// Where a candidate stands, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Holds the Lease and may announce.
    Holder,
    /// Waits for the Lease to become free.
    Standby,
    /// Has withdrawn its grant and waits for its addresses to be gone, or for the release.
    Leaving,
}

impl Elector {
    /// A candidate that knows nothing yet. `identity` is what it writes into `holderIdentity`.
    #[must_use]
    pub fn new(identity: impl Into<String>, timing: Timing) -> Self {
        Self {
            timing,
            ours: Ours::new(identity.into()),
            standing: Standing::Barred,
            state: State::Standby,
            sight: None,
            sight_is: Currency::Outdated,
            request: None,
            next_at: None,
            courtesy: Duration::ZERO,
            first_renewal: timing.retry_period,
            restated: false,
        }
    }

    /// Renews for the first time after `span`, no longer than the retry period. Elections that begin together and differ in it
    /// do not renew together for ever.
    #[must_use]
    pub fn renewing_first_after(self, span: Duration) -> Self {
        Self { first_renewal: span.min(self.timing.retry_period), ..self }
    }

    /// From now on a free Lease that does not name this candidate is left to others for so long.
    pub fn wait_for_others(&mut self, now: Instant, courtesy: Duration) {
        if mem::replace(&mut self.courtesy, courtesy) > courtesy && self.is_waiting() {
            self.next_at = Some(now);
        }
    }

    /// Takes what happened; returns the request to make now, if any.
    #[must_use = "the election stands still until the request is made"]
    pub fn handle(&mut self, now: Instant, event: Event) -> Option<Action> {
        match event {
            Event::Tick => {}
            Event::Standing(standing) => self.stand(now, standing),
            Event::Observed(record) => self.observe(now, record),
            Event::Answered(answer) => self.answered(now, answer),
            Event::Vacated => self.vacated(now),
            Event::Restated => self.restate(now),
        }
        self.expire(now);
        self.next(now)
    }

    /// The permission that is in force; its `until` must still be compared with the clock.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        match self.state {
            State::Holding(grant) => Some(grant),
            State::Standby | State::Leaving { .. } => None,
        }
    }

    /// When to call again with [`Event::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let end = match self.state {
            State::Standby => None,
            State::Holding(grant) => Some(grant.until),
            State::Leaving { moot_at, .. } => Some(moot_at),
        };
        let due = self.next_at.filter(|_| self.request.is_none());
        end.into_iter().chain(due).min()
    }

    /// Where this candidate stands.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            State::Standby => Role::Standby,
            State::Holding(_) => Role::Holder,
            State::Leaving { .. } => Role::Leaving,
        }
    }

    /// The Lease as last seen; `None` before the first sight and where it does not exist.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.sight.as_ref().and_then(|sight| sight.record.as_ref())
    }

    /// Whether the Lease has been seen at all, so that a standby knows whom it waits for.
    #[must_use]
    pub fn has_sight(&self) -> bool {
        self.sight.is_some()
    }

    /// Nothing is held, nothing is under way, and nothing will be started.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.standing == Standing::Withdrawn && matches!(self.state, State::Standby) && self.request.is_none()
    }

    fn stand(&mut self, now: Instant, standing: Standing) {
        let previous = mem::replace(&mut self.standing, standing);
        if previous == standing {
            return;
        }
        match (standing, self.state) {
            (Standing::Withdrawn, State::Holding(grant)) => self.leave(now, grant),
            // A barred holder first renews: it leaves when it knows that it can say so, because an
            // address that nobody may take over serves better where it is.
            (Standing::Barred, State::Holding(_)) | (Standing::Candidate { .. }, State::Standby) => {
                self.next_at = Some(now);
            }
            (Standing::Barred | Standing::Withdrawn | Standing::Candidate { .. }, _) => {}
        }
    }

    /// Whether it is a candidate that has nothing to do before the Lease is its to claim.
    fn is_waiting(&self) -> bool {
        let candidate = matches!(self.standing, Standing::Candidate { .. });
        let ahead = self.sight.as_ref().is_some_and(|sight| self.next_at > Some(sight.free_at));
        candidate && ahead && matches!(self.state, State::Standby) && self.sight_is == Currency::Current
    }

    fn restate(&mut self, now: Instant) {
        self.restated = self.request.is_some();
        if matches!(self.state, State::Holding(_)) {
            self.next_at = Some(now);
        }
    }

    fn leave(&mut self, now: Instant, grant: Grant) {
        self.state = State::Leaving { vacated: false, moot_at: grant.fence };
        self.next_at = Some(now);
    }

    fn vacated(&mut self, now: Instant) {
        // A level, told again and again: only the first time is news.
        if let State::Leaving { vacated: vacated @ false, .. } = &mut self.state {
            *vacated = true;
            self.next_at = Some(now);
        }
    }

    /// What the watch shows is a hint to a holder, who knows what it wrote, and news to everybody else.
    fn observe(&mut self, now: Instant, record: Option<Record>) {
        if !matches!(self.state, State::Standby) {
            if !record.as_ref().is_some_and(|record| self.ours.wrote(record)) {
                // Our own name: most likely the write that is under way.
                let rival = record.is_some_and(|record| !self.ours.names(&record));
                self.doubt(if rival { Currency::Contradicted } else { Currency::Outdated });
                self.next_at = Some(now);
            }
            return;
        }
        self.see(now, record);
        self.next_at = Some(now);
    }

    fn see(&mut self, now: Instant, record: Option<Record>) {
        self.sight = Some(Sight::new(now, record, self.sight.as_ref(), &self.ours, &self.timing));
        self.sight_is = Currency::Current;
    }

    fn doubt(&mut self, sight_is: Currency) {
        self.sight_is = self.sight_is.max(sight_is);
    }

    fn answered(&mut self, now: Instant, answer: Answer) {
        let Some(request) = self.request.take() else { return };
        match answer {
            Answer::Read(record) => self.read(now, record),
            Answer::Written(record) => self.written(now, request, record),
            Answer::Conflict => self.conflict(now, request),
            Answer::Refused => self.failed(now),
            Answer::Unknown(stamp) => {
                self.ours.remember(stamp, self.left_by(request));
                if stamp.is_some() {
                    self.doubt(Currency::Outdated);
                }
                self.failed(now);
            }
        }
    }

    /// A claim without an answer gave no permission: whoever it overtook has not been asked for yet.
    fn left_by(&self, request: Request) -> Predecessor {
        match (self.state, request.kind) {
            (State::Standby, RequestKind::Write(_, predecessor)) => predecessor,
            (State::Standby | State::Holding(_) | State::Leaving { .. }, _) => Predecessor::Left,
        }
    }

    fn read(&mut self, now: Instant, record: Option<Record>) {
        let held_by_us = record.as_ref().is_some_and(|record| self.ours.wrote(record));
        // A Lease that somebody deleted is written anew; a rival who saw it waits as long as before.
        let deleted = record.is_none();
        self.see(now, record);
        self.next_at = Some(now);
        if !held_by_us && !deleted {
            self.state = State::Standby;
        }
    }

    fn written(&mut self, now: Instant, request: Request, record: Record) {
        self.ours.remember(record.renewed, Predecessor::Left);
        self.see(now, Some(record));
        let RequestKind::Write(intent, predecessor) = request.kind else { return };
        if intent == Intent::Release {
            self.state = State::Standby;
            self.next_at = Some(now);
            return;
        }
        let pause = match intent {
            _ if mem::take(&mut self.restated) => Duration::ZERO,
            Intent::Claim { .. } => self.first_renewal,
            Intent::Renew | Intent::Release => self.timing.retry_period,
        };
        self.next_at = Some(request.departed + pause);
        self.granted(now, request.departed, predecessor);
    }

    /// The grant starts when the request left, not when the answer came.
    fn granted(&mut self, now: Instant, departed: Instant, predecessor: Predecessor) {
        let predecessor = match self.state {
            State::Holding(grant) => grant.predecessor,
            State::Standby => predecessor,
            State::Leaving { vacated, .. } => {
                self.state = State::Leaving { vacated, moot_at: departed + self.timing.fence() };
                // Whoever waits for the release does not wait for a renewal that will not be made.
                self.next_at = Some(now);
                return;
            }
        };
        let grant = Grant {
            until: departed + self.timing.renew_deadline,
            fence: departed + self.timing.fence(),
            predecessor,
        };
        match (self.standing, self.state) {
            (Standing::Candidate { .. }, _) => self.state = State::Holding(grant),
            // Even where this grant was never given out: an earlier one may have ended just now, and
            // its addresses may still be on their way out.
            (_, State::Holding(_) | State::Standby | State::Leaving { .. }) => self.leave(now, grant),
        }
    }

    fn conflict(&mut self, now: Instant, request: Request) {
        self.doubt(Currency::Contradicted);
        self.next_at = Some(match (self.state, request.kind) {
            // A holder has to know at once; the loser of a race hears of the winner by its watch.
            (State::Holding(_) | State::Leaving { .. }, _) => now,
            (State::Standby, _) => now + self.timing.retry_period,
        });
    }

    /// Nobody could be asked. Where nobody else is there to take over, nothing is gained by silence; a
    /// write of somebody else's is proof that there is.
    fn failed(&mut self, now: Instant) {
        self.next_at = Some(now + self.timing.failure_pause());
        if self.sight_is == Currency::Contradicted {
            return;
        }
        if let (State::Holding(grant), Standing::Candidate { alone: true }) = (&mut self.state, self.standing)
        {
            grant.until = grant.until.max(now + self.timing.renew_deadline);
            grant.fence = grant.fence.max(now + self.timing.fence());
        }
    }

    fn expire(&mut self, now: Instant) {
        match self.state {
            State::Holding(grant) if now >= grant.until => self.lapse(now),
            State::Leaving { moot_at, .. } if now >= moot_at => self.lapse(now),
            State::Standby | State::Holding(_) | State::Leaving { .. } => {}
        }
    }

    fn lapse(&mut self, now: Instant) {
        self.state = State::Standby;
        self.next_at.get_or_insert(now);
    }

    fn next(&mut self, now: Instant) -> Option<Action> {
        if self.request.is_some() || self.next_at.is_none_or(|at| now < at) {
            return None;
        }
        self.next_at = None;
        match self.state {
            State::Standby => self.stand_by(now),
            State::Holding(_) if self.sight_is != Currency::Current => self.ask(now),
            State::Holding(grant) => self.put(now, self.renewal(), grant.predecessor),
            State::Leaving { vacated: false, .. } => None,
            State::Leaving { .. } if self.sight_is != Currency::Current => self.ask(now),
            State::Leaving { .. } => self.put(now, Intent::Release, Predecessor::Left),
        }
    }

    /// A Lease that was deleted is created as a whole: there is no `acquireTime` to keep.
    fn renewal(&self) -> Intent {
        self.record().map_or(Intent::Claim { transitions: 0 }, |_| Intent::Renew)
    }

    fn stand_by(&mut self, now: Instant) -> Option<Action> {
        if !matches!(self.standing, Standing::Candidate { .. }) {
            return None;
        }
        let Some(sight) = self.sight.as_ref().filter(|_| self.sight_is == Currency::Current) else {
            return self.ask(now);
        };
        let others_first = !sight.record.as_ref().is_some_and(|record| self.ours.names(record));
        let free_at = sight.free_at + if others_first { self.courtesy } else { Duration::ZERO };
        if now < free_at {
            self.next_at = Some(free_at);
            return None;
        }
        let (intent, predecessor) = (sight.claim(&self.ours), sight.predecessor);
        self.put(now, intent, predecessor)
    }

    fn ask(&mut self, now: Instant) -> Option<Action> {
        self.request = Some(Request { departed: now, kind: RequestKind::Read });
        Some(Action::Read)
    }

    fn put(&mut self, now: Instant, intent: Intent, predecessor: Predecessor) -> Option<Action> {
        self.restated = false;
        let based_on = self.record().map(|record| record.version.clone());
        if intent == Intent::Release && based_on.is_none() {
            // The Lease was deleted: there is nothing to give back.
            self.state = State::Standby;
            self.next_at = Some(now + self.timing.retry_period);
            return None;
        }
        self.request = Some(Request { departed: now, kind: RequestKind::Write(intent, predecessor) });
        Some(Action::Write(Write { based_on, intent }))
    }
}
