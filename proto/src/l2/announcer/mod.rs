//! When to probe, hold, announce, defend and drop an address on one interface.

mod phase;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub(super) use self::phase::{BURST, DEFEND_INTERVAL, SHORTEST_WAIT, part, shifted};
use self::phase::{Held, Phase};
use super::ethernet::{MacAddr, SightingKind};
use crate::advertiser::{Desired, Report};
use crate::election::{Grant, Predecessor};

/// How an interface is spoken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// How long the kernel keeps an address that nobody extends. Whole seconds, at least one.
    pub lifetime: Duration,
    /// The slow repetition of announcements, for neighbours and switches that forgot. Each is
    /// shifted by up to an eighth, so that many addresses do not speak at once.
    pub refresh: Duration,
    /// The question before a take-over that was no hand-over; `None`: do not ask.
    pub wire_check: Option<WireCheck>,
}

/// An ARP probe sequence (RFC 5227 §2.1.1) with waits that suit a fail-over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WireCheck {
    /// `PROBE_NUM`: at least one.
    pub probes: u8,
    /// Between two probes.
    pub interval: Duration,
    /// After the last probe, before the address counts as free (`ANNOUNCE_WAIT`).
    pub wait: Duration,
    /// Before the next attempt where somebody answered; the first attempts follow sooner.
    pub retry: Duration,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// What this node may announce now.
    Desired(Desired),
    /// A deadline has come.
    Tick,
    /// Another station claims or probes an address.
    Seen {
        /// The address.
        vip: IpAddr,
        /// The station.
        by: MacAddr,
        /// Which of the two.
        kind: SightingKind,
    },
    /// The interface got or lost its carrier.
    Link(Link),
    /// The kernel does not have the address any more, and we did not remove it.
    Gone(IpAddr),
    /// The kernel refused to hold the address.
    Refused(IpAddr),
    /// The kernel refused to drop the address.
    Stuck(IpAddr),
}

/// Carrier of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Link {
    /// Frames can leave.
    Up,
    /// No carrier, or administratively down.
    Down,
}

/// What the driver has to do, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Ask the segment who has the address (RFC 5227 §2.1.1; RFC 4862 §5.4.2).
    Probe(IpAddr),
    /// Put the address on the interface, or extend its life; the kernel removes it by itself. The
    /// lifetime is computed by [`kernel_lifetime`] when the request is made, not before.
    Hold {
        /// The address.
        vip: IpAddr,
        /// When somebody else may have it.
        fence: Instant,
    },
    /// ARP announcement (RFC 5227 §3) or unsolicited Neighbor Advertisement (RFC 4861 §7.2.6).
    Announce(IpAddr),
    /// Take the address off the interface.
    Drop(IpAddr),
    /// Tell the operator.
    Tell(Finding),
}

/// What an operator wants to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The wire check found another station with the address: it is not taken.
    Taken {
        /// The address.
        vip: IpAddr,
        /// Who has it.
        by: MacAddr,
    },
    /// Nobody answered the wire check.
    Free(IpAddr),
    /// Another station claims an address that this node holds.
    Conflict {
        /// The address.
        vip: IpAddr,
        /// Who claims it.
        by: MacAddr,
        /// Answered with an announcement, which RFC 5227 §2.4 permits once in ten seconds.
        defended: bool,
    },
}

/// Where an address stands on this interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// The segment is being asked.
    Checking,
    /// Somebody else has it.
    Blocked(MacAddr),
    /// On the interface and announced.
    Held,
    /// The kernel refuses to hold it; tried again.
    Refused,
    /// The kernel refuses to drop it; tried again.
    Stuck,
}

/// All addresses of one interface.
#[derive(Debug)]
pub struct Announcer {
    config: Config,
    vips: BTreeMap<IpAddr, Vip>,
    applied: u64,
    link: Link,
    jitter: u64,
    /// The kernel refused an address; so long another node is the better place for it.
    refused_until: Option<Instant>,
}

#[derive(Debug)]
struct Vip {
    grant: Grant,
    phase: Phase,
}

impl Announcer {
    /// Nothing is held yet. `seed` spreads the slow repetitions of different nodes.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            vips: BTreeMap::new(),
            applied: 0,
            link: Link::Up,
            jitter: seed | 1,
            refused_until: None,
        }
    }

    /// Takes what happened; returns what to do about it.
    #[must_use = "addresses move only when the actions are performed"]
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        self.refused_until = self.refused_until.filter(|&until| now < until);
        let mut actions = self.expire(now);
        actions.extend(match event {
            Event::Desired(desired) => self.adopt(now, &desired),
            Event::Tick => vec![],
            Event::Seen { vip, by, kind } => self.seen(now, vip, by, kind),
            Event::Link(link) => self.link(now, link),
            Event::Gone(vip) => self.gone(now, vip),
            Event::Refused(vip) => self.refused(now, vip),
            Event::Stuck(vip) => self.stuck(now, vip),
        });
        actions.extend(self.act(now));
        actions
    }

    /// When to call again with [`Event::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.vips.values().filter_map(|vip| vip.deadline(self.link)).chain(self.refused_until).min()
    }

    /// Whether the kernel refused an address lately, so that another node should have it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused_until.is_some()
    }

    /// What this interface has done with the newest [`Desired`].
    #[must_use]
    pub fn report(&self) -> Report {
        let present = self.vips.iter().filter(|(_, vip)| vip.phase.may_be_present()).map(|(&vip, _)| vip);
        Report::new(self.applied, present)
    }

    /// Every address that is not simply absent.
    #[must_use]
    pub fn presence(&self) -> BTreeMap<IpAddr, Presence> {
        self.vips.iter().map(|(&vip, state)| (vip, state.phase.presence())).collect()
    }

    /// Drops come first, so that an address is never held under two grants. A grant that ended on its
    /// way here is none.
    fn adopt(&mut self, now: Instant, desired: &Desired) -> Vec<Action> {
        self.applied = desired.serial;
        let live = |vip: &IpAddr| desired.vips.get(vip).copied().filter(|grant| now < grant.until);
        let unwanted: BTreeSet<IpAddr> =
            self.vips.keys().filter(|&vip| live(vip).is_none()).copied().collect();
        let mut actions: Vec<Action> = unwanted.into_iter().filter_map(|vip| self.let_go(vip)).collect();
        for &vip in desired.vips.keys() {
            let Some(grant) = live(&vip) else { continue };
            let first = self.first_phase(now, grant);
            match self.vips.get_mut(&vip) {
                Some(known) if !known.phase.is_stuck() => {
                    known.grant = grant;
                    known.phase.prolong(now, self.config.lifetime);
                }
                stuck => {
                    // A segment that is asked about an address must not be answered by this node.
                    if stuck.is_some() && !first.may_be_present() {
                        actions.push(Action::Drop(vip));
                    }
                    let inherited = stuck.is_some() && first.may_be_present();
                    let phase = if inherited { Phase::Held(Held::inherited(now)) } else { first };
                    self.vips.insert(vip, Vip { grant, phase });
                }
            }
        }
        actions
    }

    fn first_phase(&self, now: Instant, grant: Grant) -> Phase {
        match (self.config.wire_check, grant.predecessor) {
            (Some(_), Predecessor::Unknown) => Phase::unasked(now),
            (Some(_), Predecessor::Left) | (None, _) => Phase::Held(Held::new(now)),
        }
    }

    /// An address that is only being asked for needs no removal; one that the kernel would not give
    /// up is already being removed.
    fn let_go(&mut self, vip: IpAddr) -> Option<Action> {
        let state = self.vips.get(&vip)?;
        if state.phase.is_stuck() {
            return None;
        }
        let present = state.phase.may_be_present();
        self.vips.remove(&vip);
        present.then_some(Action::Drop(vip))
    }

    fn expire(&mut self, now: Instant) -> Vec<Action> {
        let expired: Vec<IpAddr> =
            self.vips.iter().filter(|(_, vip)| now >= vip.grant.until).map(|(&vip, _)| vip).collect();
        expired.into_iter().filter_map(|vip| self.let_go(vip)).collect()
    }

    /// To one who is asking, another who asks is as bad as one who has (RFC 5227 §2.1.1); the kernel
    /// of one who holds answers those who ask.
    fn seen(&mut self, now: Instant, vip: IpAddr, by: MacAddr, kind: SightingKind) -> Vec<Action> {
        let Some(state) = self.vips.get_mut(&vip) else { return vec![] };
        match &mut state.phase {
            Phase::Checking { blocked_by, waited, .. } => {
                let news = *blocked_by != Some(by);
                let longest = self.config.wire_check.map_or(Duration::ZERO, |check| check.retry);
                state.phase = Phase::blocked(now, by, *waited, longest);
                news.then_some(Action::Tell(Finding::Taken { vip, by })).into_iter().collect()
            }
            Phase::Held(held) if kind == SightingKind::Claim => {
                let defended = held.defend(now);
                let told = Action::Tell(Finding::Conflict { vip, by, defended });
                defended.then_some(Action::Announce(vip)).into_iter().chain([told]).collect()
            }
            Phase::Held(_) | Phase::Blocked { .. } | Phase::Refused { .. } | Phase::Stuck { .. } => vec![],
        }
    }

    fn link(&mut self, now: Instant, link: Link) -> Vec<Action> {
        let returned = link == Link::Up && self.link == Link::Down;
        self.link = link;
        if returned {
            // Neighbours may have learnt anything in the meantime; IPv6 addresses are gone.
            self.vips.values_mut().for_each(|vip| vip.phase.begin_again(now));
        }
        vec![]
    }

    fn gone(&mut self, now: Instant, vip: IpAddr) -> Vec<Action> {
        if let Some(Vip { phase: Phase::Held(held), .. }) = self.vips.get_mut(&vip) {
            held.begin_again(now);
        }
        if self.vips.get(&vip).is_some_and(|state| state.phase.is_stuck()) {
            self.vips.remove(&vip);
        }
        vec![]
    }

    fn refused(&mut self, now: Instant, vip: IpAddr) -> Vec<Action> {
        if let Some(Vip { phase, .. }) = self.vips.get_mut(&vip)
            && let Phase::Held(held) = phase
        {
            let present = held.may_be_there();
            *phase = Phase::Refused { again_at: now + REFUSED_PAUSE, present };
            self.refused_until = Some(now + REFUSAL_REMEMBERED);
        }
        vec![]
    }

    /// Nobody wants it any more, but it is there: the scope is not vacated. Where it is held again by
    /// now, there is nothing left to remove.
    fn stuck(&mut self, now: Instant, vip: IpAddr) -> Vec<Action> {
        if let Some(Vip { phase: Phase::Held(held), .. }) = self.vips.get_mut(&vip) {
            held.is_there();
            return vec![];
        }
        let grant = Grant { until: now, fence: now, predecessor: Predecessor::Unknown };
        let phase = Phase::Stuck { again_at: now + STUCK_PAUSE };
        self.vips.insert(vip, Vip { grant, phase });
        vec![]
    }

    fn act(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = self.drop_again(now);
        for (&vip, state) in &mut self.vips {
            actions.extend(state.act(now, vip, self.link, &self.config, &mut self.jitter));
        }
        actions
    }

    /// Once more; the driver says so where the kernel still refuses.
    fn drop_again(&mut self, now: Instant) -> Vec<Action> {
        let due: Vec<IpAddr> =
            self.vips.iter().filter(|(_, vip)| vip.phase.is_stuck_until(now)).map(|(&vip, _)| vip).collect();
        due.into_iter().filter_map(|vip| self.vips.remove(&vip).map(|_| Action::Drop(vip))).collect()
    }
}

/// How many whole seconds the kernel may keep an address: at most `most`, and gone before `fence` even
/// where the kernel is as late as it can be. `None`: not even one.
#[must_use]
pub fn kernel_lifetime(now: Instant, fence: Instant, most: Duration) -> Option<u32> {
    let left = fence.saturating_duration_since(now).saturating_sub(KERNEL_LATENESS).min(most);
    u32::try_from(left.as_secs()).ok().filter(|&seconds| seconds > 0)
}

/// Linux looks at lifetimes with a fuzz of a quarter of a second (`ADDRCONF_TIMER_FUZZ`).
const KERNEL_LATENESS: Duration = Duration::from_millis(300);
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// What a kernel refuses for want of a capability, or because IPv6 is switched off, it refuses for long.
const REFUSAL_REMEMBERED: Duration = Duration::from_secs(30);
const STUCK_PAUSE: Duration = Duration::from_millis(100);
