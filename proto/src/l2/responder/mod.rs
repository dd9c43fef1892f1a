//! When to ask for, announce, answer for and defend thousands of addresses that no interface has.
//!
//! No event and no deadline costs more than what it is about: addresses wait in an index by deadline, or in lines that
//! are served at a pace. Only a new [`Desired`] and a link that returns touch every address.

mod pace;
mod phase;
#[cfg(test)]
mod properties;
mod schedule;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::pace::{Beat, Pace};
use self::phase::{Check, First, Held, Phase, Vip};
use self::schedule::{Next, Place, Queue, Schedule};
use super::announcer::{Finding, Link, Presence, WireCheck};
use super::ethernet::{Heard, MacAddr, Sighting, SightingKind, Solicitation};
use crate::advertiser::{Desired, Report};
use crate::election::{Grant, Predecessor};

/// How an interface is spoken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// The slow repetition of announcements. The first comes after an eighth to nine eighths of it, so that those that
    /// began together are spread over all of it; later ones are shifted by up to an eighth.
    pub refresh: Duration,
    /// How many frames these repetitions take at most in any second; where there are too many addresses, each is repeated more
    /// seldom.
    pub refresh_frames: u32,
    /// The question before a take-over that was no hand-over; `None`: do not ask.
    pub wire_check: Option<WireCheck>,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// What this node may answer for on this interface now.
    Desired(Desired),
    /// A deadline has come.
    Tick,
    /// Another station has said or asked something.
    Heard {
        /// What.
        heard: Heard,
        /// When it arrived, which may have been a while ago.
        at: Instant,
    },
    /// The interface got or lost its carrier.
    Link(Link),
}

/// What the driver has to do, in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Ask the segment who has the address (RFC 5227 §2.1.1; RFC 4862 §5.4.2).
    Probe(IpAddr),
    /// ARP announcement (RFC 5227 §3) or unsolicited Neighbor Advertisement (RFC 4861 §7.2.6).
    Announce {
        /// The address.
        vip: IpAddr,
        /// The frame must not leave at or after this instant.
        until: Instant,
    },
    /// ARP reply, or Neighbor Advertisement (RFC 4861 §7.2.4).
    Answer {
        /// Who asked for what.
        solicitation: Solicitation,
        /// The frame must not leave at or after this instant.
        until: Instant,
    },
    /// Tell the operator.
    Tell(Finding),
}

/// How many addresses stand where.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// They wait for their turn.
    pub waiting: usize,
    /// The segment is being asked.
    pub checking: usize,
    /// Somebody else has them.
    pub blocked: usize,
    /// They are announced and answered for.
    pub held: usize,
}

/// How many addresses have come and gone since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Turnover {
    /// They were announced for the first time.
    pub taken: u64,
    /// They had been, and are answered for no more.
    pub let_go: u64,
}

/// All addresses of one interface.
#[derive(Debug)]
pub struct Responder {
    config: Config,
    vips: BTreeMap<IpAddr, Vip>,
    /// The same without the rest: it is told often, and changes seldom.
    present: Arc<BTreeSet<IpAddr>>,
    schedule: Schedule,
    /// When the grant of each ends, the latest first.
    ends: Vec<(Instant, IpAddr)>,
    defences: Pace,
    tally: Tally,
    /// Who has what we may have.
    rivals: BTreeMap<IpAddr, MacAddr>,
    turnover: Turnover,
    moves: u64,
    applied: u64,
    revision: u64,
    link: Link,
    jitter: u64,
    beat: Beat,
}

impl Responder {
    /// Nothing is held yet, and there is no carrier. `seed` spreads the slow repetitions of different nodes.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            vips: BTreeMap::new(),
            present: Arc::default(),
            schedule: Schedule::new(config.refresh_frames),
            ends: vec![],
            defences: Pace::new(DEFENCES, DEFENCES),
            tally: Tally::default(),
            rivals: BTreeMap::new(),
            turnover: Turnover::default(),
            moves: 0,
            applied: 0,
            revision: 0,
            link: Link::Down,
            jitter: seed | 1,
            beat: Beat::default(),
        }
    }

    /// Another share of what all interfaces may say together.
    pub fn ration(&mut self, refresh_frames: u32) {
        if self.config.refresh_frames != refresh_frames {
            self.config.refresh_frames = refresh_frames;
            self.schedule.ration(refresh_frames);
        }
    }

    /// Takes what happened; returns what to do about it, for [`MOST_AT_ONCE`] addresses at most. Where more are due,
    /// [`Self::deadline`] is not later than `now`.
    #[must_use = "the segment hears nothing until the actions are performed"]
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        self.expire(now);
        match event {
            Event::Desired(desired) => self.adopt(now, &desired),
            Event::Tick => {}
            Event::Link(link) => self.link(now, link),
            // What is due besides waits for its own call: those who ask come by the hundred.
            Event::Heard { heard, at } => return self.heard(now, heard, at),
        }
        self.act(now)
    }

    /// When to call again with [`Event::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let work = if self.link == Link::Up { self.schedule.deadline() } else { None };
        [work, self.end()].into_iter().flatten().min()
    }

    /// When the next grant ends: the part of [`Self::deadline`] that does not wait for anything.
    #[must_use]
    pub fn end(&self) -> Option<Instant> {
        self.ends.last().map(|(end, _)| *end)
    }

    /// What this interface has done with the newest [`Desired`]. Present is what has a grant here, held or not: the rest is
    /// answered for no more.
    #[must_use]
    pub fn report(&self) -> Report {
        Report { applied: self.applied, present: Arc::clone(&self.present) }
    }

    /// Grows whenever [`Self::report`] changes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Grows whenever an address stands elsewhere than before.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// How many addresses stand where.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many addresses have come and gone.
    #[must_use]
    pub fn turnover(&self) -> Turnover {
        self.turnover
    }

    /// The addresses that somebody else has, and who.
    #[must_use]
    pub fn rivals(&self) -> &BTreeMap<IpAddr, MacAddr> {
        &self.rivals
    }

    /// Where an address stands; `None`: it is not wanted here.
    #[must_use]
    pub fn presence(&self, vip: IpAddr) -> Option<Presence> {
        self.vips.get(&vip).map(|state| state.phase.presence())
    }

    /// A grant that ended on its way here is none.
    fn adopt(&mut self, now: Instant, desired: &Desired) {
        let mut wanted = desired.vips.iter().filter(|(_, grant)| now < grant.until).peekable();
        let (mut fresh, mut unwanted) = (vec![], vec![]);
        for (&vip, state) in &mut self.vips {
            while let Some((&vip, &grant)) = wanted.next_if(|(theirs, _)| **theirs < vip) {
                fresh.push((vip, grant));
            }
            match wanted.next_if(|(theirs, _)| **theirs == vip) {
                Some((_, &grant)) => state.grant = grant,
                None => unwanted.push(vip),
            }
        }
        fresh.extend(wanted.map(|(&vip, &grant)| (vip, grant)));
        unwanted.into_iter().for_each(|vip| self.let_go(vip));
        for (vip, grant) in fresh {
            self.begin(now, vip, grant);
        }
        self.ends = self.vips.iter().map(|(&vip, state)| (state.grant.until, vip)).collect();
        self.ends.sort_unstable_by_key(|&end| Reverse(end));
        self.applied = desired.serial;
        self.revision += 1;
    }

    fn begin(&mut self, now: Instant, vip: IpAddr, grant: Grant) {
        let first = match (self.config.wire_check, grant.predecessor) {
            (Some(_), Predecessor::Unknown) => First::Ask,
            (Some(_), Predecessor::Left) | (None, _) => First::Take,
        };
        let mut state = Vip { grant, place: Place::Nowhere, phase: Phase::Waiting(first) };
        self.schedule.line_up(now, vip, &mut state.place, Queue::Starts);
        *self.tally.of(&state.phase) += 1;
        self.moves += 1;
        self.vips.insert(vip, state);
        Arc::make_mut(&mut self.present).insert(vip);
    }

    fn let_go(&mut self, vip: IpAddr) {
        if let Some(mut state) = self.vips.remove(&vip) {
            Arc::make_mut(&mut self.present).remove(&vip);
            self.schedule.leave(vip, &mut state.place);
            *self.tally.of(&state.phase) -= 1;
            self.turnover.let_go += u64::from(matches!(state.phase, Phase::Held(_)));
            self.rivals.remove(&vip);
            self.moves += 1;
            self.revision += 1;
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, vip)) = self.ends.pop_if(|(end, _)| *end <= now) {
            self.let_go(vip);
        }
    }

    fn heard(&mut self, now: Instant, heard: Heard, at: Instant) -> Vec<Action> {
        let mut actions = heard.sighting.map_or_else(Vec::new, |sighting| self.seen(now, sighting, at));
        actions.extend(heard.solicitation.and_then(|solicitation| self.answer(now, solicitation, at)));
        actions
    }

    /// The question may have waited for long; what counts is whether the grant is in force now. Who asked before the address
    /// was taken was answered by whoever had it then, and has heard since that it is ours.
    fn answer(&self, now: Instant, solicitation: Solicitation, at: Instant) -> Option<Action> {
        let Vip { grant: Grant { until, .. }, phase: Phase::Held(held), .. } =
            self.vips.get(&solicitation.target)?
        else {
            return None;
        };
        let ours = held.is_held_at(at) && now < *until && self.link == Link::Up;
        ours.then_some(Action::Answer { solicitation, until: *until })
    }

    /// To one who is asking, another who asks is as bad as one who has (RFC 5227 §2.1.1).
    fn seen(&mut self, now: Instant, sighting: Sighting, at: Instant) -> Vec<Action> {
        let Sighting { address: vip, from: by, kind } = sighting;
        let Some(state) = self.vips.get_mut(&vip) else { return vec![] };
        match &mut state.phase {
            Phase::Checking(check) => {
                let news = check.blocked_by != Some(by);
                let waited = check.wait(self.config.wire_check.map_or(Duration::ZERO, |check| check.retry));
                self.schedule.at(vip, &mut state.place, now + waited);
                self.turn_into(vip, Phase::Blocked { by, waited });
                news.then_some(Action::Tell(Finding::Taken { vip, by })).into_iter().collect()
            }
            Phase::Held(held) if kind == SightingKind::Claim && held.is_held_at(at) => {
                let defended = self.link == Link::Up && held.may_defend(now) && self.defences.permits(now);
                let told = Action::Tell(Finding::Conflict { vip, by, defended });
                if !defended {
                    return vec![told];
                }
                held.defended(now);
                self.defences.spend(now, 1);
                vec![Action::Announce { vip, until: state.grant.until }, told]
            }
            Phase::Held(_) | Phase::Waiting(_) | Phase::Blocked { .. } => vec![],
        }
    }

    fn link(&mut self, now: Instant, link: Link) {
        if link == Link::Up && self.link == Link::Down {
            // Neighbours may have learnt anything in the meantime.
            for vip in self.vips.keys().copied().collect::<Vec<_>>() {
                self.begin_again(now, vip);
            }
        }
        self.link = link;
    }

    fn begin_again(&mut self, now: Instant, vip: IpAddr) {
        let Some(state) = self.vips.get_mut(&vip) else { return };
        match &mut state.phase {
            Phase::Checking(_) => {
                self.schedule.line_up(now, vip, &mut state.place, Queue::Starts);
                self.turn_into(vip, Phase::Waiting(First::Ask));
            }
            Phase::Held(held) => {
                held.begin_again(now);
                self.schedule.line_up(now, vip, &mut state.place, Queue::Starts);
            }
            Phase::Waiting(_) | Phase::Blocked { .. } => {}
        }
    }

    /// Without carrier nobody hears us, and nobody can answer: silence would prove nothing.
    fn act(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = vec![];
        let most = if self.link == Link::Up { MOST_AT_ONCE } else { 0 };
        for _ in 0..most {
            match self.schedule.next(now) {
                Some(Next::Due(vip)) => self.due(now, vip, &mut actions),
                Some(Next::Turn(vip)) => self.turn(now, vip, &mut actions),
                None => break,
            }
        }
        actions
    }

    /// The instant that an address waited for has come.
    fn due(&mut self, now: Instant, vip: IpAddr, actions: &mut Vec<Action>) {
        let Some(state) = self.vips.get_mut(&vip) else { return };
        state.place = Place::Nowhere;
        match &state.phase {
            Phase::Checking(_) => self.check(now, vip, actions),
            Phase::Blocked { .. } => {
                self.schedule.line_up(now, vip, &mut state.place, Queue::Rechecks);
            }
            Phase::Held(held) => {
                let queue = if held.is_young() { Queue::Repeats } else { Queue::Refreshes };
                self.schedule.line_up(now, vip, &mut state.place, queue);
            }
            Phase::Waiting(_) => {
                self.schedule.line_up(now, vip, &mut state.place, Queue::Starts);
            }
        }
    }

    /// It is an address's turn to send.
    fn turn(&mut self, now: Instant, vip: IpAddr, actions: &mut Vec<Action>) {
        let Some(state) = self.vips.get_mut(&vip) else { return };
        state.place = Place::Nowhere;
        match state.phase {
            Phase::Waiting(First::Take) => self.take(now, vip, actions),
            Phase::Waiting(First::Ask) => self.ask(now, vip, None, Duration::ZERO, actions),
            Phase::Blocked { by, waited } => self.ask(now, vip, Some(by), waited, actions),
            Phase::Checking(_) => self.check(now, vip, actions),
            Phase::Held(_) => self.speak(now, vip, actions),
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        vip: IpAddr,
        rival: Option<MacAddr>,
        waited: Duration,
        actions: &mut Vec<Action>,
    ) {
        self.turn_into(vip, Phase::Checking(Check::new(now, rival, waited)));
        self.check(now, vip, actions);
    }

    fn check(&mut self, now: Instant, vip: IpAddr, actions: &mut Vec<Action>) {
        let Some(wire_check) = self.config.wire_check else { return self.take(now, vip, actions) };
        let Some(Vip { phase: Phase::Checking(check), place, .. }) = self.vips.get_mut(&vip) else { return };
        // One who slept has not listened: what was answered meanwhile may be lost, or not be read yet.
        if now > check.next_at + LATE {
            check.sent = 0;
        }
        if check.sent >= wire_check.probes {
            actions.push(Action::Tell(Finding::Free(vip)));
            return self.take(now, vip, actions);
        }
        check.sent += 1;
        let last = check.sent == wire_check.probes;
        check.next_at = now + if last { wire_check.wait } else { wire_check.interval };
        let due = check.next_at;
        self.schedule.at(vip, place, due);
        actions.push(Action::Probe(vip));
    }

    fn take(&mut self, now: Instant, vip: IpAddr, actions: &mut Vec<Action>) {
        self.turn_into(vip, Phase::Held(Held::new(now)));
        self.turnover.taken += 1;
        self.speak(now, vip, actions);
    }

    fn speak(&mut self, now: Instant, vip: IpAddr, actions: &mut Vec<Action>) {
        if let Some(Vip { grant, place, phase: Phase::Held(held) }) = self.vips.get_mut(&vip) {
            let next = held.spoke(now, self.config.refresh, &mut self.jitter);
            let next =
                if held.is_young() { next } else { self.beat.after(next, self.config.refresh / BEATS) };
            self.schedule.at(vip, place, next);
            actions.push(Action::Announce { vip, until: grant.until });
        }
    }

    /// Everything that is counted by phase is counted here.
    fn turn_into(&mut self, vip: IpAddr, phase: Phase) {
        let Some(state) = self.vips.get_mut(&vip) else { return };
        *self.tally.of(&state.phase) -= 1;
        *self.tally.of(&phase) += 1;
        self.moves += 1;
        match phase.rival() {
            Some(rival) => drop(self.rivals.insert(vip, rival)),
            None => drop(self.rivals.remove(&vip)),
        }
        state.phase = phase;
    }
}

impl Tally {
    fn of(&mut self, phase: &Phase) -> &mut usize {
        match phase {
            Phase::Waiting(_) => &mut self.waiting,
            Phase::Checking(_) => &mut self.checking,
            Phase::Blocked { .. } => &mut self.blocked,
            Phase::Held(_) => &mut self.held,
        }
    }
}

/// Addresses that one call acts on.
pub const MOST_AT_ONCE: usize = 256;

/// Slow repetitions come together so often in each period: thousands would wake the process hundreds of times a second.
const BEATS: u32 = 64;

/// Who comes so much too late for the next step of a wire check begins it anew.
const LATE: Duration = Duration::from_millis(250);

/// Defences a second, of all addresses together: each may be defended once in ten seconds.
const DEFENCES: u32 = 100;
