//! One node: the three decision makers, and the part of the kernel that outlives them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use vipcast_proto::advertiser::Advertiser;
use vipcast_proto::election::{self, Elector, Predecessor, Role, Timing};
use vipcast_proto::l2::announcer::{self, Announcer, Config, WireCheck};
use vipcast_proto::standing::{Facts, Rivals};

/// The process. It is replaced as a whole when it is started again.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) elector: Elector,
    core: Advertiser,
    pub(crate) announcer: Announcer,
    /// The announcer's driver waits for the kernel to remove an address.
    pub(crate) dropping: bool,
    pub(crate) stopping: bool,
    /// Grows with every request, so that an answer that comes too late is recognised.
    pub(crate) request: u64,
}

/// A machine on the segment.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) process: Option<Process>,
    /// When the kernel removes the address by itself, in true time.
    pub(crate) address_until: Option<Duration>,
    pub(crate) frozen: bool,
    pub(crate) cut_off: bool,
    pub(crate) unplugged: bool,
    pub(crate) healthy: bool,
    pub(crate) generation: u64,
    pub(crate) wake: u64,
    /// Local seconds per true second.
    rate: f64,
    base: Instant,
}

/// What a process wants from the world, in order.
#[derive(Debug)]
pub(crate) enum Wish {
    Request(election::Action),
    Perform(announcer::Action),
    Exit,
}

impl Process {
    fn new(name: usize, timing: Timing, seed: u64) -> Self {
        let mut core = Advertiser::new([LINK.to_owned()]);
        core.claim([vip()].into());
        Self {
            elector: Elector::new(format!("node{name}"), timing),
            core,
            announcer: Announcer::new(CONFIG, seed),
            dropping: false,
            stopping: false,
            request: 0,
        }
    }

    /// The drivers, as one: every event goes through the elector, the core and the announcer.
    pub(crate) fn elect(&mut self, now: Instant, event: election::Event, early_release: bool) -> Vec<Wish> {
        let mut wishes: Vec<Wish> = self.elector.handle(now, event).map(Wish::Request).into_iter().collect();
        wishes.extend(self.settle(now, early_release));
        wishes
    }

    pub(crate) fn announce(
        &mut self,
        now: Instant,
        event: announcer::Event,
        early_release: bool,
    ) -> Vec<Wish> {
        let actions = self.announcer.handle(now, event);
        self.dropping |= actions.iter().any(|action| matches!(action, announcer::Action::Drop(_)));
        let mut wishes: Vec<Wish> = actions.into_iter().map(Wish::Perform).collect();
        wishes.extend(self.settle(now, early_release));
        wishes
    }

    /// Hands the newest grant down and, while the announcer is not busy, its report up.
    pub(crate) fn settle(&mut self, now: Instant, early_release: bool) -> Vec<Wish> {
        let mut wishes = vec![];
        self.core.grant(self.elector.grant());
        let desired = self.core.desired(now).clone();
        if !self.dropping {
            if desired.serial > self.announcer.report().applied {
                let actions = self.announcer.handle(now, announcer::Event::Desired(desired));
                self.dropping = actions.iter().any(|action| matches!(action, announcer::Action::Drop(_)));
                wishes.extend(actions.into_iter().map(Wish::Perform));
            }
            if !self.dropping {
                self.core.report(LINK, self.announcer.report());
            }
        }
        let vacated = early_release || self.core.is_vacated();
        if self.elector.role() == Role::Leaving && vacated {
            wishes.extend(self.elector.handle(now, election::Event::Vacated).map(Wish::Request));
        }
        if self.elector.is_finished() {
            wishes.push(Wish::Exit);
        }
        wishes
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.elector.deadline().into_iter().chain(self.announcer.deadline()).min()
    }

    pub(crate) fn facts(&self, healthy: bool) -> Facts {
        Facts {
            healthy,
            link_up: true,
            refused: false,
            rivals: Rivals::Present,
            holding: self.elector.role() == Role::Holder,
            stopping: self.stopping,
        }
    }

    pub(crate) fn took_a_hand_over(&self) -> bool {
        self.elector.grant().is_some_and(|grant| grant.predecessor == Predecessor::Left)
    }
}

impl Node {
    pub(crate) fn new(rate: f64, base: Instant) -> Self {
        Self {
            process: None,
            address_until: None,
            frozen: false,
            cut_off: false,
            unplugged: false,
            healthy: true,
            generation: 0,
            wake: 0,
            rate,
            base,
        }
    }

    /// A new life; what an earlier one left in the kernel is swept first.
    pub(crate) fn start(&mut self, name: usize, timing: Timing) {
        self.address_until = None;
        self.frozen = false;
        self.generation += 1;
        self.process = Some(Process::new(name, timing, self.generation * 31 + name as u64));
    }

    pub(crate) fn local(&self, at: Duration) -> Instant {
        self.base + at.mul_f64(self.rate)
    }

    pub(crate) fn global(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.base).div_f64(self.rate)
    }

    pub(crate) fn holds(&self, at: Duration) -> bool {
        self.address_until.is_some_and(|until| at < until)
    }

    /// Able to take the address, if asked.
    pub(crate) fn is_fit(&self) -> bool {
        let runs = self.process.as_ref().is_some_and(|process| !process.stopping);
        runs && !self.frozen && !self.cut_off && !self.unplugged && self.healthy
    }
}

pub(crate) fn vip() -> IpAddr {
    IpAddr::from([192, 0, 2, 100])
}

const LINK: &str = "eth0";

pub(crate) const LIFETIME: Duration = Duration::from_secs(2);

const CONFIG: Config = Config {
    lifetime: LIFETIME,
    refresh: Duration::from_secs(60),
    wire_check: Some(WireCheck {
        probes: 3,
        interval: Duration::from_millis(10),
        wait: Duration::from_millis(10),
        retry: Duration::from_secs(1),
    }),
};
