//! What this node originates, and until when it may: permission is a deadline, and travels with the routes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use vipcast_proto::bgp::adj_rib_out::{Policy, Routes};
use vipcast_proto::election::Grant;

/// Addresses with the end of their permission, and the routes to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// Grows with every change; peers repeat it when they have told it.
    pub(super) serial: u64,
    /// Each address with its permission.
    pub(super) vips: Vips,
    /// The same as routes.
    pub(super) routes: Arc<Routes>,
    /// When the first permission ends.
    pub(super) earliest: Option<Instant>,
    pub(super) groups: Arc<Groups>,
}

/// Shared with whoever permits them: there may be many.
pub(super) type Vips = Arc<BTreeMap<IpAddr, Grant>>;

/// What is said of some addresses in another way than of the others, the more specific prefixes first.
pub(super) type Groups = Vec<(IpNet, Policy)>;

impl Origin {
    /// What follows when permissions or groups change. Routes that stay as they are stay the same in memory, too.
    pub(super) fn next(&self, vips: Vips, groups: &Arc<Groups>) -> Self {
        let same = groups == &self.groups && self.vips.keys().eq(vips.keys());
        let routes = if same { self.routes.clone() } else { routes(vips.keys(), groups).into() };
        Self {
            serial: self.serial + 1,
            earliest: vips.values().map(|grant| grant.until).min(),
            vips,
            routes,
            groups: groups.clone(),
        }
    }

    /// The routes that are permitted now, whatever the core has had the time to say.
    pub(super) fn live(&self, now: Instant) -> Arc<Routes> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return self.routes.clone();
        }
        let live = self.vips.iter().filter(|(_, grant)| now < grant.until).map(|(vip, _)| vip);
        routes(live, &self.groups).into()
    }

    /// When the routes that are permitted at `now` have to be looked at again.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        match self.earliest {
            Some(earliest) if now < earliest => Some(earliest),
            Some(_) => self.vips.values().map(|grant| grant.until).filter(|until| now < *until).min(),
            None => None,
        }
    }

    /// Whether it was made with these groups.
    pub(super) fn has(&self, groups: &Arc<Groups>) -> bool {
        &self.groups == groups
    }

    /// Whether every address of `other` is one of ours.
    pub(super) fn covers(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.routes, &other.routes) || other.vips.keys().all(|vip| self.vips.contains_key(vip))
    }
}

fn routes<'a>(vips: impl Iterator<Item = &'a IpAddr>, groups: &Groups) -> Routes {
    let plain = Policy::default();
    let policy = |vip: &IpAddr| {
        groups.iter().find(|(prefix, _)| prefix.contains(vip)).map_or(&plain, |(_, policy)| policy)
    };
    Routes::new(vips.map(|vip| (IpNet::from(*vip), policy(vip))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::granted;
    use super::*;
    use crate::clock;

    fn vip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_renewal_leaves_the_routes_as_they_are() {
        let (now, groups) = (clock::now(), Arc::new(Groups::new()));
        let after = |seconds| now + Duration::from_secs(seconds);
        let first = Origin::default().next(granted([(vip(1), after(3))]), &groups);
        let renewed = first.next(granted([(vip(1), after(4))]), &groups);
        assert!(Arc::ptr_eq(&first.routes, &renewed.routes));
        assert_eq!((renewed.serial, renewed.earliest), (2, Some(after(4))));
        let grown = renewed.next(granted([(vip(1), after(4)), (vip(2), after(5))]), &groups);
        assert_eq!(grown.routes.len(), 2);
        assert_eq!([grown.covers(&renewed), renewed.covers(&grown)], [true, false]);
    }

    #[test]
    fn what_is_over_by_the_clock_is_not_a_route_though_nobody_has_said_so() {
        let (now, groups) = (clock::now(), Arc::new(Groups::new()));
        let after = |seconds| now + Duration::from_secs(seconds);
        let origin = Origin::default().next(granted([(vip(1), after(1)), (vip(2), after(2))]), &groups);
        let seen = [0, 1, 2].map(|s| (origin.live(after(s)).len(), origin.deadline(after(s))));
        assert_eq!(seen, [(2, Some(after(1))), (1, Some(after(2))), (0, None)]);
    }

    #[test]
    fn the_most_specific_group_says_what_is_said() {
        let policy = |med| Policy { med: Some(med), ..Policy::default() };
        let groups =
            vec![("192.0.2.2/32".parse().unwrap(), policy(2)), ("192.0.2.0/24".parse().unwrap(), policy(1))];
        let until = clock::now() + Duration::from_secs(1);
        let other: IpAddr = "203.0.113.1".parse().unwrap();
        let origin =
            Origin::default().next(granted([vip(1), vip(2), other].map(|vip| (vip, until))), &groups.into());
        let plain = Policy::default();
        let expected = Routes::new([
            (IpNet::from(vip(1)), &policy(1)),
            (IpNet::from(vip(2)), &policy(2)),
            (IpNet::from(other), &plain),
        ]);
        assert_eq!(*origin.routes, expected);
    }
}
