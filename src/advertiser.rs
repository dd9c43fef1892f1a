//! Runs the core: rulings and reports in, what may be announced and what is vacated out.

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::{Advertiser, Desired, Report, Scope};

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

/// Runs until the election and every announcer are gone.
pub async fn run(mut core: Advertiser, mut wires: Wires) {
    loop {
        let ruling = wires.rulings.borrow_and_update().clone();
        core.grant(Scope::ControlPlane, ruling.grant);
        let now = clock::now();
        let desired = core.desired(now).clone();
        let end = desired.vips.values().map(|grant| grant.until).min();
        replace(&wires.desired, desired);
        let vacated = ruling.grant.is_none() && core.is_vacated(Scope::ControlPlane);
        replace(&wires.vacancy, Vacancy { serial: ruling.serial, vacated });
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

fn replace<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|old| {
        let changed = *old != value;
        *old = value;
        changed
    });
}
