//! A node and a router on one switch, and the sessions of the node.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use tokio::sync::watch;
use vipcast::bfd::{self, Handle, Hops, Report, Session, SessionConfig, Stats};
use vipcast::clock;
use vipcast::demo::lab::lan::{Host, INTERFACE, Lan};
use vipcast_proto::bfd::session::{Config, Verdict};
use vipcast_proto::bfd::types::{DetectMult, Interval};

/// The node speaks BFD; everything else is up to the test.
pub(crate) struct Bed {
    pub(crate) lan: Lan,
    pub(crate) bfd: Handle,
}

/// How the two talk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    V4,
    V6,
    LinkLocal,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let lan = Lan::build(1).unwrap();
        let bfd = start(&lan.nodes[0]);
        Self { lan, bfd }
    }

    pub(crate) fn node(&self) -> &Host {
        &self.lan.nodes[0]
    }

    pub(crate) fn router(&self) -> &Host {
        &self.lan.api
    }

    /// A session with the router.
    pub(crate) fn session(&self, family: Family, timers: Config) -> Session {
        self.bfd.add(family.session(self.router(), timers)).unwrap()
    }
}

impl Family {
    pub(crate) const ALL: [Self; 3] = [Self::V4, Self::V6, Self::LinkLocal];

    pub(crate) fn of(self, host: &Host) -> IpAddr {
        match self {
            Self::V4 => host.v4.into(),
            Self::V6 => host.v6.into(),
            // Made of the hardware address 02:77:00:00:00:NN.
            Self::LinkLocal => format!("fe80::77:ff:fe00:{:x}", host.mac[5]).parse().unwrap(),
        }
    }

    fn session(self, with: &Host, timers: Config) -> SessionConfig {
        let interface = (self == Self::LinkLocal).then(|| INTERFACE.to_owned());
        SessionConfig { remote: self.of(with), local: None, interface, hops: Hops::Single, timers }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
            Self::LinkLocal => "link_local",
        }
    }
}

/// BFD in the namespace of a host.
pub(crate) fn start(host: &Host) -> Handle {
    host.namespace.run(|| bfd::start(Stats::new()).unwrap()).unwrap()
}

/// The other end of [`Bed::session`], where the router speaks our BFD.
pub(crate) fn towards_the_node(bed: &Bed, family: Family) -> SessionConfig {
    family.session(bed.node(), timers(100, 100, 3))
}

pub(crate) fn timers(tx: u64, rx: u64, detect_mult: u8) -> Config {
    let interval = |ms| Interval::from_duration(Duration::from_millis(ms)).unwrap();
    Config {
        desired_min_tx: interval(tx),
        required_min_rx: interval(rx),
        detect_mult: DetectMult::new(detect_mult).unwrap(),
    }
}

/// Waits until the session is as it should be.
pub(crate) fn wait_report(
    what: &str,
    reports: &watch::Receiver<Report>,
    is: impl Fn(&Report) -> bool,
) -> Report {
    let seen = || Some(*reports.borrow()).filter(&is);
    let told = || format!("{what}: {:?}", *reports.borrow());
    wait(told, SOON, seen)
}

pub(crate) fn wait_up(session: &Session) -> Report {
    wait_report("the session is up", &session.reports(), |report| report.status.verdict == Verdict::Up)
}

/// Asks every millisecond.
pub(crate) fn wait<T>(
    what: impl Fn() -> String,
    patience: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> T {
    let deadline = clock::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(clock::now() < deadline, "in vain for {patience:?}: {}", what());
        sleep(Duration::from_millis(1));
    }
}

pub(crate) const SOON: Duration = Duration::from_secs(10);
