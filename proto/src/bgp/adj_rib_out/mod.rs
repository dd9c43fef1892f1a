//! What each peer should know, what it knows, and the UPDATEs between the two.
//!
//! [`Routes`] is what this node originates, once for all peers. [`Routes::export`] applies a peer's policy and gives
//! a [`Snapshot`], which peers with equal policies share, and with it its encoded dump. An [`AdjRibOut`] brings one
//! peer from the snapshot that it knows to the one that it should know.

mod changes;
mod export;
mod routes;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use self::changes::Changes;
pub use self::export::{Export, Local, Policy, link_bandwidth};
pub use self::routes::Routes;
pub use self::snapshot::{Dump, Omission, Omitted, Snapshot};
use super::types::{Family, RouteRefresh};
use super::wire::iana::refresh::{BORR, EORR};
use super::wire::{encode, update};

/// One session's routes. It begins with [`super::fsm::Action::Up`], ends with the session, and is asked for octets
/// whenever those before are written: then what changed in the meantime is said once.
#[derive(Debug)]
pub struct AdjRibOut {
    window: Duration,
    /// `None`: what this node originates is not known yet, and End-of-RIB would be a lie.
    wanted: Option<Arc<Snapshot>>,
    /// What the peer knows when everything that was taken is written.
    known: Arc<Snapshot>,
    /// Families whose first dump is not sent.
    end_of_rib_due: BTreeSet<Family>,
    /// Families that the peer wants again, and whether between BoRR and EoRR.
    refresh_due: BTreeMap<Family, bool>,
    quiet_until: Option<Instant>,
}

/// Octets for the peer, to be written in this order, and what they say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    /// Whole messages.
    pub octets: Vec<Bytes>,
    /// UPDATEs among them, End-of-RIB too.
    pub updates: usize,
    /// Routes announced, anew or again.
    pub announced: usize,
    /// Routes withdrawn.
    pub withdrawn: usize,
}

impl AdjRibOut {
    /// For a peer that knows nothing. After a change the next one waits until `window` is over, with all that come
    /// in between; families are those of the session.
    #[must_use]
    pub fn new(families: BTreeSet<Family>, window: Duration) -> Self {
        Self {
            window,
            wanted: None,
            known: Arc::default(),
            end_of_rib_due: families,
            refresh_due: BTreeMap::new(),
            quiet_until: None,
        }
    }

    /// What the peer should know; replaces whatever was wanted before.
    pub fn want(&mut self, snapshot: Arc<Snapshot>) {
        // The same routes, and others that are left out, are news for the operator.
        let known = *snapshot == *self.known && snapshot.omitted() == self.known.omitted();
        self.wanted = Some(if known { self.known.clone() } else { snapshot });
    }

    /// The peer wants the routes of a family again.
    pub fn resend(&mut self, family: Family, enhanced: bool) {
        self.refresh_due.insert(family, enhanced);
    }

    /// What comes next does not wait for the window.
    pub fn hurry(&mut self) {
        self.quiet_until = None;
    }

    /// What to write now; to be asked when all that was taken before is written. From here on it counts as known.
    #[must_use = "the peer counts as knowing it"]
    pub fn take(&mut self, now: Instant) -> Option<Batch> {
        let wanted = self.pending()?.clone();
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        let mut batch = Batch::default();
        self.bring_to(&wanted, &mut batch);
        for family in std::mem::take(&mut self.end_of_rib_due) {
            batch.end_of_rib(family);
        }
        for (family, enhanced) in std::mem::take(&mut self.refresh_due) {
            batch.refresh(&wanted, family, enhanced);
        }
        self.known = wanted;
        if batch.octets.is_empty() {
            return None;
        }
        self.quiet_until = Some(now + self.window);
        Some(batch)
    }

    /// When to ask again although nothing happened.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.pending().and(self.quiet_until)
    }

    /// Whether the peer has been told everything, once what was taken is written.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.wanted.is_some() && self.pending().is_none()
    }

    /// What the peer knows, or will when everything that was taken is written.
    #[must_use]
    pub fn known(&self) -> &Arc<Snapshot> {
        &self.known
    }

    /// The snapshot that is to be told, if there is something to say.
    fn pending(&self) -> Option<&Arc<Snapshot>> {
        let wanted = self.wanted.as_ref()?;
        let settled =
            self.end_of_rib_due.is_empty() && self.refresh_due.is_empty() && Arc::ptr_eq(wanted, &self.known);
        (!settled).then_some(wanted)
    }

    /// A peer that knows nothing gets the dump that others may have got already.
    fn bring_to(&self, wanted: &Snapshot, batch: &mut Batch) {
        if self.known.is_empty() {
            for family in wanted.families() {
                batch.dump(wanted.dump(family));
            }
            return;
        }
        let changes = Changes::between(&self.known, wanted);
        let mut octets = BytesMut::new();
        batch.updates += changes.encode(wanted.as_numbers(), &mut octets);
        batch.announced += changes.announced.iter().map(|(_, prefixes)| prefixes.len()).sum::<usize>();
        batch.withdrawn += changes.withdrawn.len();
        batch.push(octets);
    }
}

impl Batch {
    fn push(&mut self, octets: BytesMut) {
        if !octets.is_empty() {
            self.octets.push(octets.freeze());
        }
    }

    fn dump(&mut self, dump: Dump) {
        if !dump.octets.is_empty() {
            self.octets.push(dump.octets);
        }
        self.updates += dump.updates;
        self.announced += dump.routes;
    }

    fn end_of_rib(&mut self, family: Family) {
        let mut octets = BytesMut::new();
        update::end_of_rib(family, &mut octets);
        self.updates += 1;
        self.push(octets);
    }

    fn refresh(&mut self, wanted: &Snapshot, family: Family, enhanced: bool) {
        if enhanced {
            self.boundary(family, BORR);
        }
        self.dump(wanted.dump(family));
        if enhanced {
            self.boundary(family, EORR);
        }
    }

    fn boundary(&mut self, family: Family, subtype: u8) {
        let mut octets = BytesMut::new();
        encode::route_refresh(&RouteRefresh { family, subtype }, &mut octets);
        self.push(octets);
    }
}
