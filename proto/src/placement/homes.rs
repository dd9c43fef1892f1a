//! Where addresses are at home, kept while members come and go: whoever comes is compared with the best so far, and
//! only what was at home with whoever goes is looked at anew.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::IpAddr;

use super::hash::{Key, MemberId};
use super::view::View;

/// The homes of many addresses in one view.
#[derive(Debug, Default)]
pub(super) struct Homes {
    view: View,
    all: BTreeMap<IpAddr, Home>,
    homeless: BTreeSet<IpAddr>,
}

#[derive(Debug)]
struct Home {
    key: Key,
    best: Option<Rank>,
}

/// The tier, the score within it, and whose they are.
type Rank = (bool, u64, MemberId);

impl Homes {
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    pub(super) fn of(&self, address: IpAddr) -> Option<MemberId> {
        self.all.get(&address)?.best.map(|(.., member)| member)
    }

    /// Those that are of interest, and at home nowhere.
    pub(super) fn homeless(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.homeless.iter().copied()
    }

    /// `address` is of interest, or the tiers of members have changed for it. Without a tier a member is passed over.
    pub(super) fn enter(&mut self, address: IpAddr, key: Key, tier: impl Fn(MemberId) -> Option<bool>) {
        let best = best(self.view.tickets(), key, tier);
        self.all.insert(address, Home { key, best });
        self.note(address, best);
    }

    /// The same for an address whose tiers never change.
    pub(super) fn know(&mut self, address: IpAddr) {
        if !self.all.contains_key(&address) {
            self.enter(address, Key::of_address(address), |_| Some(false));
        }
    }

    pub(super) fn forget(&mut self, address: IpAddr) {
        self.all.remove(&address);
        self.homeless.remove(&address);
    }

    fn note(&mut self, address: IpAddr, best: Option<Rank>) {
        if best.is_none() {
            self.homeless.insert(address);
        } else {
            self.homeless.remove(&address);
        }
    }

    /// The view has changed. Returns the addresses whose home has.
    pub(super) fn turn<T: Fn(MemberId) -> Option<bool>>(
        &mut self,
        view: View,
        tiers: impl Fn(IpAddr) -> T,
    ) -> BTreeSet<IpAddr> {
        if view == self.view {
            return BTreeSet::new();
        }
        let before = mem::replace(&mut self.view, view);
        let (lost, gained) = (self.view.lost_since(&before), self.view.gained_since(&before));
        let mut moved = BTreeSet::new();
        for (&address, home) in &mut self.all {
            let tier = tiers(address);
            let after = match home.best {
                Some((.., member)) if lost.contains(&member) => best(self.view.tickets(), home.key, tier),
                before => best(&gained, home.key, tier).max(before),
            };
            if after.map(|(.., member)| member) != home.best.map(|(.., member)| member) {
                moved.insert(address);
            }
            home.best = after;
        }
        for &address in &moved {
            self.note(address, self.all.get(&address).and_then(|home| home.best));
        }
        moved
    }
}

fn best(tickets: &[(u64, MemberId)], key: Key, tier: impl Fn(MemberId) -> Option<bool>) -> Option<Rank> {
    tickets.iter().filter_map(|&(ticket, member)| Some((tier(member)?, key.score(ticket), member))).max()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn addresses() -> impl Iterator<Item = IpAddr> {
        (0..500).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into())
    }

    /// Some addresses prefer somebody, some exclude somebody.
    fn tier(address: IpAddr, member: MemberId) -> Option<bool> {
        let IpAddr::V4(four) = address else { return None };
        match four.octets()[3] % 8 {
            0 => (!member.0.is_multiple_of(3)).then_some(false),
            1 => Some(member.0.is_multiple_of(4)),
            _ => Some(false),
        }
    }

    #[test]
    fn whatever_comes_and_goes_homes_are_what_a_fresh_look_finds() {
        let mut dice = 7_u64;
        let mut homes = Homes::default();
        for address in addresses() {
            homes.enter(address, Key::of_address(address), |member| tier(address, member));
        }
        for _ in 0..200 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let seats = (0..8)
                .map(|n| (MemberId::of(&n.to_string()), u8::try_from(dice >> (20 + 4 * n) & 3).unwrap()));
            let view = View::new(seats);
            let before: Vec<_> = addresses().map(|address| homes.of(address)).collect();
            let moved = homes.turn(view.clone(), |address| move |member| tier(address, member));
            for (address, before) in addresses().zip(before) {
                let fresh = view.first(Key::of_address(address), |member| tier(address, member));
                assert_eq!(homes.of(address), fresh);
                assert_eq!(moved.contains(&address), before != fresh);
            }
            let homeless = addresses().filter(|&address| homes.of(address).is_none());
            assert!(homes.homeless().eq(homeless));
        }
    }
}
