//! Runs the core: rulings and reports in, what may be announced and what is vacated out.

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::{Advertiser, Desired, Report, Scope};

use crate::change::publish;
use crate::clock;
use crate::election::{Ruling, Vacancy};

/// The core's four channels.
#[derive(Debug)]
pub struct Wires {
    /// From the election of the control-plane VIP.
    pub rulings: watch::Receiver<Ruling>,
    /// From the announcers, each under its name.
    pub reports: mpsc::Receiver<(String, Report)>,
    /// To the announcers.
    pub desired: watch::Sender<Desired>,
    /// To the election.
    pub vacancy: watch::Sender<Vacancy>,
}

/// Runs until the election or every announcer is gone.
pub async fn run(mut core: Advertiser, mut wires: Wires) {
    loop {
        let ruling = wires.rulings.borrow_and_update().clone();
        core.grant(Scope::ControlPlane, ruling.grant);
        let now = clock::now();
        let desired = core.desired(now).clone();
        let end = desired.vips.values().map(|grant| grant.until).min();
        publish(&wires.desired, desired);
        let vacated = ruling.grant.is_none() && core.is_vacated(Scope::ControlPlane);
        publish(&wires.vacancy, Vacancy { serial: ruling.serial, vacated });
        tokio::select! {
            changed = wires.rulings.changed() => if changed.is_err() { return },
            report = wires.reports.recv() => match report {
                Some((announcer, report)) => core.report(&announcer, report),
                None => return,
            },
            () = clock::until(end) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use tokio::task::JoinSet;
    use vipcast_proto::advertiser::Owner;
    use vipcast_proto::election::{Grant, Predecessor};

    use super::*;

    struct Bench {
        start: Instant,
        rulings: watch::Sender<Ruling>,
        reports: mpsc::Sender<(String, Report)>,
        desired: watch::Receiver<Desired>,
        vacancy: watch::Receiver<Vacancy>,
        core: JoinSet<()>,
    }

    impl Bench {
        fn new() -> Self {
            let (rulings, ruled) = watch::channel(Ruling::unknown());
            let (reports, reported) = mpsc::channel(4);
            let (desired_out, desired) = watch::channel(Desired::default());
            let (vacancy_out, vacancy) = watch::channel(Vacancy::default());
            let mut advertiser = Advertiser::new(["eth0".to_owned()]);
            advertiser.claim(Owner::ControlPlane, [VIP].into());
            let wires =
                Wires { rulings: ruled, reports: reported, desired: desired_out, vacancy: vacancy_out };
            let mut core = JoinSet::new();
            core.spawn(run(advertiser, wires));
            Self { start: clock::now(), rulings, reports, desired, vacancy, core }
        }

        fn grant(&self, seconds: u64) -> Grant {
            let until = self.start + Duration::from_secs(seconds);
            Grant { until, fence: until + Duration::from_secs(1), predecessor: Predecessor::Left }
        }

        fn rule(&self, serial: u64, grant: Option<Grant>) {
            self.rulings.send_replace(Ruling { serial, grant, ..Ruling::unknown() });
        }

        async fn report(&self, applied: u64, present: &[IpAddr]) {
            let present: BTreeSet<_> = present.iter().copied().collect();
            self.reports.send(("eth0".into(), Report { applied, present })).await.unwrap();
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
    async fn the_core_ends_with_the_election() {
        let mut bench = Bench::new();
        drop(bench.rulings);
        assert!(bench.core.join_next().await.unwrap().is_ok());
    }

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
}
