//! Whatever happens, in whatever order: nothing is said without a live grant, and the books balance.

use proptest::prelude::*;

use super::tests::{at, desired, grant, just_now, question, vip};
use super::*;

/// An event, and how many milliseconds after the last one.
#[derive(Clone, Debug)]
struct Step(u64, What);

#[derive(Clone, Debug)]
enum What {
    /// Addresses, each with milliseconds that its grant lasts from then on.
    Wants(Vec<(u32, u64, bool)>),
    Asks(u32),
    Sees(u32, bool),
    Carrier(bool),
    Waits,
    /// As a driver does: every deadline on the way.
    Works,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let address = || 0..12_u32;
    let wants = prop::collection::vec((address(), 0..6000_u64, any::<bool>()), 0..12);
    let what = prop_oneof![
        4 => wants.prop_map(What::Wants),
        3 => address().prop_map(What::Asks),
        2 => (address(), any::<bool>()).prop_map(|(number, claims)| What::Sees(number, claims)),
        1 => any::<bool>().prop_map(What::Carrier),
        2 => Just(What::Waits),
        4 => Just(What::Works),
    ];
    prop::collection::vec((0..2500_u64, what).prop_map(|(after, what)| Step(after, what)), 0..60)
}

fn event(what: &What, now: u64) -> Event {
    let sighting = |number, kind| Sighting { address: vip(number), from: [2, 0, 0, 0, 0, 1].into(), kind };
    match what {
        What::Wants(wanted) => desired(
            now,
            wanted.iter().map(|&(number, lasts, left)| {
                let predecessor = if left { Predecessor::Left } else { Predecessor::Unknown };
                (vip(number), grant(now + lasts, predecessor))
            }),
        ),
        What::Asks(number) => just_now(Heard { sighting: None, solicitation: Some(question(vip(*number))) }),
        What::Sees(number, claims) => {
            let kind = if *claims { SightingKind::Claim } else { SightingKind::Probe };
            just_now(Heard { sighting: Some(sighting(*number, kind)), solicitation: None })
        }
        What::Carrier(up) => Event::Link(if *up { Link::Up } else { Link::Down }),
        What::Waits | What::Works => Event::Tick,
    }
}

/// What is permitted, as the last [`Desired`] said.
#[derive(Default)]
struct Model {
    grants: BTreeMap<IpAddr, Grant>,
    up: bool,
}

impl Model {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Desired(desired) => self.grants = (*desired.vips).clone(),
            Event::Link(link) => self.up = *link == Link::Up,
            Event::Tick | Event::Heard { .. } => {}
        }
    }

    fn live(&self, now: Instant) -> BTreeSet<IpAddr> {
        self.grants.iter().filter(|(_, grant)| now < grant.until).map(|(&vip, _)| vip).collect()
    }

    fn judge(&self, now: Instant, responder: &Responder, actions: &[Action]) {
        for action in actions {
            let (vip, until) = match *action {
                Action::Announce { vip, until } => (vip, until),
                Action::Answer { solicitation, until } => (solicitation.target, until),
                Action::Probe(vip) => (vip, self.grants[&vip].until),
                Action::Tell(_) => continue,
            };
            assert!(self.up, "{action:?} without carrier");
            assert!(now < until && self.grants[&vip].until == until, "{action:?} without a grant");
        }
        assert_eq!(*responder.report().present, self.live(now));
        balanced(responder);
    }
}

fn balanced(responder: &Responder) {
    let mut tally = Tally::default();
    let mut rivals = BTreeMap::new();
    for (&vip, state) in &responder.vips {
        *tally.of(&state.phase) += 1;
        rivals.extend(state.phase.rival().map(|by| (vip, by)));
        assert_ne!(state.place, Place::Nowhere, "{vip} waits for nothing");
    }
    assert_eq!((tally, &rivals), (responder.tally, &responder.rivals));
    assert_eq!(responder.schedule.len(), responder.vips.len());
    assert_eq!(responder.ends.len(), responder.vips.len());
}

proptest! {
    #[test]
    fn nothing_is_said_without_a_live_grant_and_the_books_balance(steps in steps(), seed: u64) {
        let (mut responder, mut model, mut now) = (Responder::new(CONFIG, seed), Model::default(), 0);
        for Step(after, what) in steps {
            let next = now + after;
            if matches!(what, What::Works) {
                let mut calls = 0;
                while let Some(due) = responder.deadline().filter(|&due| due <= at(next)) {
                    let due = due.max(at(now));
                    let actions = responder.handle(due, Event::Tick);
                    model.judge(due, &responder, &actions);
                    calls += 1;
                    prop_assert!(calls < 2000, "stands still");
                }
            }
            now = next;
            let event = event(&what, now);
            model.take(&event);
            let actions = responder.handle(at(now), event);
            model.judge(at(now), &responder, &actions);
        }
    }

    #[test]
    fn every_address_that_stays_granted_and_that_nobody_has_is_announced_in_time(
        numbers in prop::collection::btree_set(0..5000_u32, 1..600),
        left: bool,
        seed: u64,
    ) {
        let mut responder = Responder::new(CONFIG, seed);
        let predecessor = if left { Predecessor::Left } else { Predecessor::Unknown };
        let wanted = numbers.iter().map(|&number| (vip(number), grant(60_000, predecessor)));
        let mut heard = BTreeSet::new();
        let mut actions = responder.handle(at(0), desired(1, wanted));
        actions.extend(responder.handle(at(0), Event::Link(Link::Up)));
        while let Some(due) = responder.deadline().filter(|&due| due <= at(300)) {
            actions.extend(responder.handle(due, Event::Tick));
        }
        heard.extend(actions.into_iter().filter_map(|action| match action {
            Action::Announce { vip, .. } => Some(vip),
            Action::Probe(_) | Action::Answer { .. } | Action::Tell(_) => None,
        }));
        prop_assert_eq!(heard, numbers.into_iter().map(vip).collect());
    }
}

const CONFIG: Config = Config {
    refresh: Duration::from_secs(10),
    refresh_frames: 20,
    wire_check: Some(WireCheck {
        probes: 3,
        interval: Duration::from_millis(10),
        wait: Duration::from_millis(10),
        retry: Duration::from_secs(1),
    }),
};
