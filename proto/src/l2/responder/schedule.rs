//! What is due next among thousands of addresses, each of which waits for one thing at most.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::pace::{Line, Pace};

/// Where an address waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// For nothing but what it hears.
    Nowhere,
    /// For an instant.
    Agenda(Instant),
    /// For its turn.
    Line(Queue, u64),
}

/// What addresses wait for their turn for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Queue {
    /// To be asked for, or announced for the first time.
    Starts,
    /// To be announced once more soon after.
    Repeats,
    /// To be asked for again, because somebody had it.
    Rechecks,
    /// To be announced once more after a long time.
    Refreshes,
}

/// An address whose time has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Its instant has come.
    Due(IpAddr),
    /// It is its turn.
    Turn(IpAddr),
}

#[derive(Debug)]
pub(super) struct Schedule {
    agenda: BTreeSet<(Instant, IpAddr)>,
    starts: Line,
    repeats: Line,
    rechecks: Line,
    refreshes: Line,
}

impl Schedule {
    pub(super) fn new(refresh_frames: u32) -> Self {
        let refreshes = Pace::new(average(refresh_frames), burst(refresh_frames));
        Self {
            agenda: BTreeSet::new(),
            starts: Line::new(Pace::new(STARTS, STARTS_BURST), SOON),
            repeats: Line::new(Pace::new(REPEATS, STARTS_BURST), SOON),
            rechecks: Line::new(Pace::new(RECHECKS, RECHECKS_BURST), LATER),
            refreshes: Line::new(refreshes, LATER),
        }
    }

    pub(super) fn ration(&mut self, refresh_frames: u32) {
        self.refreshes.ration(average(refresh_frames), burst(refresh_frames));
    }

    pub(super) fn at(&mut self, vip: IpAddr, place: &mut Place, due: Instant) {
        self.leave(vip, place);
        self.agenda.insert((due, vip));
        *place = Place::Agenda(due);
    }

    pub(super) fn line_up(&mut self, now: Instant, vip: IpAddr, place: &mut Place, queue: Queue) {
        self.leave(vip, place);
        *place = Place::Line(queue, self.line(queue).join(now, vip));
    }

    pub(super) fn leave(&mut self, vip: IpAddr, place: &mut Place) {
        match std::mem::replace(place, Place::Nowhere) {
            Place::Nowhere => {}
            Place::Agenda(due) => drop(self.agenda.remove(&(due, vip))),
            Place::Line(queue, ticket) => self.line(queue).leave(ticket),
        }
    }

    /// Whoever is next waits nowhere any more; the caller notes that.
    pub(super) fn next(&mut self, now: Instant) -> Option<Next> {
        if self.agenda.first().is_some_and(|(due, _)| *due <= now) {
            return self.agenda.pop_first().map(|(_, vip)| Next::Due(vip));
        }
        [Queue::Starts, Queue::Repeats, Queue::Rechecks, Queue::Refreshes]
            .into_iter()
            .find_map(|queue| self.line(queue).serve(now, |vip| cost(queue, vip)))
            .map(Next::Turn)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let lines = [&self.starts, &self.repeats, &self.rechecks, &self.refreshes];
        let due = self.agenda.first().map(|(due, _)| *due);
        lines.into_iter().filter_map(Line::deadline).chain(due).min()
    }

    /// How many addresses wait for something.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let lines = [&self.starts, &self.repeats, &self.rechecks, &self.refreshes];
        self.agenda.len() + lines.into_iter().map(Line::len).sum::<usize>()
    }

    fn line(&mut self, queue: Queue) -> &mut Line {
        match queue {
            Queue::Starts => &mut self.starts,
            Queue::Repeats => &mut self.repeats,
            Queue::Rechecks => &mut self.rechecks,
            Queue::Refreshes => &mut self.refreshes,
        }
    }
}

/// Refreshes are counted in frames, of which an IPv4 announcement has two; all else in addresses.
fn cost(queue: Queue, vip: IpAddr) -> u32 {
    match queue {
        Queue::Starts | Queue::Repeats | Queue::Rechecks => 1,
        Queue::Refreshes if vip.is_ipv4() => 2,
        Queue::Refreshes => 1,
    }
}

/// Without what may come at once besides, so that no second has more.
fn average(refresh_frames: u32) -> u32 {
    refresh_frames.saturating_sub(burst(refresh_frames)).max(1)
}

/// A tenth of a second's, and one address at least.
fn burst(refresh_frames: u32) -> u32 {
    (refresh_frames / 10).max(2)
}

/// Addresses a second that are asked for or announced for the first time: ten thousand in two and a half seconds. Each
/// takes three probes and two frames, so that this is 20,000 of the smallest frames a second, a hundredth of a gigabit.
const STARTS: u32 = 4000;

/// As many are begun at once: what a deployment creates is not held up.
const STARTS_BURST: u32 = 256;

/// Addresses a second that are announced for the second and the third time.
const REPEATS: u32 = 2000;

/// Addresses a second that are asked for again: whoever has thousands of them goes on having them.
const RECHECKS: u32 = 100;
const RECHECKS_BURST: u32 = 64;

/// Where thousands wait, so long is slept between two turns.
const SOON: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(50);
