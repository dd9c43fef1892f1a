//! One machine: a member, and the part of the kernel that outlives it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use vipcast_proto::election::Timing;
use vipcast_proto::placement::{Config, Life, Spread};

/// The process. It is replaced as a whole when it is started again.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) spread: Spread,
    /// Addresses that the kernel is about to remove.
    pub(crate) dropping: BTreeSet<IpAddr>,
    /// Grows with every request, so that an answer that comes too late is recognised.
    pub(crate) request: u64,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    boot: u128,
    pub(crate) process: Option<Process>,
    /// When the kernel removes each address by itself, in true time.
    pub(crate) addresses: BTreeMap<IpAddr, Duration>,
    pub(crate) frozen: bool,
    pub(crate) cut_off: bool,
    pub(crate) drained: bool,
    pub(crate) stopping: bool,
    /// Its watches show nothing before this.
    pub(crate) lags_until: Duration,
    pub(crate) generation: u64,
    pub(crate) wake: u64,
    /// Its watch of Leases: which one it is, when its last event arrives, and whether it broke.
    pub(crate) epoch: u64,
    pub(crate) arrives: Duration,
    pub(crate) broken: bool,
    /// When the last change of Services arrives.
    pub(crate) informed: Duration,
    /// Local seconds per true second.
    rate: f64,
    base: Instant,
}

impl Node {
    pub(crate) fn new(name: String, boot: u128, rate: f64, base: Instant) -> Self {
        Self {
            name,
            boot,
            process: None,
            addresses: BTreeMap::new(),
            frozen: false,
            cut_off: false,
            drained: false,
            stopping: false,
            lags_until: Duration::ZERO,
            generation: 0,
            wake: 0,
            epoch: 0,
            arrives: Duration::ZERO,
            broken: false,
            informed: Duration::ZERO,
            rate,
            base,
        }
    }

    /// A new life; what an earlier one left in the kernel is swept first.
    pub(crate) fn start(&mut self, timing: Timing) {
        self.addresses.clear();
        self.frozen = false;
        self.stopping = false;
        self.generation += 1;
        let config = Config {
            name: self.name.clone(),
            life: Life { boot: self.boot, process: self.generation },
            timing,
            pace: Duration::from_millis(25),
            patience: Duration::from_millis(500),
        };
        self.process = Some(Process { spread: Spread::new(config), dropping: BTreeSet::new(), request: 0 });
    }

    pub(crate) fn local(&self, at: Duration) -> Instant {
        self.base + at.mul_f64(self.rate)
    }

    pub(crate) fn global(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.base).div_f64(self.rate)
    }

    pub(crate) fn holds(&self, address: IpAddr, at: Duration) -> bool {
        self.addresses.get(&address).is_some_and(|&until| at < until)
    }

    /// Able to take addresses, if asked.
    pub(crate) fn is_fit(&self) -> bool {
        self.process.is_some() && !self.stopping && !self.frozen && !self.cut_off && !self.drained
    }
}
