//! What an `IPAddressPool` of MetalLB says; read only, so that moving from MetalLB keeps the pools.

use std::collections::BTreeSet;

use super::labels::LabelSelector;
use super::own::ranges;
use super::pool::{Pool, PoolId, Selection, Source};
use super::problem::{Problem, Problems};

/// An `IPAddressPool` (`metallb.io/v1beta1`): its name and the fields of its spec.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IpAddressPool {
    /// `metadata.name`.
    pub name: String,
    /// `addresses`.
    pub addresses: Vec<String>,
    /// `autoAssign`; `true` where it is absent.
    pub auto_assign: bool,
    /// `avoidBuggyIPs`.
    pub avoid_buggy_ips: bool,
    /// `serviceAllocation`.
    pub service_allocation: Option<ServiceAllocation>,
}

/// `serviceAllocation` of an `IPAddressPool`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceAllocation {
    /// `priority`: 1 is the highest, 0 (or none) the lowest.
    pub priority: u32,
    /// `namespaces`.
    pub namespaces: BTreeSet<String>,
    /// `namespaceSelectors`.
    pub namespace_selectors: Vec<LabelSelector>,
    /// `serviceSelectors`.
    pub service_selectors: Vec<LabelSelector>,
}

/// The pool; `None` where it has no usable address. Where only some are wrong, the others are used.
#[must_use]
pub fn pool(object: &IpAddressPool) -> (Option<Pool>, Vec<Problem>) {
    let mut found = vec![];
    let key = format!("{}.spec.addresses", object.name);
    let ranges = ranges(&object.addresses, &mut Problems { key: &key, found: &mut found });
    let allocation = object.service_allocation.clone().unwrap_or_default();
    let pool = (!ranges.is_empty()).then(|| Pool {
        priority: Some(allocation.priority).filter(|&priority| priority > 0),
        auto_assign: object.auto_assign,
        avoid_buggy: object.avoid_buggy_ips,
        selection: Selection {
            namespaces: allocation.namespaces,
            namespace_selectors: allocation.namespace_selectors,
            service_selectors: allocation.service_selectors,
        },
        ..Pool::new(PoolId { source: Source::MetalLb, name: object.name.as_str().into() }, ranges)
    });
    (pool, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipam::range::Range;

    #[test]
    fn a_pool_keeps_its_good_addresses_and_priority_zero_is_the_last() {
        let object = IpAddressPool {
            name: "first".into(),
            addresses: vec!["192.0.2.0/30".into(), "192.0.2.9-".into()],
            auto_assign: false,
            avoid_buggy_ips: true,
            service_allocation: Some(ServiceAllocation {
                namespaces: ["web".into()].into(),
                ..Default::default()
            }),
        };
        let (pool, problems) = pool(&object);
        let pool = pool.unwrap();
        assert_eq!((pool.priority, pool.auto_assign, pool.avoid_buggy), (None, false, true));
        assert_eq!(
            pool.ranges.as_slice().iter().map(Range::to_string).collect::<Vec<_>>(),
            ["192.0.2.0-192.0.2.3"]
        );
        assert_eq!(
            problems.iter().map(|it| (&*it.key, &*it.value)).collect::<Vec<_>>(),
            [("first.spec.addresses", "192.0.2.9-")]
        );
    }
}
