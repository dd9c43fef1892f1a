//! What a pool of addresses is: which it has, and which Services it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::labels::{LabelSelector, Labels};
use super::range::{Range, Ranges};
use super::service::ServiceView;

/// Where a pool is written down.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// Our own schema.
    Own,
    /// The ConfigMap of kube-vip's cloud provider.
    KubeVip,
    /// An `IPAddressPool` of MetalLB.
    MetalLb,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "vipcast",
            Self::KubeVip => "kube-vip",
            Self::MetalLb => "MetalLB",
        })
    }
}

/// Which pool: two sources may use one name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PoolId {
    /// Where it is written down.
    pub source: Source,
    /// Its name; for kube-vip the key, such as `cidr-web`.
    pub name: Arc<str>,
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.source)
    }
}

/// In which order a pool's free addresses are given out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SearchOrder {
    /// The lowest first.
    #[default]
    Ascending,
    /// The highest first (kube-vip's `search-order: desc`).
    Descending,
}

/// A value with exceptions by namespace, as kube-vip's `…-<namespace>` and `…-global` keys give it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PerNamespace<T> {
    /// For every namespace without a value of its own.
    pub global: Option<T>,
    /// By namespace.
    pub namespaces: BTreeMap<String, T>,
}

impl<T> Default for PerNamespace<T> {
    fn default() -> Self {
        Self { global: None, namespaces: BTreeMap::new() }
    }
}

impl<T> PerNamespace<T> {
    /// One value for all.
    #[must_use]
    pub fn global(value: T) -> Self {
        Self { global: Some(value), namespaces: BTreeMap::new() }
    }

    /// The value for `namespace`.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Option<&T> {
        self.namespaces.get(namespace).or(self.global.as_ref())
    }
}

/// Which Services a pool serves: those of its namespaces that one of its Service selectors selects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// Namespaces by name; with the selectors: either will do. Empty, both: every namespace.
    pub namespaces: BTreeSet<String>,
    /// Namespaces by label.
    pub namespace_selectors: Vec<LabelSelector>,
    /// Services by label. Empty: every Service.
    pub service_selectors: Vec<LabelSelector>,
}

/// Why a pool does not serve a Service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exclusion {
    /// It is for other namespaces.
    Namespace,
    /// It is for Services with other labels.
    ServiceLabels,
}

impl Selection {
    /// Whether it is for some Services only.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.narrows_namespaces() || !self.service_selectors.is_empty()
    }

    /// Why it does not select `service`, or `None`.
    #[must_use]
    pub fn exclusion(&self, service: &ServiceView) -> Option<Exclusion> {
        if self.narrows_namespaces() && !self.has_namespace(&service.key.namespace, &service.namespace_labels)
        {
            return Some(Exclusion::Namespace);
        }
        let selected = self.service_selectors.is_empty()
            || self.service_selectors.iter().any(|selector| selector.selects(&service.labels));
        (!selected).then_some(Exclusion::ServiceLabels)
    }

    fn narrows_namespaces(&self) -> bool {
        !self.namespaces.is_empty() || !self.namespace_selectors.is_empty()
    }

    fn has_namespace(&self, name: &str, labels: &Labels) -> bool {
        self.namespaces.contains(name)
            || self.namespace_selectors.iter().any(|selector| selector.selects(labels))
    }
}

/// A pool of addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pool {
    /// Which pool.
    pub id: PoolId,
    /// Its addresses.
    pub ranges: Ranges,
    /// Which Services it serves.
    pub selection: Selection,
    /// The lower, the earlier it is tried, among those that are for some Services only and among those for all;
    /// `None` comes last.
    pub priority: Option<u32>,
    /// Whether it serves Services that do not ask for it.
    pub auto_assign: bool,
    /// Whether IPv4 addresses that end in .0 or .255 are left out.
    pub avoid_buggy: bool,
    /// Which free address is given first.
    pub order: SearchOrder,
    /// Whether Services without a sharing key share its IPv4 addresses (kube-vip's `allow-share`).
    pub allow_share: PerNamespace<bool>,
    /// On which interface its addresses are to be announced.
    pub interface: PerNamespace<String>,
    /// Whether its addresses would have to come from DHCP, which is not supported: it serves nothing, and says so.
    pub dhcp: bool,
}

impl Pool {
    /// A pool that serves every Service, in ascending order.
    #[must_use]
    pub fn new(id: PoolId, ranges: Vec<Range>) -> Self {
        Self {
            id,
            ranges: ranges.into(),
            selection: Selection::default(),
            priority: None,
            auto_assign: true,
            avoid_buggy: false,
            order: SearchOrder::default(),
            allow_share: PerNamespace::default(),
            interface: PerNamespace::default(),
            dhcp: false,
        }
    }

    /// Whether it is left out although a range has it.
    #[must_use]
    pub fn avoids(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.avoid_buggy && matches!(address.octets()[3], 0 | 255),
            IpAddr::V6(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_what_its_ranges_have() {
        let ranges = ["192.0.2.8/30", "192.0.2.1", "2001:db8::/64"].map(|text| text.parse().unwrap());
        let pool = Pool::new(PoolId { source: Source::Own, name: "web".into() }, ranges.to_vec());
        let asked = ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.11", "192.0.2.12", "2001:db8::7", "::"];
        let has = asked.map(|text| pool.ranges.contains(text.parse().unwrap()));
        assert_eq!(has, [false, true, false, true, false, true, false]);
    }
}
