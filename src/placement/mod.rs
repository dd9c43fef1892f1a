//! Which of the wanted Service addresses this node may announce, and until when: one driver for each way to distribute them.
//!
//! | module | this node announces |
//! |---|---|
//! | [`spread`] | its share: each member renews a Lease of its own, which says what it claims |
//! | [`lease`] | all that it can serve, while it holds the one Lease of all Services |
//! | [`lease_per_service`] | that of each Service whose Lease it holds |
//! | [`every_node`] | all that it can serve, always: routers choose among nodes (ECMP) |
//!
//! Each of them is told what is [wanted](Demand), publishes grants, is told what of them [remains](Remains) on the wire
//! where they are withdrawn, and answers [questions](Ask).

pub mod bygone;
pub mod every_node;
pub mod lease;
pub mod lease_per_service;
mod life;
pub mod spread;
mod start;
mod wanted;
mod words;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::Remains;
use vipcast_proto::election::Grant;

pub use life::life;
pub use start::{Parts, start};
pub use words::{Ask, Demand, LEASE, Member, Mode, PerService, PlacementReport, Role, Whereabouts};

use crate::drain::Drain;

/// What this node may announce.
pub type Grants = Arc<BTreeMap<IpAddr, Grant>>;

/// What every driver is connected with.
#[derive(Debug)]
pub struct Wires {
    /// What is wanted. Where its sender is gone, it stays what it was.
    pub demand: mpsc::Receiver<Demand>,
    /// Questions.
    pub asks: mpsc::Receiver<Ask>,
    /// To the core.
    pub grants: watch::Sender<Grants>,
    /// From the core.
    pub remains: watch::Receiver<Remains>,
    /// For those who look.
    pub report: watch::Sender<PlacementReport>,
    /// When everything is to be handed over.
    pub drain: Drain,
    /// For so long at most.
    pub patience: Duration,
}

/// The grants that are published; nothing is published twice.
#[derive(Debug)]
struct Outlet {
    sender: watch::Sender<Grants>,
    published: Grants,
}

impl Outlet {
    fn new(sender: watch::Sender<Grants>) -> Self {
        let published = Arc::clone(&sender.borrow());
        Self { sender, published }
    }

    fn publish(&mut self, grants: BTreeMap<IpAddr, Grant>) {
        if grants != *self.published {
            self.published = Arc::new(grants);
            self.sender.send_replace(Arc::clone(&self.published));
        }
    }
}

/// For as long as this, news is collected before it is reported.
const REPORT_PACE: Duration = Duration::from_millis(250);
