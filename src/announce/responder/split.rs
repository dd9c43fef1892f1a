//! Which addresses are answered for on which interface.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::election::Grant;

use super::Interfaces;

/// What may be announced, by interface. An interface that is named and has nothing to announce is there, too.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Shares {
    pub(super) granted: BTreeMap<Arc<str>, BTreeMap<IpAddr, Grant>>,
    /// Interfaces that are too many, or as many of them.
    pub(super) left_out: BTreeSet<Arc<str>>,
}

/// On which interface each Service address is answered for, granted or not.
#[derive(Debug, Default)]
pub(super) struct Places {
    interfaces: BTreeMap<IpAddr, Arc<str>>,
    /// How many addresses name each.
    named: BTreeMap<Arc<str>, usize>,
}

impl Places {
    /// Takes in what is another one now. Returns whether that makes a difference to how these addresses are shared.
    pub(super) fn take(&mut self, news: Interfaces, desired: &BTreeMap<IpAddr, Grant>) -> bool {
        let mut differs = false;
        for (vip, interface) in news {
            let before = match &interface {
                Some(interface) => self.interfaces.insert(vip, interface.clone()),
                None => self.interfaces.remove(&vip),
            };
            if before != interface {
                differs |= desired.contains_key(&vip) | self.name(interface) | self.unname(before);
            }
        }
        differs
    }

    /// What of `desired` belongs to which interface. Where there are too many, those with the most addresses count.
    pub(super) fn split(&self, desired: &BTreeMap<IpAddr, Grant>) -> Shares {
        let mut names = self.by_addresses();
        let mut shares: Vec<_> = names.by_ref().take(MOST_INTERFACES).map(|name| (name, vec![])).collect();
        // Both are in order, and neighbours are nearly always on one interface.
        let (mut places, mut usual) = (self.interfaces.iter().peekable(), 0);
        for (vip, &grant) in desired {
            while places.next_if(|(at, _)| *at < vip).is_some() {}
            let Some((_, interface)) = places.next_if(|(at, _)| *at == vip) else { continue };
            let is_its = |(name, _): &(Arc<str>, _)| name == interface;
            if !shares.get(usual).is_some_and(is_its) {
                usual = shares.iter().position(is_its).unwrap_or(shares.len());
            }
            shares.get_mut(usual).into_iter().for_each(|(_, share)| share.push((*vip, grant)));
        }
        let granted = shares.into_iter().map(|(interface, share)| (interface, share.into_iter().collect()));
        Shares { granted: granted.collect(), left_out: names.take(MOST_INTERFACES).collect() }
    }

    /// The interfaces, those with the most addresses first.
    fn by_addresses(&self) -> impl Iterator<Item = Arc<str>> {
        let mut named: Vec<_> = self.named.iter().collect();
        named.sort_by_key(|(_, count)| Reverse(**count));
        named.into_iter().map(|(name, _)| name.clone())
    }

    /// Returns whether nobody named it before.
    fn name(&mut self, interface: Option<Arc<str>>) -> bool {
        let Some(interface) = interface else { return false };
        let count = self.named.entry(interface).or_default();
        *count += 1;
        *count == 1
    }

    /// Returns whether nobody names it any more.
    fn unname(&mut self, interface: Option<Arc<str>>) -> bool {
        let Some(interface) = interface else { return false };
        let Some(count) = self.named.get_mut(&interface) else { return false };
        *count = count.saturating_sub(1);
        *count == 0 && self.named.remove(&interface).is_some()
    }
}

/// Names of interfaces come from annotations of Services, which may say anything.
const MOST_INTERFACES: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vipcast_proto::election::Predecessor;

    use super::*;
    use crate::clock;

    fn vip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn grant() -> Grant {
        let until = clock::now() + Duration::from_secs(3);
        Grant { until, fence: until, predecessor: Predecessor::Left }
    }

    fn named(names: impl IntoIterator<Item = (u8, &'static str)>) -> Interfaces {
        names.into_iter().map(|(last, name)| (vip(last), Some(Arc::from(name)))).collect()
    }

    #[test]
    fn each_address_goes_to_its_interface_and_one_without_goes_nowhere() {
        let grant = grant();
        let desired = [1, 2, 4, 5].map(|last| (vip(last), grant)).into();
        let mut places = Places::default();
        let names = [(2, "eth0"), (3, "eth1"), (4, "eth0"), (5, "eth2"), (6, "eth2")];
        assert!(places.take(named(names), &desired));
        let of = |addresses: &[u8]| addresses.iter().map(|&last| (vip(last), grant)).collect();
        let granted = [("eth0", of(&[2, 4])), ("eth1", of(&[])), ("eth2", of(&[5]))]
            .map(|(name, share)| (Arc::from(name), share))
            .into();
        assert_eq!(places.split(&desired), Shares { granted, left_out: [].into() });
    }

    #[test]
    fn only_what_concerns_a_granted_address_or_the_first_or_last_of_an_interface_makes_a_difference() {
        let desired = [(vip(1), grant())].into();
        let mut places = Places::default();
        let mut take =
            |last, name: Option<&str>| places.take([(vip(last), name.map(Arc::from))].into(), &desired);
        let seen = [
            take(2, Some("eth0")),
            take(3, Some("eth0")),
            take(3, Some("eth0")),
            take(1, Some("eth0")),
            take(1, Some("eth0")),
            take(1, None),
            take(2, None),
            take(2, None),
            take(3, Some("eth1")),
            take(3, None),
        ];
        assert_eq!(seen, [true, false, false, true, false, true, false, false, true, true]);
        assert_eq!(places.split(&desired), Shares::default());
    }

    #[test]
    fn names_without_end_are_not_followed() {
        let mut interfaces: Interfaces =
            (0..200).map(|last| (vip(last), Some(format!("if{last:03}").into()))).collect();
        interfaces.extend(named([(200, "lan0"), (201, "lan0")]));
        let mut places = Places::default();
        places.take(interfaces, &BTreeMap::new());
        let Shares { granted, left_out } = places.split(&BTreeMap::new());
        assert_eq!((granted.len(), left_out.len()), (MOST_INTERFACES, MOST_INTERFACES));
        assert!(granted.contains_key("lan0"), "one name more for few addresses takes it from many");
    }
}
