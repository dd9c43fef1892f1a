//! Real routers, each told the same in its own words and asked for the same.

mod bird;
mod exabgp;
mod frr;
mod gobgp;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;

use super::net::{self, Net};
use super::route::Route;
use super::setup::{Family, Setup};
use super::support::{Needs, in_path};
use super::wait::{SOON, wait};

/// Whose program it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Brand {
    Bird,
    Frr,
    GoBgp,
    ExaBgp,
}

impl Brand {
    pub(crate) const ALL: [Self; 4] = [Self::Bird, Self::Frr, Self::GoBgp, Self::ExaBgp];

    /// What it cannot run without.
    pub(crate) fn needs(self) -> Needs {
        match self {
            Self::Bird => Needs::Program("bird"),
            Self::Frr => Needs::Program("/usr/lib/frr/bgpd"),
            Self::GoBgp => Needs::Program("gobgpd"),
            Self::ExaBgp => Needs::Program("exabgp"),
        }
    }
}

impl fmt::Display for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bird => "bird",
            Self::Frr => "frr",
            Self::GoBgp => "gobgp",
            Self::ExaBgp => "exabgp",
        })
    }
}

/// A router in a namespace. Its processes end with it.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) brand: Brand,
    pub(crate) setup: Setup,
    pub(crate) site: Site,
}

/// Where a router lives, and what of it runs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) net: Net,
    directory: WorkDir,
    processes: Vec<Process>,
}

/// A session as the router sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Session {
    pub(crate) established: bool,
    /// In the router's words: the state, and what it says of the last error.
    pub(crate) words: String,
}

impl Router {
    /// Starts it and waits until it can be asked, and listens.
    pub(crate) fn start(brand: Brand, net: &Net, setup: Setup) -> Self {
        let directory = WorkDir::create().unwrap();
        // FRR's daemons are their own user.
        fs::set_permissions(directory.file("."), Permissions::from_mode(0o777)).unwrap();
        let site = Site { net: Net::clone(net), directory, processes: Vec::new() };
        let mut router = Self { brand, setup, site };
        router.run();
        router
    }

    fn run(&mut self) {
        match self.brand {
            Brand::Bird => bird::run(&mut self.site, &self.setup),
            Brand::Frr => frr::run(&mut self.site, &self.setup),
            Brand::GoBgp => gobgp::run(&mut self.site, &self.setup),
            Brand::ExaBgp => exabgp::run(&mut self.site, &self.setup),
        }
        let passive = self.setup.peers.iter().any(|peer| peer.passive);
        wait(&format!("{} answers", self.brand), SOON, || {
            (self.answers() && (!passive || net::listens(&self.site.net, PORT))).then_some(())
        });
    }

    fn answers(&self) -> bool {
        match self.brand {
            Brand::Bird => bird::answers(&self.site),
            Brand::Frr => frr::answers(&self.site, &self.setup),
            Brand::GoBgp => gobgp::answers(&self.site, &self.setup),
            Brand::ExaBgp => true,
        }
    }

    /// What it has heard of this family, from everybody.
    pub(crate) fn routes(&self, family: Family) -> BTreeSet<Route> {
        let routes = match self.brand {
            Brand::Bird => bird::routes(&self.site, &self.setup, family),
            Brand::Frr => frr::routes(&self.site, family),
            Brand::GoBgp => gobgp::routes(&self.site, &self.setup, family),
            Brand::ExaBgp => exabgp::routes(&self.site, family),
        };
        routes.into_iter().map(Route::judged).collect()
    }

    /// What it has heard.
    pub(crate) fn all_routes(&self) -> BTreeSet<Route> {
        let families: BTreeSet<Family> =
            self.setup.peers.iter().flat_map(|peer| peer.families.clone()).collect();
        families.into_iter().flat_map(|family| self.routes(family)).collect()
    }

    /// How many routes it has of a family, without looking at them.
    pub(crate) fn count(&self, family: Family) -> usize {
        match self.brand {
            Brand::Bird => bird::count(&self.site, family),
            Brand::Frr | Brand::GoBgp | Brand::ExaBgp => self.routes(family).len(),
        }
    }

    /// How many sessions are established, and how many routes are known with each counted for every session; BIRD only.
    pub(crate) fn paths(&self) -> (usize, usize) {
        match self.brand {
            Brand::Bird => bird::paths(&self.site),
            Brand::Frr | Brand::GoBgp | Brand::ExaBgp => panic!("not asked of {}", self.brand),
        }
    }

    /// The session with `peer`.
    pub(crate) fn session(&self, peer: IpAddr) -> Session {
        match self.brand {
            Brand::Bird => bird::session(&self.site, &self.setup, peer),
            Brand::Frr => frr::session(&self.site, peer),
            Brand::GoBgp => gobgp::session(&self.site, peer),
            Brand::ExaBgp => exabgp::session(&self.site, peer),
        }
    }

    /// Something that is another for each session with `peer`.
    pub(crate) fn era(&self, peer: IpAddr) -> String {
        match self.brand {
            Brand::Bird => bird::era(&self.site),
            Brand::Frr => frr::era(&self.site, peer),
            Brand::GoBgp => gobgp::era(&self.site, peer),
            Brand::ExaBgp => exabgp::era(&self.site, peer),
        }
    }

    /// UPDATEs, or routes in them, that it has had from `peer` since the session came up; only for comparison.
    pub(crate) fn updates(&self, peer: IpAddr) -> u64 {
        match self.brand {
            Brand::Bird => bird::updates(&self.site, &self.setup, peer),
            Brand::Frr => frr::updates(&self.site, peer),
            Brand::GoBgp => gobgp::updates(&self.site, peer),
            Brand::ExaBgp => exabgp::updates(&self.site),
        }
    }

    /// How many routes it has taken from `peer`; GoBGP only.
    pub(crate) fn accepted(&self, peer: IpAddr) -> u64 {
        match self.brand {
            Brand::GoBgp => gobgp::accepted(&self.site, peer),
            Brand::Bird | Brand::Frr | Brand::ExaBgp => panic!("not asked of {}", self.brand),
        }
    }

    /// How many routes `peer` has announced in its session, anew or again; BIRD only.
    pub(crate) fn announced(&self, peer: IpAddr) -> u64 {
        match self.brand {
            Brand::Bird => bird::announced(&self.site, &self.setup, peer),
            Brand::Frr | Brand::GoBgp | Brand::ExaBgp => panic!("not asked of {}", self.brand),
        }
    }

    /// Whether BFD with `peer` is up; only of those that have it.
    pub(crate) fn bfd_is_up(&self, peer: IpAddr) -> bool {
        match self.brand {
            Brand::Bird => bird::bfd_is_up(&self.site, peer),
            Brand::Frr => frr::bfd_is_up(&self.site, peer),
            Brand::GoBgp | Brand::ExaBgp => false,
        }
    }

    /// Its operator takes BFD with `peer` down, and BGP not.
    pub(crate) fn bfd_admin_down(&self, peer: IpAddr) {
        match self.brand {
            Brand::Bird => bird::bfd_admin_down(&self.site),
            Brand::Frr => frr::bfd_admin_down(&self.site, peer),
            Brand::GoBgp | Brand::ExaBgp => panic!("{} has no BFD", self.brand),
        }
    }

    /// Asks `peer` for its routes of a family once more (RFC 2918).
    pub(crate) fn refresh(&self, peer: IpAddr, family: Family) {
        match self.brand {
            Brand::Bird => bird::refresh(&self.site, &self.setup, peer),
            Brand::Frr => frr::refresh(&self.site, peer, family),
            Brand::GoBgp => panic!("it cannot ask"),
            Brand::ExaBgp => exabgp::refresh(&self.site, family),
        }
    }

    /// Ends the session with `peer` and begins another.
    pub(crate) fn clear(&self, peer: IpAddr) {
        match self.brand {
            Brand::Bird => bird::clear(&self.site, &self.setup, peer),
            Brand::Frr => frr::clear(&self.site, peer),
            Brand::GoBgp => gobgp::clear(&self.site, peer),
            Brand::ExaBgp => exabgp::clear(&self.site, peer),
        }
    }

    /// Ends it in order, and starts it with another configuration.
    pub(crate) fn restart(&mut self, setup: Setup) {
        self.term();
        self.setup = setup;
        self.run();
    }

    /// Starts what [`Self::kill`] has ended.
    pub(crate) fn start_again(&mut self) {
        self.run();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn term(&mut self) {
        for mut process in self.site.processes.drain(..).rev() {
            process.term().unwrap();
            process.wait(SOON).unwrap().expect("it ends");
        }
    }

    /// SIGTERM, and does not wait.
    pub(crate) fn ask_to_end(&mut self) {
        self.site.processes.iter_mut().for_each(|process| process.term().unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.site.processes.clear();
    }

    /// Whether its processes run.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.site.processes.iter_mut().all(|process| matches!(process.exit_status(), Ok(None)))
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&mut self) {
        self.site.processes.iter_mut().for_each(|process| process.stop().unwrap());
    }

    /// SIGCONT.
    pub(crate) fn thaw(&mut self) {
        self.site.processes.iter_mut().for_each(|process| process.cont().unwrap());
    }

    /// Its memory in octets.
    pub(crate) fn resident(&self) -> u64 {
        self.site.processes.iter().map(|process| super::wait::resident(process.pid())).sum()
    }

    /// What it says when a test fails.
    pub(crate) fn complaint(&self) -> String {
        let sessions: Vec<String> =
            self.setup.peers.iter().take(3).map(|peer| self.session(peer.address).words).collect();
        let lines: Vec<String> =
            self.site.processes.iter().flat_map(|process| process.last_lines(15)).collect();
        format!("--- {}: {sessions:?}\n{}", self.brand, lines.join("\n"))
    }
}

impl Site {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        self.directory.write(name, content).unwrap()
    }

    fn spawn(&mut self, program: &str, arguments: &[&str], environment: &[(&str, &str)]) {
        let path = in_path(program).unwrap_or_else(|| program.into());
        let mut command = self.net.command(&path).unwrap();
        command.args(arguments).envs(environment.iter().copied()).current_dir(self.file("."));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let log = self.file(&format!("{name}.log"));
        self.processes.push(Process::spawn(&name, command, &log).unwrap());
    }
}

/// BGP's.
pub(crate) const PORT: u16 = 179;
