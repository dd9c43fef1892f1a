//! Our part in a session: the daemon, or a router that stands in for it to prove the laboratory.

use std::net::IpAddr;

use super::daemon::Daemon;
use super::net::Net;
use super::router::{Brand, Router};
use super::setup::Setup;

/// Who plays our part.
#[derive(Debug)]
pub(crate) enum Speaker {
    Vipcast(Box<Daemon>),
    StandIn(Box<Router>),
}

impl Speaker {
    /// `VIPCAST_BGP_STAND_IN` has BIRD play it.
    pub(crate) fn start(net: &Net, setup: &Setup) -> Self {
        match std::env::var_os("VIPCAST_BGP_STAND_IN") {
            Some(_) => Self::stand_in(net, setup),
            None => Self::Vipcast(Box::new(Daemon::start(net, setup))),
        }
    }

    pub(crate) fn stand_in(net: &Net, setup: &Setup) -> Self {
        Self::StandIn(Box::new(Router::start(Brand::Bird, net, setup.clone())))
    }

    pub(crate) fn net(&self) -> &Net {
        match self {
            Self::Vipcast(daemon) => daemon.net(),
            Self::StandIn(router) => &router.site.net,
        }
    }

    /// Whether it has a session with the router, as it sees it.
    pub(crate) fn is_established(&self, router: IpAddr) -> bool {
        match self {
            Self::Vipcast(daemon) => daemon.is_established(router),
            Self::StandIn(stand_in) => stand_in.session(router).established,
        }
    }

    /// Why the last session with the router, or attempt at one, ended.
    pub(crate) fn last_error(&self, router: IpAddr) -> Option<String> {
        match self {
            Self::Vipcast(daemon) => daemon.last_error(router),
            Self::StandIn(stand_in) => Some(stand_in.session(router).words),
        }
    }

    /// What is configured changes while it runs.
    pub(crate) fn reload(&mut self, setup: &Setup) {
        match self {
            Self::Vipcast(daemon) => daemon.reload(setup),
            Self::StandIn(router) => router.restart(setup.clone()),
        }
    }

    /// It starts again after [`Self::kill`] or [`Self::term`].
    pub(crate) fn start_again(&mut self) {
        match self {
            Self::Vipcast(daemon) => daemon.start_again(),
            Self::StandIn(router) => router.start_again(),
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn term(&mut self) {
        match self {
            Self::Vipcast(daemon) => daemon.term(),
            Self::StandIn(router) => router.term(),
        }
    }

    /// SIGTERM, and does not wait.
    pub(crate) fn ask_to_end(&mut self) {
        match self {
            Self::Vipcast(daemon) => daemon.ask_to_end(),
            Self::StandIn(router) => router.ask_to_end(),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        match self {
            Self::Vipcast(daemon) => daemon.kill(),
            Self::StandIn(router) => router.kill(),
        }
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&mut self) {
        match self {
            Self::Vipcast(daemon) => daemon.freeze(),
            Self::StandIn(router) => router.freeze(),
        }
    }

    /// SIGCONT.
    pub(crate) fn thaw(&mut self) {
        match self {
            Self::Vipcast(daemon) => daemon.thaw(),
            Self::StandIn(router) => router.thaw(),
        }
    }

    /// What the API server beside it answers.
    pub(crate) fn api_is(&mut self, healthy: bool) {
        match self {
            Self::Vipcast(daemon) => daemon.api_is(healthy),
            Self::StandIn(router) if healthy => router.start_again(),
            Self::StandIn(router) => router.term(),
        }
    }

    pub(crate) fn complaint(&self) -> String {
        match self {
            Self::Vipcast(daemon) => daemon.complaint(),
            Self::StandIn(router) => router.complaint(),
        }
    }
}
