//! The other members: who lives, judged on our own clock, and what each of them claims.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::hash::{Key, MemberId};
use super::statement::Statement;
use super::view::{View, Weight};
use super::words::Record;

/// Everybody else, as their Leases show them.
#[derive(Debug)]
pub(super) struct Members {
    lease_duration: Duration,
    sights: BTreeMap<String, Sight>,
    unable: BTreeMap<MemberId, BTreeSet<IpAddr>>,
    /// Addresses for which that has changed.
    reconsidered: BTreeSet<IpAddr>,
}

/// Another member, for whoever wants to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member<'a> {
    /// Of its node.
    pub name: &'a str,
    /// By which it is hashed.
    pub id: MemberId,
    /// How much it takes; `None`: what it says cannot be read.
    pub weight: Option<Weight>,
    /// Whether it is there.
    pub liveness: Liveness,
}

/// What a member Lease shows of its member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Liveness {
    /// It moves.
    Alive,
    /// It said that it has left.
    Left,
    /// Its Lease was deleted a short while ago; it may not know yet.
    Deleted,
    /// It stood still for longer than it asked others to wait.
    Silent,
}

#[derive(Debug)]
struct Sight {
    id: MemberId,
    record: Record,
    deleted: bool,
    /// When it will have stood still for long enough.
    expires_at: Instant,
    /// It stood still for long enough, and a write of ours after that has proved that we saw it all.
    past: bool,
}

/// What a sighting changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// A sign of life at most.
    Nothing,
    /// Claims about these addresses, and nothing else.
    Claims(BTreeSet<IpAddr>),
    /// Members, weights or views.
    Members,
}

/// One member that says something.
type Voice<'a> = (&'a str, MemberId, &'a Statement);

/// The claims of everybody else, prepared for many questions.
#[derive(Debug)]
pub(super) struct Claimants<'a> {
    by_view: Vec<(&'a View, Vec<Voice<'a>>)>,
    unreadable: Vec<&'a str>,
}

impl Members {
    pub(super) fn new(lease_duration: Duration) -> Self {
        let (sights, unable, reconsidered) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { lease_duration, sights, unable, reconsidered }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Member<'_>> {
        self.sights.iter().map(|(name, sight)| sight.describe(name))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.sights.keys().cloned().collect()
    }

    pub(super) fn see(&mut self, now: Instant, name: &str, record: Option<Record>) -> Change {
        match record {
            None => self.miss(now, name),
            Some(record) => self.meet(now, name, record),
        }
    }

    /// At the first list: whoever is in somebody's view and has no Lease lost it just now, and may hold anything.
    pub(super) fn suspect(&mut self, now: Instant, me: MemberId, own: Option<&Record>) {
        let records = self.sights.values().map(|sight| &sight.record).chain(own);
        let views = records.filter_map(|record| Some(&record.statement.as_ref()?.view));
        let mut named: BTreeSet<_> = views.flat_map(|view| view.seats().keys().copied()).collect();
        named.retain(|id| *id != me && self.sights.values().all(|sight| sight.id != *id));
        for id in named {
            let record = Record {
                version: String::new(),
                renewed: None,
                lease_duration: None,
                transitions: 0,
                statement: None,
            };
            let expires_at = now + self.lease_duration;
            // No node has such a name; it goes when the member's Lease is back.
            self.sights.insert(ghost(id), Sight { id, record, deleted: true, expires_at, past: false });
        }
    }

    /// A list does not have it: what it said last before it was deleted may never have been seen.
    pub(super) fn miss_in_list(&mut self, now: Instant, name: &str) -> Change {
        if let Some(sight) = self.sights.get_mut(name).filter(|sight| !sight.past && !sight.deleted) {
            sight.record.statement = None;
        }
        self.miss(now, name);
        Change::Members
    }

    /// A deleted Lease is owed the whole wait: its member may hold by it, and not know yet.
    fn miss(&mut self, now: Instant, name: &str) -> Change {
        match self.sights.get_mut(name) {
            Some(sight) if sight.past => {
                self.sights.remove(name);
            }
            Some(sight) if !sight.deleted => {
                sight.deleted = true;
                sight.expires_at = now + sight.duration(self.lease_duration);
            }
            Some(_) | None => {}
        }
        Change::Nothing
    }

    fn meet(&mut self, now: Instant, name: &str, record: Record) -> Change {
        let expires_at = now + record.lease_duration.unwrap_or(self.lease_duration);
        let id = MemberId::of(name);
        self.sights.remove(&ghost(id));
        let sight = Sight { id, record, deleted: false, expires_at, past: false };
        let change = match self.sights.get(name) {
            Some(seen) if !sight.moved_since(seen) => return Change::Nothing,
            Some(seen) => sight.change_since(seen),
            None => Change::Members,
        };
        let unable = sight.record.statement.as_ref().map(|said| said.unable.clone()).unwrap_or_default();
        self.remember_unable(id, unable);
        self.sights.insert(name.to_owned(), sight);
        change
    }

    fn remember_unable(&mut self, id: MemberId, addresses: BTreeSet<IpAddr>) {
        let before = self.unable.remove(&id).unwrap_or_default();
        self.reconsidered.extend(before.symmetric_difference(&addresses));
        if !addresses.is_empty() {
            self.unable.insert(id, addresses);
        }
    }

    /// The addresses that a member has become able or unable to serve since this was asked last.
    pub(super) fn take_reconsidered(&mut self) -> BTreeSet<IpAddr> {
        mem::take(&mut self.reconsidered)
    }

    /// A write of ours that departed at this instant has come back: what stood still until then is past.
    pub(super) fn confirm(&mut self, departed: Instant) -> Change {
        let mut change = Change::Nothing;
        for sight in self.sights.values_mut().filter(|sight| !sight.past && sight.expires_at <= departed) {
            sight.past = true;
            self.reconsidered.extend(self.unable.remove(&sight.id).into_iter().flatten());
            change = Change::Members;
        }
        self.sights.retain(|_, sight| !(sight.past && sight.deleted));
        change
    }

    /// Whoever was away itself lets the others speak first.
    pub(super) fn spare_until(&mut self, at: Instant) {
        for sight in self.sights.values_mut() {
            sight.expires_at = sight.expires_at.max(at);
        }
    }

    /// When the next one will have stood still for long enough, of those that matter.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let matter = self.sights.values().filter(|sight| !sight.past && sight.matters());
        matter.map(|sight| sight.expires_at).min()
    }

    /// The view of these members, and of ourselves.
    pub(super) fn view(&self, me: MemberId, weight: Weight) -> View {
        let others = self.sights.values().filter(|sight| !sight.past).filter_map(|sight| {
            let said = sight.record.statement.as_ref()?;
            Some((sight.id, said.weight))
        });
        View::new(others.chain([(me, weight)]))
    }

    pub(super) fn is_past(&self, name: &str) -> bool {
        self.sights.get(name).is_none_or(|sight| sight.past)
    }

    /// Whether `name` claims `address`, by what it said last.
    pub(super) fn claims(&self, name: &str, address: IpAddr) -> bool {
        self.sights.get(name).is_some_and(|sight| sight.claims(address))
    }

    /// Whether a member of this id claims `address`, and may be handed it.
    pub(super) fn in_line(&self, id: MemberId, address: IpAddr) -> bool {
        self.sights.values().any(|sight| sight.id == id && sight.claims(address))
    }

    /// Nobody says of any address that it cannot serve it: nearly always.
    pub(super) fn all_are_able(&self) -> bool {
        self.unable.is_empty()
    }

    pub(super) fn is_unable(&self, id: MemberId, address: IpAddr) -> bool {
        self.unable.get(&id).is_some_and(|addresses| addresses.contains(&address))
    }

    pub(super) fn claimants(&self) -> Claimants<'_> {
        let mut claimants = Claimants { by_view: vec![], unreadable: vec![] };
        for (name, sight) in self.sights.iter().filter(|(_, sight)| !sight.past) {
            match &sight.record.statement {
                Some(said) => claimants.add(name, sight.id, said),
                None => claimants.unreadable.push(name),
            }
        }
        claimants
    }
}

fn ghost(id: MemberId) -> String {
    format!("?{id}")
}

impl<'a> Claimants<'a> {
    fn add(&mut self, name: &'a str, id: MemberId, said: &'a Statement) {
        match self.by_view.iter_mut().find(|(view, _)| **view == said.view) {
            Some((_, members)) => members.push((name, id, said)),
            None => self.by_view.push((&said.view, vec![(name, id, said)])),
        }
    }

    /// Who claims `address`: its home is computed once for all that share a view.
    pub(super) fn of(&self, address: IpAddr) -> BTreeSet<String> {
        let mut names: BTreeSet<_> = self.unreadable.iter().map(|&name| name.to_owned()).collect();
        for (view, members) in &self.by_view {
            let home = view.home(Key::of_address(address));
            let claiming = members.iter().filter(|(_, id, said)| {
                home == Some(*id) && !said.waives(address) || said.also.contains(&address)
            });
            names.extend(claiming.map(|&(name, ..)| name.to_owned()));
        }
        names
    }
}

impl Sight {
    fn duration(&self, otherwise: Duration) -> Duration {
        self.record.lease_duration.unwrap_or(otherwise)
    }

    fn claims(&self, address: IpAddr) -> bool {
        let claims = |said: &Statement| said.claims(self.id, address);
        !self.past && self.record.statement.as_ref().is_none_or(claims)
    }

    fn describe<'a>(&self, name: &'a str) -> Member<'a> {
        let said = self.record.statement.as_ref();
        let liveness = match (said.is_some_and(Statement::has_left), self.past, self.deleted) {
            (true, ..) => Liveness::Left,
            (_, true, _) => Liveness::Silent,
            (_, _, true) => Liveness::Deleted,
            (false, false, false) => Liveness::Alive,
        };
        Member { name, id: self.id, weight: said.map(|said| said.weight), liveness }
    }

    fn matters(&self) -> bool {
        let idle = |said: &Statement| said.weight == 0 && said.claims_nothing(self.id);
        !self.record.statement.as_ref().is_some_and(idle)
    }

    /// An edited annotation is not a sign of life, and what is older than what was seen is not news. Lives cannot be
    /// told old from new: a Lease may have been deleted and written again between two lists.
    fn moved_since(&self, seen: &Self) -> bool {
        match (&self.record.statement, &seen.record.statement) {
            (Some(now), Some(then)) if now.life == then.life => {
                now.sequence > then.sequence || seen.deleted && now.sequence == then.sequence
            }
            (_, _) => {
                self.record.renewed != seen.record.renewed || self.record.version != seen.record.version
            }
        }
    }

    fn change_since(&self, seen: &Self) -> Change {
        match (&self.record.statement, &seen.record.statement) {
            _ if seen.past => Change::Members,
            (Some(now), Some(then)) if now.says_the_same(then) => Change::Nothing,
            (Some(now), Some(then)) if now.weight == then.weight && now.view == then.view => {
                Change::Claims(now.differs_about(then))
            }
            (_, _) => Change::Members,
        }
    }
}
