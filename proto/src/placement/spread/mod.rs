//! The spread as a whole: what this member claims, announces and lets go, and when it says so.

mod claim;
mod draft;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::hash::MemberId;
use super::homes::Homes;
use super::members::{Change, Claimants, Member, Members};
use super::statement::Statement;
use super::tenancy::{Sighted, Source, Tenancy, Turn};
use super::view::{View, Weight};
use super::words::{Action, Answer, Config, Event, Facts, Record};
use crate::election::{Grant, Predecessor};
use claim::{Claim, Claims};
use draft::Draft;

/// One member of the spread. See the rules of [ADR 14](../../../docs/adr/0014-spread.md).
#[derive(Debug)]
pub struct Spread {
    config: Config,
    me: MemberId,
    tenancy: Tenancy,
    members: Members,
    weight: Weight,
    leaving: bool,
    wanted: BTreeMap<IpAddr, Facts>,
    claims: Claims,
    /// Where things should be, as we see it.
    homes: Homes,
    draft: Draft,
    /// What departed since the last echo, with that one; nothing from before the grant was interrupted.
    said: VecDeque<Statement>,
    /// Addresses that we gave way for, until then.
    given_way: BTreeMap<IpAddr, Instant>,
    /// Which addresses have to be thought about again.
    todo: BTreeSet<IpAddr>,
    /// Somebody claims or is past, so that waiting may be over.
    others_moved: bool,
    /// Members or weights have changed, and the view with them.
    view_moved: bool,
    has_list: bool,
}

/// Where a member stands, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It has no grant: nothing was seen or written yet, or the API is away.
    Silent,
    /// Another process, most likely on another machine, speaks under our name.
    Refused,
    /// Its Lease is renewed, and it may announce what it holds.
    Member,
    /// It has handed everything over, and said so.
    Left,
}

impl Spread {
    /// A member that knows nothing yet, and takes nothing before it is given a weight.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            me: MemberId::of(&config.name),
            tenancy: Tenancy::new(&config),
            members: Members::new(config.timing.lease_duration),
            config,
            weight: 0,
            leaving: false,
            wanted: BTreeMap::new(),
            claims: Claims::default(),
            homes: Homes::default(),
            draft: Draft::default(),
            said: VecDeque::new(),
            given_way: BTreeMap::new(),
            todo: BTreeSet::new(),
            others_moved: false,
            view_moved: false,
            has_list: false,
        }
    }

    /// Takes what happened; returns the request to make now, if any.
    #[must_use = "nothing is renewed until the request is made"]
    pub fn handle(&mut self, now: Instant, event: Event) -> Option<Action> {
        // Before anything else: a late answer must not bridge an interruption that nobody noticed.
        self.expire(now);
        match event {
            Event::Tick => {}
            Event::Listed(records) => self.listed(now, records),
            // A watch without its list shows some members, and hides the others.
            Event::Seen { .. } if !self.has_list => {}
            Event::Seen { name, record } => self.seen(now, &name, record),
            Event::Answered(answer) => self.answered(now, answer),
            Event::Weight(weight) => self.weigh(if self.leaving { 0 } else { weight }),
            Event::Leave => {
                self.leaving = true;
                self.weigh(0);
            }
            Event::Wanted(changes) => self.want(changes),
            Event::Gone(addresses) => self.gone(addresses),
        }
        self.settle(now);
        self.next(now)
    }

    /// What may be announced, each with its permission; `until` must still be compared with the clock.
    pub fn grants(&self) -> impl Iterator<Item = (IpAddr, Grant)> + '_ {
        let ends = self.tenancy.until().zip(self.tenancy.fence());
        ends.into_iter().flat_map(|(until, fence)| {
            self.claims
                .held()
                .map(move |(address, predecessor)| (address, Grant { until, fence, predecessor }))
        })
    }

    /// What must be gone from the wire before others can be told: answer with [`Event::Gone`].
    pub fn letting_go(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.claims.unsettled().filter(|(_, claim)| matches!(claim, Claim::Leaving { .. })).map(|(at, _)| at)
    }

    /// What is claimed and cannot be announced yet, because others claim it too.
    pub fn queued(&self) -> impl Iterator<Item = (IpAddr, &BTreeSet<String>)> + '_ {
        self.claims.unsettled().filter_map(|(address, claim)| match claim {
            Claim::Queued { ahead, .. } => Some((address, ahead)),
            Claim::Wanted | Claim::Entering { .. } | Claim::Held { .. } | Claim::Leaving { .. } => None,
        })
    }

    /// Where this member stands.
    #[must_use]
    pub fn role(&self) -> Role {
        match (self.has_left(), self.tenancy.is_refused(), self.tenancy.until()) {
            (true, ..) => Role::Left,
            (_, true, _) => Role::Refused,
            (_, _, Some(_)) => Role::Member,
            (..) => Role::Silent,
        }
    }

    /// The members that addresses are spread over, as this one sees it.
    #[must_use]
    pub fn view(&self) -> &View {
        self.homes.view()
    }

    /// Everybody else that has a Lease, or had one a short while ago.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.members.all()
    }

    /// How much this member takes.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Who should announce `address`, as this member sees it.
    #[must_use]
    pub fn chosen(&self, address: IpAddr) -> Option<MemberId> {
        self.homes.of(address)
    }

    /// Who would, if `member` were not there.
    #[must_use]
    pub fn chosen_without(&self, address: IpAddr, member: MemberId) -> Option<MemberId> {
        let facts = self.wanted.get(&address)?;
        let tier = tiers(self.me, Some(facts), &self.members, address);
        self.view().first(facts.key, |other| tier(other).filter(|_| other != member))
    }

    /// Which other members claim `address`, by what they said last. Its holder is one of them, if it is not us.
    #[must_use]
    pub fn claimed_by(&self, address: IpAddr) -> BTreeSet<String> {
        self.claiming(&self.members.claimants(), address)
    }

    /// Where nobody is to have an address, hashing's choice has no reason to say that it does not claim it.
    fn claiming(&self, claimants: &Claimants<'_>, address: IpAddr) -> BTreeSet<String> {
        let mut names = claimants.of(address);
        if let Some(facts) = self.wanted.get(&address).filter(|_| self.chosen(address).is_none()) {
            names.retain(|name| facts.tier(MemberId::of(name)).is_some());
        }
        names
    }

    /// Whether there is an address that nobody can have.
    #[must_use]
    pub fn has_homeless(&self) -> bool {
        self.homes.homeless().next().is_some()
    }

    /// How many addresses nobody can have, as this member sees it, and nobody has kept either.
    #[must_use]
    pub fn unserved(&self) -> usize {
        let nobodys: BTreeSet<_> = self.homes.homeless().collect();
        if nobodys.is_empty() {
            return 0;
        }
        let kept = self.grants().filter(|(address, _)| nobodys.contains(address)).count();
        let claimants = self.members.claimants();
        let claimed =
            nobodys.iter().filter(|address| !self.claiming(&claimants, **address).is_empty()).count();
        nobodys.len().saturating_sub(kept + claimed)
    }

    /// Whether `address` is wanted.
    #[must_use]
    pub fn is_wanted(&self, address: IpAddr) -> bool {
        self.wanted.contains_key(&address)
    }

    /// [`Self::chosen`] of every address that is wanted.
    pub fn choices(&self) -> impl Iterator<Item = (IpAddr, Option<MemberId>)> + '_ {
        self.wanted.keys().map(|&address| (address, self.homes.of(address)))
    }

    /// How many addresses are wanted.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// Changes whenever [`Self::grants`] does.
    #[must_use]
    pub fn edition(&self) -> (Option<Instant>, u64) {
        (self.tenancy.until(), self.claims.edition())
    }

    /// When to call again with [`Event::Tick`].
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.has_left() {
            return None;
        }
        let sent = self.tenancy.last_departure();
        let expiry = self.members.next_expiry().filter(|&at| sent.is_none_or(|sent| sent < at));
        let expiry = expiry.filter(|&at| now < at);
        let write = self.tenancy.wake(now, self.has_news(now));
        let waits = self.claims.unsettled().filter_map(|(_, claim)| self.ends_waiting(claim));
        let waits = waits.chain(self.given_way.values().copied()).filter(|&at| now < at);
        waits.chain(expiry).chain(write).chain(self.tenancy.until()).min()
    }

    /// A list is the state after everything that was written before it: others first, then the echo.
    fn listed(&mut self, now: Instant, mut records: BTreeMap<String, Record>) {
        let own = records.remove(&self.config.name);
        let missing: Vec<_> =
            self.members.names().into_iter().filter(|name| !records.contains_key(name)).collect();
        for name in missing {
            let change = self.members.miss_in_list(now, &name);
            self.changed(change);
        }
        for (name, record) in records {
            self.seen(now, &name, Some(record));
        }
        if !mem::replace(&mut self.has_list, true) {
            self.members.suspect(now, self.me, own.as_ref());
        }
        let name = self.config.name.clone();
        self.seen(now, &name, own);
    }

    fn seen(&mut self, now: Instant, name: &str, record: Option<Record>) {
        if name == self.config.name {
            let sighted = self.tenancy.sight(now, record.as_ref(), Source::Watch);
            self.sighted(sighted);
        } else {
            let change = self.members.see(now, name, record);
            self.changed(change);
        }
    }

    fn answered(&mut self, now: Instant, answer: Answer) {
        let had_grant = self.tenancy.until().is_some();
        match answer {
            Answer::Read(record) => {
                let sighted = self.tenancy.read(now, record.as_ref());
                self.sighted(sighted);
            }
            Answer::Written(record) => {
                let sighted = self.tenancy.written(now, &record);
                self.sighted(sighted);
            }
            Answer::Conflict => self.tenancy.conflict(),
            Answer::Failed => self.tenancy.failed(now),
        }
        if !had_grant && self.tenancy.until().is_some() {
            self.members.spare_until(now + 2 * self.config.timing.retry_period);
        }
    }

    fn sighted(&mut self, sighted: Sighted) {
        match sighted {
            Sighted::Nothing => {}
            Sighted::Echo(departed) => {
                let echoed = self.tenancy.echoed();
                self.said.retain(|said| said.sequence >= echoed);
                let change = self.members.confirm(departed);
                self.changed(change);
            }
            Sighted::Lost => self.lapse(),
        }
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Claims(about) => {
                self.others_moved = true;
                self.todo.extend(about);
            }
            Change::Members => {
                self.others_moved = true;
                self.view_moved = true;
            }
        }
    }

    fn weigh(&mut self, weight: Weight) {
        if self.weight != weight {
            self.weight = weight;
            self.view_moved = true;
        }
    }

    fn want(&mut self, changes: BTreeMap<IpAddr, Option<Facts>>) {
        for (address, facts) in changes {
            match facts {
                Some(facts) => self.wanted.insert(address, facts),
                None => self.wanted.remove(&address),
            };
            self.rank(address);
        }
    }

    /// Its facts have changed, or who is able to serve it.
    fn rank(&mut self, address: IpAddr) {
        self.todo.insert(address);
        match self.wanted.get(&address) {
            None => self.homes.forget(address),
            Some(facts) => {
                let tier = tiers(self.me, Some(facts), &self.members, address);
                self.homes.enter(address, facts.key, tier);
            }
        }
    }

    /// The grant was interrupted: whatever was claimed before has to be claimed anew, behind others.
    fn lapse(&mut self) {
        self.said.clear();
        self.claims.lapse();
        self.todo.extend(self.claims.addresses());
    }

    fn expire(&mut self, now: Instant) {
        if self.tenancy.lapsed(now) {
            self.lapse();
        }
    }

    fn settle(&mut self, now: Instant) {
        self.expire(now);
        let over: BTreeSet<_> =
            self.given_way.iter().filter(|(_, until)| **until <= now).map(|(&address, _)| address).collect();
        self.given_way.retain(|address, _| !over.contains(address));
        self.todo.extend(over);
        for address in self.members.take_reconsidered() {
            self.rank(address);
        }
        if mem::replace(&mut self.view_moved, false) {
            self.look_around();
        }
        self.reconsider(now);
        self.redraw();
        self.others_moved = false;
    }

    /// Members have come or gone, or weigh something else.
    fn look_around(&mut self) {
        let view = self.members.view(self.me, self.weight);
        let (me, wanted, members) = (self.me, &self.wanted, &self.members);
        let moved = self.homes.turn(view, |address| tiers(me, wanted.get(&address), members, address));
        self.todo.extend(moved);
        self.todo.extend(self.claims.unsettled().map(|(address, _)| address));
    }

    fn next(&mut self, now: Instant) -> Option<Action> {
        if self.has_left() {
            return None;
        }
        match self.tenancy.turn(now, self.has_news(now))? {
            Turn::Read => Some(Action::Read),
            Turn::Write => {
                let statement =
                    self.draft.statement(self.config.life, self.tenancy.next_sequence(), self.weight);
                self.claims.depart(statement.sequence);
                self.said.push_back(statement.clone());
                while self.said.len() > REMEMBERED {
                    self.said.pop_front();
                }
                Some(self.tenancy.depart(now, statement))
            }
        }
    }

    /// Whether a write is called for before the next renewal: what we say changed, or a silence is to be proved.
    fn has_news(&self, now: Instant) -> bool {
        let silence = self.members.next_expiry().is_some_and(|at| {
            at <= now && self.tenancy.last_departure().is_none_or(|departed| departed < at)
        });
        silence || self.said.back().is_none_or(|said| !self.draft.says(said, self.weight))
    }

    fn has_left(&self) -> bool {
        let last = self.said.back();
        let confirmed = last.is_some_and(|said| said.has_left() && said.sequence <= self.tenancy.confirmed());
        self.leaving && self.claims.is_empty() && (confirmed || self.tenancy.until().is_none())
    }
}

/// The tier of each member for one address; none for whoever cannot serve it.
fn tiers<'a>(
    me: MemberId,
    facts: Option<&'a Facts>,
    members: &'a Members,
    address: IpAddr,
) -> impl Fn(MemberId) -> Option<bool> + 'a {
    let all_are_able = members.all_are_able();
    move |member| {
        let facts = facts?;
        let unable =
            if member == me { facts.unable } else { !all_are_able && members.is_unable(member, address) };
        facts.tier(member).filter(|_| !unable)
    }
}

/// More writes than this cannot be without an echo and still count.
const REMEMBERED: usize = 16;
