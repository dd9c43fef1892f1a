//! Where an address is at home: rendezvous hashing over members with weights.

use std::collections::{BTreeMap, BTreeSet};

use super::hash::{Key, MemberId};

/// How much of the whole a member takes, in relation to the others. Zero: nothing.
pub type Weight = u8;

/// The members that addresses are spread over, as one of them sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct View {
    seats: BTreeMap<MemberId, Weight>,
    /// Follows from the seats; kept because it is asked for every address.
    tickets: Vec<(u64, MemberId)>,
}

impl View {
    /// The view of these members; those without weight have no seat.
    pub fn new(seats: impl IntoIterator<Item = (MemberId, Weight)>) -> Self {
        let seats: BTreeMap<_, _> = seats.into_iter().filter(|&(_, weight)| weight > 0).collect();
        let tickets = seats
            .iter()
            .flat_map(|(&member, &weight)| (0..weight).map(move |number| (member.ticket(number), member)))
            .collect();
        Self { seats, tickets }
    }

    /// Its members and their weights.
    #[must_use]
    pub fn seats(&self) -> &BTreeMap<MemberId, Weight> {
        &self.seats
    }

    /// The member that an address belongs to where nothing else speaks.
    #[must_use]
    pub fn home(&self, key: Key) -> Option<MemberId> {
        let scored = self.tickets.iter().map(|&(ticket, member)| (key.score(ticket), member));
        scored.reduce(|best, next| if next > best { next } else { best }).map(|(_, member)| member)
    }

    /// The first of those members that have a tier: the highest tier, and by score within it.
    pub fn first<T: Ord>(&self, key: Key, tier: impl Fn(MemberId) -> Option<T>) -> Option<MemberId> {
        self.tickets
            .iter()
            .filter_map(|&(ticket, member)| Some((tier(member)?, key.score(ticket), member)))
            .max()
            .map(|(_, _, member)| member)
    }

    pub(super) fn tickets(&self) -> &[(u64, MemberId)] {
        &self.tickets
    }

    /// Whoever has fewer tickets than before.
    pub(super) fn lost_since(&self, before: &Self) -> BTreeSet<MemberId> {
        let fewer = |(member, weight): (&MemberId, &Weight)| {
            self.seats.get(member).is_none_or(|now| now < weight).then_some(*member)
        };
        before.seats.iter().filter_map(fewer).collect()
    }

    /// The tickets that were not there before.
    pub(super) fn gained_since(&self, before: &Self) -> Vec<(u64, MemberId)> {
        let first = |member: &MemberId| before.seats.get(member).copied().unwrap_or(0);
        let new = |(&member, &weight): (&MemberId, &Weight)| {
            (first(&member)..weight).map(move |number| (member.ticket(number), member)).collect::<Vec<_>>()
        };
        self.seats.iter().flat_map(new).collect()
    }

    /// Whether `one` comes before `other` for this key, if both were eligible.
    pub(super) fn outranks(one: MemberId, other: MemberId, key: Key) -> bool {
        (key.score(one.ticket(0)), one) > (key.score(other.ticket(0)), other)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn keys(count: u32) -> impl Iterator<Item = Key> {
        (0..count).map(|n| Key::of_address(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n))))
    }

    fn view(weights: &[(&str, Weight)]) -> View {
        View::new(weights.iter().map(|&(name, weight)| (MemberId::of(name), weight)))
    }

    fn share(view: &View, name: &str) -> usize {
        keys(10_000).filter(|&key| view.home(key) == Some(MemberId::of(name))).count()
    }

    #[test]
    fn homes_are_what_they_have_always_been() {
        let three = view(&[("node-a", 1), ("node-b", 1), ("node-c", 1)]);
        let names = ["node-a", "node-b", "node-c"];
        let homes: Vec<_> = (1..9)
            .map(|last| three.home(Key::of_address(IpAddr::from([192, 0, 2, last]))))
            .map(|home| names.into_iter().find(|name| home == Some(MemberId::of(name))).unwrap())
            .collect();
        assert_eq!(homes.join(" "), "node-a node-c node-a node-c node-c node-a node-a node-b");
    }

    #[test]
    fn ten_thousand_addresses_are_balanced_within_a_few_percent() {
        for members in [3, 5, 10] {
            let names: Vec<_> = (0..members).map(|n| format!("node{n}")).collect();
            let even = View::new(names.iter().map(|name| (MemberId::of(name), 1)));
            for name in &names {
                let off = share(&even, name).abs_diff(10_000 / members) * members;
                assert!(off < 600, "{name} of {members} is {off} of 10,000 off");
            }
        }
    }

    #[test]
    fn a_weight_is_a_share() {
        let uneven = view(&[("node-a", 3), ("node-b", 1), ("node-c", 0)]);
        let shares = ["node-a", "node-b", "node-c"].map(|name| share(&uneven, name));
        assert!(shares[0].abs_diff(7_500) < 150 && shares[1].abs_diff(2_500) < 150, "{shares:?}");
        assert_eq!(shares[2], 0);
    }

    #[test]
    fn nothing_moves_but_to_whoever_comes_and_from_whoever_goes() {
        let names: Vec<_> = (0..20).map(|n| format!("node{n}")).collect();
        for members in 1..20 {
            let before = View::new(names.iter().take(members).map(|name| (MemberId::of(name), 1)));
            let after = View::new(names.iter().take(members + 1).map(|name| (MemberId::of(name), 1)));
            let moved: Vec<_> = keys(2_000).filter(|&key| before.home(key) != after.home(key)).collect();
            let newcomer = MemberId::of(&names[members]);
            assert!(moved.iter().all(|&key| after.home(key) == Some(newcomer)));
            let expected = 2_000 / (members + 1);
            assert!(moved.len().abs_diff(expected) < expected / 4 + 20, "{} of {expected}", moved.len());
        }
    }

    #[test]
    fn more_weight_only_attracts() {
        let (light, heavy) = (view(&[("node-a", 2), ("node-b", 2)]), view(&[("node-a", 2), ("node-b", 3)]));
        let stray = keys(5_000).filter(|&key| {
            heavy.home(key) != light.home(key) && heavy.home(key) != Some(MemberId::of("node-b"))
        });
        assert_eq!(stray.count(), 0);
    }

    #[test]
    fn a_tier_comes_before_the_score_and_whoever_has_none_is_passed_over() {
        let three = view(&[("node-a", 1), ("node-b", 1), ("node-c", 1)]);
        let (a, b) = (MemberId::of("node-a"), MemberId::of("node-b"));
        for key in keys(100) {
            assert_eq!(three.first(key, |member| Some(member == b)), Some(b));
            assert_eq!(three.first(key, |member| (member == a).then_some(())), Some(a));
            assert_eq!(three.first(key, |_| None::<()>), None);
        }
    }
}
