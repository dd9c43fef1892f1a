//! Which addresses are answered for on which interface.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::election::Grant;

/// What may be announced, by interface. An interface that is named and has nothing to announce is there, too.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Shares {
    pub(super) granted: BTreeMap<Arc<str>, BTreeMap<IpAddr, Grant>>,
    /// Interfaces that are too many.
    pub(super) left_out: BTreeSet<Arc<str>>,
}

/// Walks both maps once, side by side.
pub(super) fn split(desired: &BTreeMap<IpAddr, Grant>, interfaces: &BTreeMap<IpAddr, Arc<str>>) -> Shares {
    let mut granted: BTreeMap<Arc<str>, Vec<(IpAddr, Grant)>> = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    let mut desired = desired.iter().peekable();
    for (vip, interface) in interfaces {
        while desired.next_if(|(theirs, _)| *theirs < vip).is_some() {}
        let grant = desired.next_if(|(theirs, _)| *theirs == vip).map(|(_, grant)| (*vip, *grant));
        if let Some(share) = granted.get_mut(interface) {
            share.extend(grant);
        } else if granted.len() < MOST_INTERFACES {
            granted.insert(interface.clone(), grant.into_iter().collect());
        } else if left_out.len() < MOST_INTERFACES {
            left_out.insert(interface.clone());
        }
    }
    let granted = granted.into_iter().map(|(interface, share)| (interface, share.into_iter().collect()));
    Shares { granted: granted.collect(), left_out }
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

    #[test]
    fn each_address_goes_to_its_interface_and_one_without_goes_nowhere() {
        let grant = grant();
        let desired = [1, 2, 4, 5].map(|last| (vip(last), grant)).into();
        let named = [(2, "eth0"), (3, "eth1"), (4, "eth0"), (5, "eth2"), (6, "eth2")];
        let interfaces = named.map(|(last, name)| (vip(last), Arc::from(name))).into();
        let of = |addresses: &[u8]| addresses.iter().map(|&last| (vip(last), grant)).collect();
        let granted = [("eth0", of(&[2, 4])), ("eth1", of(&[])), ("eth2", of(&[5]))]
            .map(|(name, share)| (Arc::from(name), share))
            .into();
        assert_eq!(split(&desired, &interfaces), Shares { granted, left_out: [].into() });
    }

    #[test]
    fn names_without_end_are_not_followed() {
        let interfaces = (0..=u8::MAX).map(|last| (vip(last), format!("if{last:03}").into())).collect();
        let Shares { granted, left_out } = split(&BTreeMap::new(), &interfaces);
        assert_eq!((granted.len(), left_out.len()), (MOST_INTERFACES, MOST_INTERFACES));
    }
}
