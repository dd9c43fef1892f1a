//! Three nodes, each on a link of its own to a router, and a client behind it that uses their VIP.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use vipcast::clock;
use vipcast::demo::lab::echo::Echo;

use super::flows::{self, Flows};
use super::net::{self, Net};
use super::plan::{ROUTER_AS, SPEAKER_AS};
use super::router::{Brand, Router};
use super::setup::{Election, Family, Peer, Setup};
use super::speaker::Speaker;
use super::wait::{SOON, ms, wait};

/// Who announces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Who {
    Vipcast,
    Other(Brand),
}

/// How the speakers are told to.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) who: Who,
    /// BFD's interval in milliseconds.
    pub(crate) bfd: Option<u32>,
    pub(crate) hold: u16,
    /// Only the holder announces; the kubeconfig.
    pub(crate) election: Option<PathBuf>,
}

impl Plan {
    pub(crate) fn new(who: Who, bfd: Option<u32>) -> Self {
        // What notices an end is BFD, and never the Hold Time.
        Self { who, bfd, hold: 90, election: None }
    }
}

/// Namespaces and cables.
pub(crate) struct Ground {
    pub(crate) top: Net,
    client: Net,
    nodes: Vec<Net>,
}

/// All of it, with everything that runs in it. Processes go before their namespaces.
pub(crate) struct Rack {
    pub(crate) flows: Flows,
    pub(crate) speakers: Vec<Speaker>,
    pub(crate) router: Router,
    pub(crate) ground: Ground,
    plan: Plan,
    _echoes: Vec<Echo>,
}

impl Ground {
    pub(crate) fn build() -> Self {
        let (top, client) = (net::net(), net::net());
        net::forward(&top);
        // Flows are told apart by their ports, and nothing is sent into a dead link until the routing daemon has noticed.
        for (name, value) in [
            ("fib_multipath_hash_policy", "1"),
            ("conf/all/ignore_routes_with_linkdown", "1"),
            ("conf/default/ignore_routes_with_linkdown", "1"),
        ] {
            top.run(|| std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value).unwrap()).unwrap();
        }
        host(&top, &client, "client", 90);
        let nodes = NODES.map(|number| {
            let node = net::net();
            host(&top, &node, &port(number), number);
            node
        });
        Self { top, client, nodes: nodes.into() }
    }

    pub(crate) fn node(&self, victim: usize) -> &Net {
        &self.nodes[victim]
    }

    /// What comes over the link of a node is lost on both ends from now on, and neither loses its carrier.
    pub(crate) fn cut(&self, victim: usize) {
        lose(&self.top, &port(NODES[victim]));
        lose(&self.nodes[victim], "eth0");
    }

    pub(crate) fn mend(&self, victim: usize) {
        net::nft(&self.nodes[victim], "delete table inet cut");
        net::nft(&self.top, "delete table inet cut");
    }
}

/// `net` gets the network 10.88.`number`.0/24, .2 in it, and its only way out.
pub(crate) fn host(top: &Net, net: &Net, port: &str, number: u8) {
    net::cable((net, "eth0"), (top, port));
    net::addresses(net, "eth0", &[&format!("10.88.{number}.2/24")]);
    net::addresses(top, port, &[&format!("10.88.{number}.1/24")]);
    net::ip(net, &[&format!("route add default via 10.88.{number}.1")]);
}

impl Rack {
    /// Every node that shall announce does, and every flow has found its way.
    pub(crate) fn start(ground: Ground, plan: Plan) -> Self {
        let mut setup = Setup::new(ROUTER_AS, [10, 88, 0, 1], NODES.map(|n| waiting(&plan, n)).into());
        setup.installs = true;
        let router = Router::start(Brand::Bird, &ground.top, setup);
        let speakers = NODES.iter().zip(&ground.nodes).map(|(number, node)| speaker(&plan, node, *number));
        let speakers = speakers.collect();
        let echo = |(number, node): (&u8, &Net)| flows::echo(node, VIP, *number);
        let echoes = NODES.iter().zip(&ground.nodes).map(echo).collect();
        let flows = Flows::start(&ground.client, VIP);
        let rack = Self { flows, speakers, router, ground, plan, _echoes: echoes };
        rack.settle();
        rack
    }

    /// Waits until everybody is there, and BFD has its pace.
    pub(crate) fn settle(&self) {
        wait("every node is there", SOON * 2, || self.is_whole().then_some(()));
        if self.plan.bfd.is_some() {
            let up = |number: &u8| self.router.bfd_is_up([10, 88, *number, 2].into());
            wait("BFD is up", SOON, || NODES.iter().all(up).then_some(()));
        }
        thread::sleep(ms(1500));
    }

    /// Whether the router and its kernel have every path that there should be.
    pub(crate) fn is_whole(&self) -> bool {
        let wanted = if self.plan.election.is_some() { 1 } else { NODES.len() };
        self.paths() == wanted && kernel_paths(&self.ground.top) == wanted
    }

    pub(crate) fn paths(&self) -> usize {
        self.router.count(Family::V4)
    }

    /// The node that answers most flows.
    pub(crate) fn victim(&mut self) -> usize {
        let node = self.flows.favourite();
        NODES.iter().position(|number| *number == node).unwrap()
    }

    /// Of whom the router has heard a path.
    pub(crate) fn announcers(&self) -> Vec<usize> {
        let hops = self.router.routes(Family::V4).into_iter().map(|route| route.next_hop);
        hops.filter_map(|hop| NODES.iter().position(|number| hop == address(*number))).collect()
    }

    /// How long it took until the router had one path less.
    pub(crate) fn wait_gone(&self, begin: Instant) -> Duration {
        while self.paths() == NODES.len() {
            assert!(clock::now() < begin + SOON, "the route stays");
        }
        clock::now() - begin
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        if thread::panicking() {
            let said: Vec<String> = self.speakers.iter().map(Speaker::complaint).collect();
            eprintln!("{}\n{}", self.router.complaint(), said.join("\n"));
        }
    }
}

/// A node as its router has to name it.
pub(crate) fn address_of(node: usize) -> IpAddr {
    address(NODES[node])
}

fn address(number: u8) -> IpAddr {
    [10, 88, number, 2].into()
}

fn speaker(plan: &Plan, node: &Net, number: u8) -> Speaker {
    let mut setup = Setup::new(SPEAKER_AS, [10, 88, number, 2], vec![peer(plan, number, 2, 1, ROUTER_AS)]);
    setup.routes = vec![IpAddr::V4(VIP).into()];
    let election = |kubeconfig: &PathBuf| Election { node: name(number), kubeconfig: kubeconfig.clone() };
    setup.election = plan.election.as_ref().map(election);
    match plan.who {
        Who::Vipcast => Speaker::start(node, &setup),
        // They only announce; somebody else has to hold.
        Who::Other(brand) => {
            net::addresses(node, "lo", &[&format!("{VIP}/32")]);
            Speaker::StandIn(Box::new(Router::start(brand, node, setup)))
        }
    }
}

fn waiting(plan: &Plan, number: u8) -> Peer {
    Peer { passive: true, ..peer(plan, number, 1, 2, SPEAKER_AS) }
}

fn peer(plan: &Plan, number: u8, ours: u8, theirs: u8, remote: u32) -> Peer {
    let at = |host| IpAddr::from([10, 88, number, host]);
    Peer {
        families: [Family::V4].into(),
        bfd: plan.bfd,
        hold: plan.hold,
        ..Peer::new(at(ours), at(theirs), remote)
    }
}

fn lose(net: &Net, interface: &str) {
    let rule = format!("type filter hook prerouting priority -300; iifname \"{interface}\" drop;");
    net::nft(net, &format!("table inet cut {{ chain in {{ {rule} }}; }}"));
}

/// How many next hops the kernel has for the VIP.
fn kernel_paths(net: &Net) -> usize {
    let shown = net::output(net, "ip", &["route", "show", &VIP.to_string()]);
    String::from_utf8_lossy(&shown.stdout).matches("via ").count()
}

fn port(number: u8) -> String {
    format!("node{number}")
}

/// A node as Kubernetes has to name it.
pub(crate) fn name(number: u8) -> String {
    format!("node{number}")
}

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const NODES: [u8; 3] = [1, 2, 3];
