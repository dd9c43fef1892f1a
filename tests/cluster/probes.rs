//! The client that probes the VIP a thousand times a second, and the observer that asks the wire fifty times a second, where
//! all are on one.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use vipcast::demo::lab::client::Client;
use vipcast::demo::lab::echo::Echo;
use vipcast::demo::lab::lan::{Host, Mac};
use vipcast::demo::lab::observer::Observer;
use vipcast::demo::lab::sightings::Sightings;
use vipcast::demo::lab::trace::Reach;

use super::bed::{Node, VIP, host, number};
use super::command::Script;

/// Both at work, with a responder on each node that says which node it is.
#[derive(Debug)]
pub(crate) struct Probes {
    client: Mutex<Client>,
    /// Where routers lie between, nobody hears who answers ARP.
    observer: Option<Mutex<Observer>>,
    _echoes: Vec<Echo>,
    nodes: Vec<Host>,
}

impl Probes {
    /// Starts them on a LAN that is there.
    pub(crate) fn start(script: &Script, nodes: &[Node]) -> Self {
        let vip: IpAddr = VIP.parse().unwrap();
        let service = SocketAddr::new(vip, ECHO_PORT);
        let nodes: Vec<Host> = nodes.iter().map(|node| existing(script, &host(*node))).collect();
        let echo = |node: &Host| Echo::start(node, service, number(&node.name).unwrap()).unwrap();
        Self {
            client: Mutex::new(Client::start(&existing(script, "client"), service).unwrap()),
            observer: (!script.is_routed())
                .then(|| Mutex::new(Observer::start(&existing(script, "observer"), vip).unwrap())),
            _echoes: nodes.iter().map(echo).collect(),
            nodes,
        }
    }

    /// How the client reached the VIP after `from` and up to `to`; `answerers` are the numbers of nodes.
    pub(crate) fn reach(&self, from: Instant, to: Instant) -> Reach {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).reach(from, to)
    }

    /// The first answer after `from` by a node that `accepted` likes.
    pub(crate) fn first_after(
        &self,
        from: Instant,
        accepted: impl Fn(Node) -> bool,
    ) -> Option<(Node, Instant)> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.first_after(from, accepted).map(|answer| (answer.node, answer.at))
    }

    /// What the observer saw: rounds in which two answered, announcements.
    pub(crate) fn sightings(&self, from: Instant, to: Instant) -> Sightings {
        let observer = self.observer.as_ref().expect("all are on one LAN");
        observer.lock().unwrap_or_else(PoisonError::into_inner).sightings(from, to)
    }

    /// The nodes that answered for the VIP.
    pub(crate) fn owners(&self, from: Instant, to: Instant) -> BTreeSet<Node> {
        self.sightings(from, to).owners.iter().map(|mac| self.node_of(mac)).collect()
    }

    /// The node with this hardware address; a stranger is a failure of the test.
    pub(crate) fn node_of(&self, mac: &Mac) -> Node {
        let node = self.nodes.iter().find(|node| node.mac == *mac);
        number(&node.unwrap_or_else(|| panic!("{mac:02x?} answers for an address of ours")).name).unwrap()
    }

    /// The machine of a node.
    pub(crate) fn host(&self, node: Node) -> &Host {
        &self.nodes[usize::from(node) - 1]
    }
}

/// A machine on the LAN of `tools/cluster`, with the addresses that it gives.
pub(crate) fn existing(script: &Script, name: &str) -> Host {
    let node = number(name);
    let number = match (name, node) {
        (_, Some(node)) => 10 + node,
        ("client", None) => 50,
        ("observer", None) => 60,
        (other, None) => panic!("no host is called {other}"),
    };
    let network = match (script.is_routed(), node) {
        (false, _) => 0,
        (true, Some(node)) => node,
        (true, None) => 50,
    };
    let path = Path::new("/run/netns").join(script.namespace(name));
    let v4 = Ipv4Addr::new(10, 88, network, number);
    // The same digits, which mean something else there.
    let v6: Ipv6Addr = format!("fd00:88:0:{network}::{number}").parse().unwrap();
    Host::existing(name, &path, [2, 0x88, 0, 0, 0, number], v4, v6).unwrap()
}

const ECHO_PORT: u16 = 7007;
