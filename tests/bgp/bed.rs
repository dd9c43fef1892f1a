//! The speaker, a router and the cable between them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use super::net::{self, Net};
use super::plan::Plan;
use super::route::Route;
use super::router::{Brand, Router, Session};
use super::setup::Setup;
use super::speaker::Speaker;
use super::wait::{SOON, wait, wait_equal};

/// All of it. Processes go before their namespaces.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) speaker: Speaker,
    pub(crate) router: Router,
    pub(crate) plan: Plan,
    /// The machine between them.
    _between: Option<Net>,
}

impl Bed {
    /// The router is ready, then the speaker starts.
    pub(crate) fn start(brand: Brand, plan: Plan) -> Self {
        Self::start_with(brand, plan, Speaker::start)
    }

    /// With BIRD in our place.
    pub(crate) fn with_stand_in(brand: Brand, plan: Plan) -> Self {
        Self::start_with(brand, plan, Speaker::stand_in)
    }

    fn start_with(brand: Brand, plan: Plan, speaker: fn(&Net, &Setup) -> Speaker) -> Self {
        let (near, far) = (net::net(), net::net());
        let between = plan.routed.then(net::net);
        match &between {
            None => link(&near, &far),
            Some(between) => links(&near, between, &far),
        }
        let router = Router::start(brand, &far, plan.router.clone());
        let speaker = speaker(&near, &plan.speaker);
        Self { speaker, router, plan, _between: between }
    }

    /// The same, and the router has heard everything.
    pub(crate) fn settled(brand: Brand, plan: Plan) -> Self {
        let bed = Self::start(brand, plan);
        bed.settle();
        bed
    }

    /// Waits until the router knows what it should.
    pub(crate) fn settle(&self) -> Instant {
        self.wait_routes(&self.plan.expected())
    }

    /// Waits until it knows nothing.
    pub(crate) fn wait_nothing(&self) -> Instant {
        self.wait_routes(&BTreeSet::new())
    }

    pub(crate) fn wait_routes(&self, expected: &BTreeSet<Route>) -> Instant {
        wait_equal("the router's routes", expected, || self.router.all_routes())
    }

    /// The speaker as the router has to name it.
    pub(crate) fn speaker_address(&self) -> IpAddr {
        self.plan.router.peers.first().unwrap().address
    }

    /// Waits until a router that shows what it was told last has been told this.
    pub(crate) fn wait_words(&self, brand: Brand, words: &str) {
        match brand {
            Brand::Bird | Brand::Frr => wait("the last word is right", SOON, || {
                self.session().words.to_lowercase().contains(words).then_some(())
            }),
            // Only in their logs, each in its own way.
            Brand::GoBgp | Brand::ExaBgp => {}
        }
    }

    /// The session as the router sees it.
    pub(crate) fn session(&self) -> Session {
        self.router.session(self.speaker_address())
    }

    /// Something that is another for each session.
    pub(crate) fn era(&self) -> String {
        self.router.era(self.speaker_address())
    }

    /// Waits until the speaker has ended it.
    pub(crate) fn wait_given_up(&self) -> Instant {
        let router = self.plan.speaker.peers.first().unwrap().address;
        wait_equal("the session at the speaker", &false, || self.speaker.is_established(router))
    }

    /// Waits for it.
    pub(crate) fn wait_established(&self, established: bool) -> Instant {
        wait_equal("the session", &established, || self.session().established)
    }
}

impl Drop for Bed {
    /// A test that fails shows what everybody said.
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}\n{}", self.router.complaint(), self.speaker.complaint());
        }
    }
}

fn link(speaker: &Net, router: &Net) {
    net::cable((speaker, "eth0"), (router, "eth0"));
    // A router that advertises itself would give it more addresses than the test knows.
    speaker.run(|| std::fs::write("/proc/sys/net/ipv6/conf/eth0/autoconf", "0").unwrap()).unwrap();
    net::addresses(speaker, "eth0", &["10.88.0.2/24", "fd00:88::2/64"]);
    net::addresses(router, "eth0", &["10.88.0.1/24", "fd00:88::1/64"]);
}

fn links(speaker: &Net, between: &Net, router: &Net) {
    net::forward(between);
    net::cable((speaker, "eth0"), (between, "eth0"));
    net::cable((router, "eth0"), (between, "eth1"));
    net::addresses(speaker, "eth0", &["10.88.0.2/24", "fd00:88::2/64"]);
    net::addresses(between, "eth0", &["10.88.0.254/24"]);
    net::addresses(between, "eth1", &["10.89.0.254/24"]);
    net::addresses(router, "eth0", &["10.89.0.1/24"]);
    net::ip(speaker, &["route add default via 10.88.0.254"]);
    net::ip(router, &["route add default via 10.89.0.254"]);
}
