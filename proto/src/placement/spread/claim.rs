//! The claims of this member, address by address: from wanted to held to gone.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::IpAddr;
use std::time::Instant;

use super::draft::Entry;
use super::{Duration, MemberId, Predecessor, Spread, View};
use crate::placement::hash::Key;

/// How far a claim is. In every state but the first it is in all statements that departed since.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Claim {
    /// Not said yet.
    Wanted,
    /// Said first in this statement, which has not come back yet.
    Entering { since: u64 },
    /// These claimed it before us, and may announce it.
    Queued {
        ahead: BTreeSet<String>,
        /// Those who are no longer ahead said themselves that they let go.
        handed: bool,
        since: Instant,
    },
    /// To be announced while the grant lasts; `losing`: since when another one should have it.
    Held { predecessor: Predecessor, losing: Option<Instant> },
    /// To be gone from the wire before a statement may be without it.
    Leaving {
        /// The grant was interrupted meanwhile.
        lapsed: bool,
    },
}

/// All of them. Those that wait for something are known apart, since there are few.
#[derive(Debug, Default)]
pub(super) struct Claims {
    all: BTreeMap<IpAddr, Claim>,
    unsettled: BTreeSet<IpAddr>,
    /// Grows whenever something becomes held, or is not any more.
    edition: u64,
}

impl Claims {
    pub(super) fn edition(&self) -> u64 {
        self.edition
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.all.keys().copied()
    }

    pub(super) fn held(&self) -> impl Iterator<Item = (IpAddr, Predecessor)> + '_ {
        self.all.iter().filter_map(|(&address, claim)| Some((address, claim.holds()?)))
    }

    pub(super) fn unsettled(&self) -> impl Iterator<Item = (IpAddr, &Claim)> + '_ {
        self.unsettled.iter().filter_map(|address| Some((*address, self.all.get(address)?)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.all.contains_key(&address)
    }

    fn set(&mut self, address: IpAddr, claim: Option<Claim>) {
        let holds = claim.as_ref().and_then(Claim::holds);
        let before = match claim {
            None => {
                self.unsettled.remove(&address);
                self.all.remove(&address)
            }
            Some(claim) => {
                if claim.is_settled() {
                    self.unsettled.remove(&address);
                } else {
                    self.unsettled.insert(address);
                }
                self.all.insert(address, claim)
            }
        };
        self.edition += u64::from(before.as_ref().and_then(Claim::holds) != holds);
    }

    /// A statement departs: it has everything in it that is claimed.
    pub(super) fn depart(&mut self, sequence: u64) {
        for address in &self.unsettled {
            if let Some(claim @ Claim::Wanted) = self.all.get_mut(address) {
                *claim = Claim::Entering { since: sequence };
            }
        }
    }

    /// What is on the wire has to go; what is not yet has to be said again.
    pub(super) fn lapse(&mut self) {
        self.edition += 1;
        for (&address, claim) in &mut self.all {
            *claim = match claim {
                Claim::Wanted | Claim::Entering { .. } | Claim::Queued { .. } => Claim::Wanted,
                Claim::Held { .. } | Claim::Leaving { .. } => Claim::Leaving { lapsed: true },
            };
            self.unsettled.insert(address);
        }
    }
}

impl Claim {
    fn is_settled(&self) -> bool {
        matches!(self, Self::Held { losing: None, .. })
    }

    fn holds(&self) -> Option<Predecessor> {
        match self {
            Self::Held { predecessor, .. } => Some(*predecessor),
            Self::Wanted | Self::Entering { .. } | Self::Queued { .. } | Self::Leaving { .. } => None,
        }
    }
}

impl Spread {
    /// Thinks again about all that may have changed: what is wanted, then what has come back, then who is ahead.
    pub(super) fn reconsider(&mut self, now: Instant) {
        let waiting = self.waiting(now);
        self.todo.extend(waiting);
        for address in self.todo.iter().copied().collect::<Vec<_>>() {
            self.decide(now, address);
        }
        self.admit(now);
        self.advance();
    }

    /// When a claim stops waiting for others.
    pub(super) fn ends_waiting(&self, claim: &Claim) -> Option<Instant> {
        match claim {
            Claim::Held { losing, .. } => losing.map(|since| since + self.config.patience),
            Claim::Queued { since, .. } => Some(*since + self.gives_way_after()),
            Claim::Wanted | Claim::Entering { .. } | Claim::Leaving { .. } => None,
        }
    }

    /// The addresses are gone from the wire; another statement may now be without them.
    pub(super) fn gone(&mut self, addresses: BTreeSet<IpAddr>) {
        for address in addresses {
            let Some(&Claim::Leaving { lapsed }) = self.claims.all.get(&address) else { continue };
            // Where it is wanted again, and was claimed all the time, nobody came between.
            let again = !lapsed && self.chosen(address) == Some(self.me);
            let back = Claim::Held { predecessor: Predecessor::Left, losing: None };
            self.claims.set(address, again.then_some(back));
            self.todo.insert(address);
        }
    }

    /// Brings the draft up to date. It keeps its view until what is lost by the next one is gone, so that a hand-over
    /// is one write; unless something is to be gained, which does not wait.
    pub(super) fn redraw(&mut self) {
        let mut about = mem::take(&mut self.todo);
        let gains = self.claims.unsettled().any(|(_, claim)| *claim == Claim::Wanted);
        let losses = self.claims.unsettled().any(|(_, claim)| claim.is_being_lost());
        let nowhere = View::default();
        let left = self.leaving && self.claims.is_empty();
        let view = if left { &nowhere } else { self.homes.view() };
        if view != self.draft.view() && (gains || !losses || self.said.is_empty()) {
            about.extend(self.draft.turn(view.clone()));
        }
        for address in about {
            self.enter(address);
        }
    }

    fn enter(&mut self, address: IpAddr) {
        let claimed = self.claims.contains(address);
        let facts = self.wanted.get(&address);
        if !claimed && facts.is_none() {
            return self.draft.forget(address);
        }
        let at_home = self.draft.home(address) == Some(self.me);
        let elsewhere = at_home && !claimed && self.chosen(address).is_some();
        let unable = facts.is_some_and(|facts| facts.unable);
        self.draft.enter(address, Entry { at_home, claimed, elsewhere, unable });
    }

    /// What waits, and may have waited long enough.
    fn waiting(&mut self, now: Instant) -> BTreeSet<IpAddr> {
        let given_way: Vec<_> = self
            .claims
            .unsettled()
            .filter(|(address, claim)| self.gives_way(now, *address, claim))
            .map(|(address, _)| address)
            .collect();
        for address in given_way {
            self.given_way.insert(address, now + self.config.timing.lease_duration);
        }
        let over = self.claims.unsettled().filter(|(_, claim)| {
            let patience_over = self.ends_waiting(claim).is_some_and(|at| at <= now);
            patience_over || self.others_moved && claim.is_being_lost()
        });
        over.map(|(address, _)| address).collect()
    }

    /// Members that differ for ever in what they know would wait for each other for ever.
    fn gives_way(&self, now: Instant, address: IpAddr, claim: &Claim) -> bool {
        let Claim::Queued { ahead, since, .. } = claim else { return false };
        let key = Key::of_address(address);
        now >= *since + self.gives_way_after()
            && ahead.iter().all(|name| View::outranks(MemberId::of(name), self.me, key))
    }

    /// Longer than a silence takes: giving way to somebody who is about to be past helps nobody.
    fn gives_way_after(&self) -> Duration {
        2 * self.config.timing.lease_duration
    }

    fn decide(&mut self, now: Instant, address: IpAddr) {
        let chosen = self.chosen(address);
        let ours = chosen == Some(self.me) && !self.given_way.contains_key(&address);
        let claim = match (self.claims.all.get(&address).cloned(), ours) {
            (None, true) => Some(self.claim_anew(address)),
            (None | Some(Claim::Wanted | Claim::Entering { .. } | Claim::Queued { .. }), false) => None,
            (Some(Claim::Held { predecessor, .. }), true) => Some(Claim::Held { predecessor, losing: None }),
            (Some(Claim::Held { predecessor, losing }), false) => {
                let since = losing.unwrap_or(now);
                let goes = self.lets_go(now, address, chosen, since);
                let stays = Claim::Held { predecessor, losing: Some(since) };
                Some(if goes { Claim::Leaving { lapsed: false } } else { stays })
            }
            (Some(claim @ (Claim::Wanted | Claim::Entering { .. } | Claim::Queued { .. })), true)
            | (Some(claim @ Claim::Leaving { .. }), _) => Some(claim),
        };
        self.claims.set(address, claim);
    }

    /// What is at home with us was claimed before anybody wanted it.
    fn claim_anew(&self, address: IpAddr) -> Claim {
        let run = self.said.iter().rev().take_while(|said| said.claims(self.me, address));
        run.last().map_or(Claim::Wanted, |said| Claim::Entering { since: said.sequence })
    }

    /// Whether an address that another one should have goes now, or waits for that one to stand in line.
    fn lets_go(&self, now: Instant, address: IpAddr, chosen: Option<MemberId>, since: Instant) -> bool {
        let useless =
            self.wanted.get(&address).is_none_or(|facts| facts.unable || facts.tier(self.me).is_none());
        let in_line = chosen.is_some_and(|winner| self.members.in_line(winner, address));
        let waited = now >= since + self.config.patience && (chosen.is_some() || self.leaving);
        useless || in_line || waited
    }

    /// What has come back is held, or stands in line.
    fn admit(&mut self, now: Instant) {
        let Some(echoed) = self.tenancy.entered() else { return };
        let back = |claim: &Claim| matches!(claim, Claim::Entering { since } if *since <= echoed);
        let entered: Vec<_> =
            self.claims.unsettled().filter(|(_, claim)| back(claim)).map(|(address, _)| address).collect();
        if entered.is_empty() {
            return;
        }
        let claimants = self.members.claimants();
        for address in entered {
            let ahead = claimants.of(address);
            let claim = if ahead.is_empty() {
                Claim::Held { predecessor: Predecessor::Unknown, losing: None }
            } else {
                Claim::Queued { ahead, handed: true, since: now }
            };
            self.claims.set(address, Some(claim));
        }
    }

    /// Whoever was ahead and said that it let go, or is past, is no longer ahead.
    fn advance(&mut self) {
        if !self.others_moved {
            return;
        }
        let queued: Vec<_> =
            self.claims.unsettled().map(|(address, claim)| (address, claim.clone())).collect();
        for (address, claim) in queued {
            let Claim::Queued { mut ahead, handed, since } = claim else { continue };
            let past = ahead.iter().any(|name| self.members.is_past(name));
            ahead.retain(|name| self.members.claims(name, address));
            let handed = handed && !past;
            let predecessor = if handed { Predecessor::Left } else { Predecessor::Unknown };
            let next = if ahead.is_empty() {
                Claim::Held { predecessor, losing: None }
            } else {
                Claim::Queued { ahead, handed, since }
            };
            self.claims.set(address, Some(next));
        }
    }
}

impl Claim {
    fn is_being_lost(&self) -> bool {
        matches!(self, Self::Held { losing: Some(_), .. } | Self::Leaving { .. })
    }
}
