//! What one sighting of the Lease means: whose it is, and from when it may be claimed.

use std::collections::VecDeque;
use std::time::Instant;

use super::lease::{Intent, Predecessor, Record, Stamp, Timing};

/// What this process has written, so that it can tell its own record from a twin's: another
/// process that was given the same identity, or this node's earlier life.
#[derive(Debug)]
pub(super) struct Ours {
    identity: String,
    /// In the order of the writes: the wall clock behind a stamp may step back. Each with what a
    /// later claim of ours finds there.
    stamps: VecDeque<(Stamp, Predecessor)>,
}

impl Ours {
    pub(super) fn new(identity: String) -> Self {
        Self { identity, stamps: VecDeque::new() }
    }

    /// Whether this very process wrote `record`, and holds by it.
    pub(super) fn wrote(&self, record: &Record) -> bool {
        self.names(record) && self.left_by(record).is_some()
    }

    /// What was left behind by the write of ours that made `record`.
    fn left_by(&self, record: &Record) -> Option<Predecessor> {
        let found = self.stamps.iter().find(|(stamp, _)| record.renewed == Some(*stamp));
        found.map(|&(_, predecessor)| predecessor)
    }

    /// A write that happened, or one whose outcome is not known and that may still turn up.
    pub(super) fn remember(&mut self, stamp: Option<Stamp>, left: Predecessor) {
        self.stamps.extend(stamp.map(|stamp| (stamp, left)));
        while self.stamps.len() > REMEMBERED_STAMPS {
            self.stamps.pop_front();
        }
    }

    /// Whether this very process released the Lease by `record`.
    fn released(&self, record: &Record) -> bool {
        record.holder.is_none() && self.left_by(record).is_some()
    }

    pub(super) fn names(&self, record: &Record) -> bool {
        record.holder.as_ref() == Some(&self.identity)
    }

    /// Our name, before this process wrote anything: an earlier life of ours, most likely. The wire
    /// is asked in any case.
    fn inherits(&self, record: &Record) -> bool {
        self.names(record) && self.stamps.is_empty()
    }
}

/// The Lease as last seen, and what follows from it.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) record: Option<Record>,
    /// From here on it may be claimed.
    pub(super) free_at: Instant,
    pub(super) predecessor: Predecessor,
}

impl Sight {
    pub(super) fn new(
        now: Instant,
        record: Option<Record>,
        earlier: Option<&Self>,
        ours: &Ours,
        timing: &Timing,
    ) -> Self {
        let free_at = free_at(now, record.as_ref(), earlier, ours, timing);
        let predecessor = record.as_ref().map_or(Predecessor::Unknown, |record| predecessor(record, ours));
        Self { record, free_at, predecessor }
    }

    /// How to take what is free: a record under our own name is renewed, as client-go does.
    pub(super) fn claim(&self, ours: &Ours) -> Intent {
        match &self.record {
            None => Intent::Claim { transitions: 0 },
            Some(record) if ours.names(record) => Intent::Renew,
            Some(record) => Intent::Claim { transitions: record.transitions.saturating_add(1) },
        }
    }
}

fn predecessor(record: &Record, ours: &Ours) -> Predecessor {
    match ours.left_by(record).filter(|_| ours.names(record)) {
        _ if record.vacated => Predecessor::Left,
        left => left.unwrap_or(Predecessor::Unknown),
    }
}

fn free_at(
    now: Instant,
    record: Option<&Record>,
    earlier: Option<&Sight>,
    ours: &Ours,
    timing: &Timing,
) -> Instant {
    let Some(record) = record else {
        return earlier.map_or(now, |earlier| free_after_deletion(now, earlier, timing));
    };
    // Whoever waited for our release goes first, however we learn that it happened.
    let courtesy = ours.released(record).then_some(timing.retry_period);
    if courtesy.is_none() && (record.holder.is_none() || ours.wrote(record) || ours.inherits(record)) {
        return now;
    }
    match earlier {
        Some(Sight { record: Some(seen), free_at, .. }) if record.stands_still_since(seen) => *free_at,
        _ => now + courtesy.or(record.lease_duration).unwrap_or(timing.lease_duration),
    }
}

/// Somebody may hold by a record that was deleted, and not know yet: it is owed the whole wait, from
/// when the Lease was first missed. That our own record was the last we saw proves nothing.
fn free_after_deletion(now: Instant, earlier: &Sight, timing: &Timing) -> Instant {
    match earlier.record {
        None => earlier.free_at,
        Some(_) => now + timing.lease_duration,
    }
}

/// A late write can still turn up after others; more than a few cannot be under way.
const REMEMBERED_STAMPS: usize = 16;
