//! Runs the core: rulings, grants and reports in, what may be announced and what is gone out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::{Advertiser, Desired, Remains, Report};
use vipcast_proto::data_path::Waiting;
use vipcast_proto::election::Grant;

use crate::change::publish;
use crate::clock;
use crate::election::{Ruling, Vacancy};

/// The core's channels. Without either of the first two, that part of the daemon is not there.
#[derive(Debug)]
pub struct Wires {
    /// The control-plane VIP.
    pub control_plane: Option<ControlPlane>,
    /// The addresses of Services.
    pub services: Option<Services>,
    /// From the announcers, each under its name.
    pub reports: mpsc::Receiver<(String, Report)>,
    /// To the announcers.
    pub desired: watch::Sender<Desired>,
}

/// To and from the election of the control-plane VIP.
#[derive(Debug)]
pub struct ControlPlane {
    /// What it has come to.
    pub rulings: watch::Receiver<Ruling>,
    /// Whether what it withdrew is gone.
    pub vacancy: watch::Sender<Vacancy>,
}

/// To and from the placement of Service addresses.
#[derive(Debug)]
pub struct Services {
    /// What this node may announce.
    pub grants: watch::Receiver<Arc<BTreeMap<IpAddr, Grant>>>,
    /// What of it is to wait. An address is in it before it is granted.
    pub waiting: watch::Receiver<Arc<Waiting>>,
    /// What of it is still to go.
    pub remains: watch::Sender<Remains>,
}

/// Runs until nobody gives permissions any more, or every announcer is gone. Whoever stops giving them has withdrawn what
/// was given.
pub async fn run(mut core: Advertiser, mut wires: Wires) {
    while wires.control_plane.is_some() || wires.services.is_some() {
        wires.settle(&mut core);
        match wires.next(core.deadline()).await {
            News::Tick => {}
            News::NoRulings => {
                wires.control_plane = None;
                core.grant(None);
            }
            News::NoGrants => {
                wires.services = None;
                core.services(Arc::default());
            }
            News::Reported(announcer, report) => core.report(&announcer, report),
            News::NoAnnouncers => return,
        }
    }
    wires.settle(&mut core);
}

enum News {
    /// A permission has changed or ended.
    Tick,
    NoRulings,
    NoGrants,
    Reported(String, Report),
    NoAnnouncers,
}

impl Wires {
    /// Everything new goes in, then everything that follows goes out.
    fn settle(&mut self, core: &mut Advertiser) {
        let ruling = self.control_plane.as_mut().map(|wire| wire.rulings.borrow_and_update().clone());
        if let Some(ruling) = &ruling {
            core.grant(ruling.grant);
        }
        if let Some(wire) = &mut self.services {
            core.services(Arc::clone(&wire.grants.borrow_and_update()));
            // After the grants: what they are to wait for was said before.
            core.wait(Arc::clone(&wire.waiting.borrow_and_update()));
        }
        let desired = core.desired(clock::now());
        if self.desired.borrow().serial != desired.serial {
            self.desired.send_replace(desired.clone());
        }
        if let (Some(wire), Some(ruling)) = (&self.control_plane, ruling) {
            let vacated = ruling.grant.is_none() && core.is_vacated();
            publish(&wire.vacancy, Vacancy { serial: ruling.serial, vacated });
        }
        if let Some(wire) = &self.services {
            publish(&wire.remains, core.remains().clone());
        }
    }

    async fn next(&mut self, deadline: Option<Instant>) -> News {
        let Self { control_plane, services, reports, desired: _ } = self;
        tokio::select! {
            alive = changed(control_plane.as_mut().map(|wire| &mut wire.rulings)) => {
                if alive { News::Tick } else { News::NoRulings }
            }
            granted = services_changed(services.as_mut()) => if granted { News::Tick } else { News::NoGrants },
            report = reports.recv() => match report {
                Some((announcer, report)) => News::Reported(announcer, report),
                None => News::NoAnnouncers,
            },
            () = clock::until(deadline) => News::Tick,
        }
    }
}

/// The same of either; who grants is the one that counts.
async fn services_changed(services: Option<&mut Services>) -> bool {
    let Some(Services { grants, waiting, remains: _ }) = services else {
        return std::future::pending().await;
    };
    tokio::select! {
        alive = changed(Some(grants)) => alive,
        Ok(()) = waiting.changed() => true,
    }
}

/// Whether there is something new, or there will be nothing new any more.
async fn changed<T>(receiver: Option<&mut watch::Receiver<T>>) -> bool {
    match receiver {
        Some(receiver) => receiver.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::task::JoinSet;
    use vipcast_proto::election::Predecessor;

    use super::*;

    struct Bench {
        start: Instant,
        rulings: watch::Sender<Ruling>,
        reports: mpsc::Sender<(String, Report)>,
        desired: watch::Receiver<Desired>,
        vacancy: watch::Receiver<Vacancy>,
        grants: watch::Sender<Arc<BTreeMap<IpAddr, Grant>>>,
        waiting: watch::Sender<Arc<Waiting>>,
        remains: watch::Receiver<Remains>,
        core: JoinSet<()>,
    }

    impl Bench {
        fn new() -> Self {
            let (rulings, ruled) = watch::channel(Ruling::unknown());
            let (reports, reported) = mpsc::channel(4);
            let (desired_out, desired) = watch::channel(Desired::default());
            let (vacancy_out, vacancy) = watch::channel(Vacancy::default());
            let mut advertiser = Advertiser::new(["eth0".to_owned()]);
            advertiser.claim([VIP].into());
            let (grants, granted) = watch::channel(Arc::default());
            let (waiting, awaited) = watch::channel(Arc::default());
            let (remains_out, remains) = watch::channel(Remains::default());
            let wires = Wires {
                control_plane: Some(ControlPlane { rulings: ruled, vacancy: vacancy_out }),
                services: Some(Services { grants: granted, waiting: awaited, remains: remains_out }),
                reports: reported,
                desired: desired_out,
            };
            let mut core = JoinSet::new();
            core.spawn(run(advertiser, wires));
            Self { start: clock::now(), rulings, reports, desired, vacancy, grants, waiting, remains, core }
        }

        fn grant(&self, seconds: u64) -> Grant {
            let until = self.start + Duration::from_secs(seconds);
            Grant { until, fence: until + Duration::from_secs(1), predecessor: Predecessor::Left }
        }

        fn rule(&self, serial: u64, grant: Option<Grant>) {
            self.rulings.send_replace(Ruling { serial, grant, ..Ruling::unknown() });
        }

        async fn report(&self, applied: u64, present: &[IpAddr]) {
            let report = Report::new(applied, present.iter().copied());
            self.reports.send(("eth0".into(), report)).await.unwrap();
        }

        /// What the core says once it has nothing left to do, a millisecond from now.
        async fn says(&self) -> (Desired, Vacancy) {
            clock::pause(Duration::from_millis(1)).await;
            (self.desired.borrow().clone(), *self.vacancy.borrow())
        }
    }

    fn nothing(serial: u64) -> Desired {
        Desired { serial, vips: Arc::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_withdrawn_grant_is_vacated_when_the_announcer_says_that_nothing_is_left() {
        let bench = Bench::new();
        assert_eq!(bench.says().await, (nothing(0), Vacancy { serial: 0, vacated: true }));
        bench.rule(1, Some(bench.grant(3)));
        let held = Desired { serial: 1, vips: Arc::new([(VIP, bench.grant(3))].into()) };
        assert_eq!(bench.says().await, (held.clone(), Vacancy { serial: 1, vacated: false }));
        bench.report(1, &[VIP]).await;
        assert_eq!(bench.says().await, (held, Vacancy { serial: 1, vacated: false }));
        bench.rule(2, None);
        assert_eq!(bench.says().await, (nothing(2), Vacancy { serial: 2, vacated: false }));
        bench.report(2, &[VIP]).await;
        assert_eq!(bench.says().await, (nothing(2), Vacancy { serial: 2, vacated: false }));
        bench.report(2, &[]).await;
        assert_eq!(bench.says().await, (nothing(2), Vacancy { serial: 2, vacated: true }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_ends_without_being_told() {
        let bench = Bench::new();
        bench.rule(1, Some(bench.grant(3)));
        let until = bench.grant(3).until;
        clock::until(Some(until - Duration::from_millis(1))).await;
        assert_eq!(bench.desired.borrow().serial, 1);
        clock::until(Some(until)).await;
        bench.says().await;
        bench.report(2, &[]).await;
        // Gone everywhere, but the ruling that was given out is not withdrawn yet.
        assert_eq!(bench.says().await, (nothing(2), Vacancy { serial: 1, vacated: false }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_grant_is_new_permission_under_the_same_ruling() {
        let mut bench = Bench::new();
        bench.rule(1, Some(bench.grant(3)));
        bench.says().await;
        bench.rule(1, Some(bench.grant(4)));
        let held = Desired { serial: 2, vips: Arc::new([(VIP, bench.grant(4))].into()) };
        assert_eq!(bench.says().await, (held, Vacancy { serial: 1, vacated: false }));
        bench.desired.mark_unchanged();
        bench.report(2, &[VIP]).await;
        bench.says().await;
        assert!(!bench.desired.has_changed().unwrap(), "a report alone is no news for announcers");
    }

    #[tokio::test(start_paused = true)]
    async fn service_addresses_are_granted_beside_the_control_planes_and_are_gone_when_the_announcer_says_so()
    {
        let bench = Bench::new();
        let granted = |vips: &[IpAddr]| Arc::new(vips.iter().map(|&vip| (vip, bench.grant(3))).collect());
        // The VIP of the control plane is nobody else's to grant.
        let (some, none) = (granted(&[VIP, WEB]), granted(&[]));
        bench.grants.send_replace(some);
        let (desired, _) = bench.says().await;
        assert_eq!(desired, Desired { serial: 1, vips: granted(&[WEB]) });
        bench.report(1, &[WEB]).await;
        bench.grants.send_replace(Arc::clone(&none));
        let mut gone = vec![bench.remains.borrow().is_gone(&none, WEB)];
        for (applied, present) in [(1, vec![]), (2, vec![WEB]), (2, vec![])] {
            bench.says().await;
            gone.push(bench.remains.borrow().is_gone(&none, WEB));
            bench.report(applied, &present).await;
        }
        bench.says().await;
        gone.push(bench.remains.borrow().is_gone(&none, WEB));
        assert_eq!(gone, [false, false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_announced_as_soon_as_it_need_not_wait_any_more() {
        let bench = Bench::new();
        bench.waiting.send_replace(Arc::new([(WEB, Arc::from([]))].into()));
        bench.grants.send_replace(Arc::new([(WEB, bench.grant(3))].into()));
        let mut announced = vec![bench.says().await.0.vips.len()];
        bench.waiting.send_replace(Arc::default());
        announced.push(bench.says().await.0.vips.len());
        assert_eq!(announced, [0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_granting_has_withdrawn_everything_and_the_core_ends_with_the_last() {
        let mut bench = Bench::new();
        bench.rule(1, Some(bench.grant(3)));
        bench.grants.send_replace(Arc::new([(WEB, bench.grant(3))].into()));
        let mut held = vec![bench.says().await.0.vips.len()];
        drop(std::mem::replace(&mut bench.grants, watch::channel(Arc::default()).0));
        held.push(bench.says().await.0.vips.len());
        assert!(bench.core.try_join_next().is_none());
        drop(std::mem::replace(&mut bench.rulings, watch::channel(Ruling::unknown()).0));
        held.push(bench.says().await.0.vips.len());
        assert_eq!(held, [2, 1, 0]);
        assert!(bench.core.join_next().await.unwrap().is_ok());
    }

    const WEB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 11));
    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
}
