//! The core: the control plane's VIPs × its grant, and a grant for each Service address → what this node may announce
//! now, whatever the mode.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::data_path::Waiting;
use crate::election::Grant;

/// The addresses that this node may announce, each with its permission.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Desired {
    /// Grows with every change; announcers repeat it in their [`Report`].
    pub serial: u64,
    /// Address to permission; one map, however many look at it.
    pub vips: Arc<BTreeMap<IpAddr, Grant>>,
}

impl Desired {
    /// What of it concerns an announcer that answers for these addresses and no others.
    #[must_use]
    pub fn among<'a>(&self, addresses: impl IntoIterator<Item = &'a IpAddr>) -> Self {
        let ours = |address: &IpAddr| Some((*address, *self.vips.get(address)?));
        let vips = addresses.into_iter().filter_map(ours).collect::<BTreeMap<_, _>>();
        Self { serial: self.serial, vips: vips.into() }
    }
}

/// What an announcer has done with the newest [`Desired`] that it has seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// The serial that is completely applied.
    pub applied: u64,
    /// Addresses that are still reachable through this announcer, wanted or not.
    pub present: Arc<BTreeSet<IpAddr>>,
}

/// How far the grants of Service addresses have got.
#[derive(Clone, Debug, Default)]
pub struct Remains {
    /// The very grants that this is about.
    pub granted: Arc<BTreeMap<IpAddr, Grant>>,
    /// No longer granted, and perhaps still on the wire.
    pub lingering: Arc<BTreeSet<IpAddr>>,
}

/// Puts VIPs and grants together, and knows when what was withdrawn is really gone.
#[derive(Debug, Default)]
pub struct Advertiser {
    control_plane: BTreeSet<IpAddr>,
    grant: Option<Grant>,
    services: Arc<BTreeMap<IpAddr, Grant>>,
    waiting: Arc<Waiting>,
    reports: BTreeMap<String, Report>,
    desired: Desired,
    /// What was permitted and is not any more, with the serial that was the first without it.
    lingering: BTreeMap<IpAddr, u64>,
    /// When the first of the permissions ends.
    ends: Option<Instant>,
    /// A permission has changed since `desired` was computed.
    changed: bool,
    remains: Remains,
}

impl Advertiser {
    /// A core that waits for the report of each of these announcers before it calls anything gone.
    #[must_use]
    pub fn new(announcers: impl IntoIterator<Item = String>) -> Self {
        let reports = announcers.into_iter().map(|name| (name, Report::default())).collect();
        Self { reports, ..Self::default() }
    }

    /// The VIPs of the control plane. Whatever is granted to Services, these are announced with the grant of
    /// [`Self::grant`] only.
    pub fn claim(&mut self, vips: BTreeSet<IpAddr>) {
        self.changed |= self.control_plane != vips;
        self.control_plane = vips;
    }

    /// The permission for the VIPs of the control plane changed.
    pub fn grant(&mut self, grant: Option<Grant>) {
        self.changed |= self.grant != grant;
        self.grant = grant;
    }

    /// The Service addresses that this node may announce, each with its permission.
    pub fn services(&mut self, grants: Arc<BTreeMap<IpAddr, Grant>>) {
        self.changed |= !Arc::ptr_eq(&self.services, &grants);
        self.services = grants;
    }

    /// The Service addresses that are not announced yet, whatever is granted: the node would not carry their packets on.
    pub fn wait(&mut self, waiting: Arc<Waiting>) {
        if !Arc::ptr_eq(&self.waiting, &waiting) {
            // Of what comes to wait, or does not any more, little is granted to this node.
            let granted = |vip: &&IpAddr| self.services.contains_key(vip);
            let moved =
                |from: &Waiting, to: &Waiting| from.keys().filter(granted).any(|vip| !to.contains_key(vip));
            self.changed |= moved(&self.waiting, &waiting) || moved(&waiting, &self.waiting);
            self.waiting = waiting;
        }
    }

    /// What an announcer has done.
    pub fn report(&mut self, announcer: &str, report: Report) {
        self.reports.insert(announcer.to_owned(), report);
        let reports = &self.reports;
        self.lingering.retain(|vip, since| !reports.values().all(|report| report.is_without(vip, *since)));
    }

    /// What live grants cover. Nothing is computed where nothing has changed and no grant has ended.
    pub fn desired(&mut self, now: Instant) -> &Desired {
        if self.changed || self.ends.is_some_and(|ends| ends <= now) {
            self.changed = false;
            let vips = self.permitted(now);
            self.ends = vips.values().map(|grant| grant.until).min();
            if vips != *self.desired.vips {
                self.turn(vips);
            }
        }
        &self.desired
    }

    /// When [`Self::desired`] changes though nothing is told.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.ends
    }

    /// Whether this node has no permission for the VIPs of the control plane, and every announcer has applied that and has
    /// none of them left. Call [`Self::desired`] first: it is what they apply.
    #[must_use]
    pub fn is_vacated(&self) -> bool {
        self.control_plane.iter().all(|&vip| self.is_gone(vip))
    }

    /// Whether this address is not wanted now, and every announcer has applied that and has let go of it. Call
    /// [`Self::desired`] first: it is what they apply.
    #[must_use]
    pub fn is_gone(&self, vip: IpAddr) -> bool {
        let present = || self.reports.values().any(|report| report.present.contains(&vip));
        !self.desired.vips.contains_key(&vip) && !self.lingering.contains_key(&vip) && !present()
    }

    /// What of the Services is still to go. Call [`Self::desired`] first; the same is the same allocation.
    pub fn remains(&mut self) -> &Remains {
        let services = || self.lingering.keys().filter(|vip| !self.control_plane.contains(vip));
        if !services().eq(self.remains.lingering.iter()) {
            self.remains.lingering = Arc::new(services().copied().collect());
        }
        if !Arc::ptr_eq(&self.remains.granted, &self.services) {
            self.remains.granted = Arc::clone(&self.services);
        }
        &self.remains
    }

    fn permitted(&self, now: Instant) -> BTreeMap<IpAddr, Grant> {
        let grant = self.grant.filter(|grant| now < grant.until);
        let theirs = self.control_plane.iter().filter_map(|&vip| Some((vip, grant?)));
        let ready = |vip| !self.control_plane.contains(vip) && !self.waiting.contains_key(vip);
        let services = self.services.iter().filter(|(vip, _)| ready(vip));
        let services = services.filter(|(_, grant)| now < grant.until).map(|(&vip, &grant)| (vip, grant));
        services.chain(theirs).collect()
    }

    fn turn(&mut self, vips: BTreeMap<IpAddr, Grant>) {
        let serial = self.desired.serial + 1;
        // A renewal, which is nearly always what happened, takes nothing away.
        if !self.desired.vips.keys().eq(vips.keys()) {
            self.lingering.retain(|vip, _| !vips.contains_key(vip));
            let left = self.desired.vips.keys().filter(|vip| !vips.contains_key(vip));
            self.lingering.extend(left.filter(|_| !self.reports.is_empty()).map(|&vip| (vip, serial)));
        }
        self.desired = Desired { serial, vips: vips.into() };
    }
}

impl Report {
    /// What was done, and the addresses that are still reachable.
    #[must_use]
    pub fn new(applied: u64, present: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { applied, present: Arc::new(present.into_iter().collect()) }
    }

    fn is_without(&self, vip: &IpAddr, since: u64) -> bool {
        self.applied >= since && !self.present.contains(vip)
    }
}

impl Remains {
    /// Whether `vip`, which is not in `published`, is gone from every announcer. `published` is what was granted last:
    /// before the core has seen just that, nothing is known.
    #[must_use]
    pub fn is_gone(&self, published: &Arc<BTreeMap<IpAddr, Grant>>, vip: IpAddr) -> bool {
        Arc::ptr_eq(&self.granted, published)
            && !published.contains_key(&vip)
            && !self.lingering.contains(&vip)
    }

    /// Whether nothing is granted any more, and nothing is left of what was.
    #[must_use]
    pub fn is_vacated(&self, published: &Arc<BTreeMap<IpAddr, Grant>>) -> bool {
        Arc::ptr_eq(&self.granted, published) && published.is_empty() && self.lingering.is_empty()
    }
}

/// The same grants are the same allocation: it is what whoever granted them compares.
impl PartialEq for Remains {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.granted, &other.granted) && self.lingering == other.lingering
    }
}

impl Eq for Remains {}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::net::Ipv4Addr;
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

    fn granted(grants: &[(IpAddr, Grant)]) -> Arc<BTreeMap<IpAddr, Grant>> {
        Arc::new(grants.iter().copied().collect())
    }

    fn present(applied: u64, vips: &[IpAddr]) -> Report {
        Report::new(applied, vips.iter().copied())
    }

    fn keys(desired: &Desired) -> Vec<IpAddr> {
        desired.vips.keys().copied().collect()
    }

    #[test]
    fn an_expired_grant_silences_without_being_told() {
        let now = Instant::now();
        let mut core = Advertiser::default();
        core.claim([vip("192.0.2.10")].into());
        core.grant(Some(grant(now, 3)));
        core.services(granted(&[(vip("192.0.2.11"), grant(now, 2))]));
        let mut seen = vec![];
        for second in 0..=3 {
            seen.push((core.desired(now + Duration::from_secs(second)).vips.len(), core.deadline()));
        }
        let (two, three) = (Some(now + Duration::from_secs(2)), Some(now + Duration::from_secs(3)));
        assert_eq!(seen, [(2, two), (2, two), (1, three), (0, None)]);
    }

    #[test]
    fn a_control_plane_is_vacated_when_every_announcer_applied_the_withdrawal_and_has_nothing_left() {
        let now = Instant::now();
        let address = vip("192.0.2.10");
        let mut core = Advertiser::new(["eth0".to_owned(), "bgp".to_owned()]);
        core.claim([address].into());
        core.grant(Some(grant(now, 3)));
        let held = core.desired(now).serial;
        let mut seen = vec![core.is_vacated()];
        core.grant(None);
        let gone = core.desired(now).serial;
        seen.push(core.is_vacated());
        // This one was about to announce when the grant went: nothing present yet, and still not gone.
        core.report("eth0", present(held, &[]));
        core.report("bgp", present(gone, &[]));
        seen.push(core.is_vacated());
        core.report("eth0", present(gone, &[address]));
        seen.push(core.is_vacated());
        core.report("eth0", present(gone, &[]));
        seen.push(core.is_vacated());
        assert_eq!(seen, [false, false, false, false, true]);
    }

    #[test]
    fn each_service_address_has_its_own_permission_and_the_control_planes_vip_only_its_own() {
        let now = Instant::now();
        let (cluster, web) = (vip("192.0.2.10"), vip("192.0.2.11"));
        let mut core = Advertiser::new(["eth0".to_owned()]);
        core.claim([cluster].into());
        core.services(granted(&[(cluster, grant(now, 9)), (web, grant(now, 5))]));
        assert_eq!(*core.desired(now).vips, [(web, grant(now, 5))].into());
        core.grant(Some(grant(now, 3)));
        assert_eq!(*core.desired(now).vips, [(cluster, grant(now, 3)), (web, grant(now, 5))].into());
    }

    #[test]
    fn a_granted_address_that_waits_for_the_data_path_is_not_announced_before() {
        let now = Instant::now();
        let (cluster, web, mail) = (vip("192.0.2.10"), vip("192.0.2.11"), vip("192.0.2.12"));
        let mut core = Advertiser::new(["eth0".to_owned()]);
        core.claim([cluster].into());
        core.grant(Some(grant(now, 3)));
        let waiting = |vips: &[IpAddr]| Arc::new(vips.iter().map(|&vip| (vip, Arc::from([]))).collect());
        // The VIP of the control plane has no rules of kube-proxy to wait for.
        core.wait(waiting(&[cluster, web]));
        core.services(granted(&[(web, grant(now, 5)), (mail, grant(now, 5))]));
        assert_eq!(keys(core.desired(now)), [cluster, mail]);
        core.wait(waiting(&[]));
        assert_eq!(keys(core.desired(now)), [cluster, web, mail]);
        core.wait(waiting(&[mail]));
        assert_eq!(keys(core.desired(now)), [cluster, web]);
    }

    #[test]
    fn a_service_address_is_gone_when_the_core_has_seen_the_withdrawal_and_each_announcer_applied_it() {
        let now = Instant::now();
        let (web, mail) = (vip("192.0.2.11"), vip("192.0.2.12"));
        let mut core = Advertiser::new(["responder".to_owned(), "bgp".to_owned()]);
        let both = granted(&[(web, grant(now, 5)), (mail, grant(now, 5))]);
        let one = granted(&[(mail, grant(now, 6))]);
        let mut seen = vec![];
        let mut look = |core: &mut Advertiser| {
            let (serial, held) = { (core.desired(now).serial, keys(core.desired(now))) };
            seen.push((serial, held.len(), core.remains().is_gone(&one, web)));
        };
        core.services(Arc::clone(&both));
        look(&mut core);
        core.services(Arc::clone(&one));
        look(&mut core);
        core.report("responder", present(2, &[mail]));
        core.report("bgp", present(1, &[mail]));
        look(&mut core);
        // Others are renewed meanwhile: nobody has to catch up with the newest for an old one to be gone.
        let renewed = granted(&[(mail, grant(now, 7))]);
        core.services(Arc::clone(&renewed));
        look(&mut core);
        core.report("bgp", present(2, &[web, mail]));
        look(&mut core);
        core.report("bgp", present(2, &[mail]));
        assert_eq!(core.desired(now).serial, 3);
        seen.push((3, 1, core.remains().is_gone(&renewed, web)));
        let expected =
            [(1, 2, false), (2, 1, false), (2, 1, false), (3, 1, false), (3, 1, false), (3, 1, true)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_granted_again_before_it_was_gone_starts_anew() {
        let now = Instant::now();
        let web = vip("192.0.2.11");
        let mut core = Advertiser::new(["responder".to_owned()]);
        let (none, again) = (granted(&[]), granted(&[]));
        core.services(granted(&[(web, grant(now, 5))]));
        core.desired(now);
        core.services(Arc::clone(&none));
        core.desired(now);
        core.services(granted(&[(web, grant(now, 6))]));
        core.desired(now);
        core.services(Arc::clone(&again));
        core.desired(now);
        // Applied between the two.
        core.report("responder", present(2, &[]));
        let early = core.remains().is_vacated(&again);
        core.report("responder", present(4, &[]));
        assert_eq!(
            (early, core.remains().is_vacated(&again), core.remains().is_vacated(&none)),
            (false, true, false)
        );
    }

    #[test]
    fn a_grant_that_the_core_never_saw_leaves_nothing_behind() {
        let now = Instant::now();
        let mut core = Advertiser::new(["responder".to_owned()]);
        let none = granted(&[]);
        core.services(Arc::clone(&none));
        core.desired(now);
        assert!(core.remains().is_gone(&none, vip("192.0.2.11")));
    }

    /// By counting: what is computed anew, and what stays the same allocation. Times are printed for whoever looks.
    #[test]
    fn a_report_and_a_tick_cost_nothing_however_many_addresses_there_are() {
        let now = Instant::now();
        let mut core = Advertiser::new(["responder".to_owned()]);
        core.claim([vip("192.0.2.10")].into());
        core.grant(Some(grant(now, 3)));
        let many = |seconds| {
            let all =
                (0..10_000).map(|n| (IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n)), grant(now, seconds)));
            Arc::new(all.collect::<BTreeMap<_, _>>())
        };
        let renewals: Vec<_> = (3..13).map(many).collect();
        let begun = Instant::now();
        for grants in renewals {
            core.services(grants);
            core.desired(now);
            core.remains();
        }
        println!("a renewal of 10,000 addresses: {:?}", begun.elapsed() / 10);
        let (vips, lingering) = (Arc::clone(&core.desired(now).vips), Arc::clone(&core.remains().lingering));
        assert_eq!((vips.len(), core.desired(now).serial), (10_001, 10));
        core.report("responder", Report::new(10, vips.keys().copied()));
        assert!(Arc::ptr_eq(&vips, &core.desired(now + Duration::from_millis(1)).vips));
        assert!(Arc::ptr_eq(&lingering, &core.remains().lingering));
    }
}
