//! The core: claims × grants → what this node may announce now, whatever the mode.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::election::Grant;

/// What one election guards.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// The control-plane VIP.
    ControlPlane,
    /// The addresses of LoadBalancer Services.
    Services,
}

/// Who wants a VIP. Two owners may share one address.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Owner {
    /// The API server's address.
    ControlPlane,
    /// A Service of type LoadBalancer.
    Service {
        /// `metadata.namespace`.
        namespace: String,
        /// `metadata.name`.
        name: String,
    },
}

/// The addresses that this node may announce, each with its permission.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Desired {
    /// Grows with every change; announcers repeat it in their [`Report`].
    pub serial: u64,
    /// Address to permission; one map, however many look at it.
    pub vips: Arc<BTreeMap<IpAddr, Grant>>,
}

/// What an announcer has done with the newest [`Desired`] that it has seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// The serial that is completely applied.
    pub applied: u64,
    /// Addresses that are still reachable through this announcer, wanted or not.
    pub present: BTreeSet<IpAddr>,
}

/// Puts claims and grants together, and knows when a withdrawn scope is really gone.
#[derive(Debug, Default)]
pub struct Advertiser {
    claims: BTreeMap<Owner, BTreeSet<IpAddr>>,
    grants: BTreeMap<Scope, Grant>,
    reports: BTreeMap<String, Report>,
    desired: Desired,
}

impl Advertiser {
    /// A core that waits for the report of each of these announcers before it calls a scope vacated.
    #[must_use]
    pub fn new(announcers: impl IntoIterator<Item = String>) -> Self {
        let reports = announcers.into_iter().map(|name| (name, Report::default())).collect();
        Self { reports, ..Self::default() }
    }

    /// `owner` wants exactly these addresses; none ends the claim.
    pub fn claim(&mut self, owner: Owner, vips: BTreeSet<IpAddr>) {
        if vips.is_empty() {
            self.claims.remove(&owner);
        } else {
            self.claims.insert(owner, vips);
        }
    }

    /// The permission for a scope changed.
    pub fn grant(&mut self, scope: Scope, grant: Option<Grant>) {
        match grant {
            Some(grant) => self.grants.insert(scope, grant),
            None => self.grants.remove(&scope),
        };
    }

    /// What an announcer has done.
    pub fn report(&mut self, announcer: &str, report: Report) {
        self.reports.insert(announcer.to_owned(), report);
    }

    /// Claims that a live grant covers. Sharing needs no reference count: the set is rebuilt.
    pub fn desired(&mut self, now: Instant) -> &Desired {
        let vips = self.permitted(now);
        if vips != *self.desired.vips {
            self.desired = Desired { serial: self.desired.serial + 1, vips: vips.into() };
        }
        &self.desired
    }

    /// Whether this node has no permission for `scope`, and every announcer has applied that and has
    /// none of its addresses left. Call [`Self::desired`] first: it is what they apply.
    #[must_use]
    pub fn is_vacated(&self, scope: Scope) -> bool {
        let theirs: BTreeSet<_> = self.claimed(scope).collect();
        let wanted = theirs.iter().any(|vip| self.desired.vips.contains_key(vip));
        !wanted
            && self
                .reports
                .values()
                .all(|report| report.applied >= self.desired.serial && report.present.is_disjoint(&theirs))
    }

    fn permitted(&self, now: Instant) -> BTreeMap<IpAddr, Grant> {
        let mut vips = BTreeMap::new();
        for (owner, claimed) in &self.claims {
            let Some(&grant) = self.grants.get(&owner.scope()).filter(|grant| now < grant.until) else {
                continue;
            };
            for &vip in claimed {
                let latest = vips.entry(vip).or_insert(grant);
                if grant.until > latest.until {
                    *latest = grant;
                }
            }
        }
        vips
    }

    fn claimed(&self, scope: Scope) -> impl Iterator<Item = IpAddr> + '_ {
        self.claims
            .iter()
            .filter(move |(owner, _)| owner.scope() == scope)
            .flat_map(|(_, vips)| vips)
            .copied()
    }
}

impl Owner {
    fn scope(&self) -> Scope {
        match self {
            Self::ControlPlane => Scope::ControlPlane,
            Self::Service { .. } => Scope::Services,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::election::Predecessor;

    fn grant(now: Instant, seconds: u64) -> Grant {
        let until = now + Duration::from_secs(seconds);
        Grant { until, fence: until + Duration::from_secs(1), predecessor: Predecessor::Left }
    }

    fn vip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn service(name: &str) -> Owner {
        Owner::Service { namespace: "web".into(), name: name.into() }
    }

    #[test]
    fn a_shared_vip_stays_until_its_last_owner_leaves() {
        let now = Instant::now();
        let shared = vip("198.51.100.7");
        let mut core = Advertiser::default();
        core.grant(Scope::Services, Some(grant(now, 10)));
        core.claim(service("a"), [shared].into());
        core.claim(service("b"), [shared].into());
        core.claim(service("a"), [].into());
        assert_eq!(*core.desired(now).vips, [(shared, grant(now, 10))].into());
        core.claim(service("b"), [].into());
        assert_eq!(*core.desired(now).vips, [].into());
    }

    #[test]
    fn an_expired_grant_silences_without_being_told() {
        let now = Instant::now();
        let mut core = Advertiser::default();
        core.claim(Owner::ControlPlane, [vip("192.0.2.10")].into());
        core.grant(Scope::ControlPlane, Some(grant(now, 3)));
        assert_eq!(core.desired(now).vips.len(), 1);
        assert_eq!(core.desired(now + Duration::from_secs(3)).vips.len(), 0);
    }

    #[test]
    fn a_scope_is_vacated_when_every_announcer_applied_the_withdrawal_and_has_nothing_left() {
        let now = Instant::now();
        let address = vip("192.0.2.10");
        let mut core = Advertiser::new(["eth0".to_owned(), "bgp".to_owned()]);
        core.claim(Owner::ControlPlane, [address].into());
        core.grant(Scope::ControlPlane, Some(grant(now, 3)));
        let held = core.desired(now).serial;
        let mut seen = vec![core.is_vacated(Scope::ControlPlane)];
        core.grant(Scope::ControlPlane, None);
        let gone = core.desired(now).serial;
        seen.push(core.is_vacated(Scope::ControlPlane));
        // This one was about to announce when the grant went: nothing present yet, and still not gone.
        core.report("eth0", Report { applied: held, present: [].into() });
        core.report("bgp", Report { applied: gone, present: [].into() });
        seen.push(core.is_vacated(Scope::ControlPlane));
        core.report("eth0", Report { applied: gone, present: [address].into() });
        seen.push(core.is_vacated(Scope::ControlPlane));
        core.report("eth0", Report { applied: gone, present: [].into() });
        seen.push(core.is_vacated(Scope::ControlPlane));
        assert_eq!(seen, [false, false, false, false, true]);
    }

    #[test]
    fn scopes_are_granted_and_vacated_apart() {
        let now = Instant::now();
        let (cluster, web) = (vip("192.0.2.10"), vip("192.0.2.11"));
        let mut core = Advertiser::new(["eth0".to_owned()]);
        core.claim(Owner::ControlPlane, [cluster].into());
        core.claim(service("web"), [web].into());
        core.grant(Scope::Services, Some(grant(now, 3)));
        let applied = core.desired(now).serial;
        core.report("eth0", Report { applied, present: [web].into() });
        assert_eq!(core.desired(now).vips.keys().copied().collect::<Vec<_>>(), [web]);
        assert_eq!((core.is_vacated(Scope::ControlPlane), core.is_vacated(Scope::Services)), (true, false));
    }
}
