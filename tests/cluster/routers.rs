//! What the routers of the racks have heard from their nodes, asked fifty times a second: who announces an address, and since when.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use vipcast::clock;

use super::bed::{Node, SOON, ms, wait};
use super::command::Script;
use super::support::terminal;

/// A thread for each router asks it again and again. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Routers {
    racks: Vec<Rack>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Rack {
    node: Node,
    looks: Arc<Mutex<Vec<Look>>>,
}

/// A question and its answer: so it was at some moment between the two.
#[derive(Debug, Clone, Copy)]
struct Look {
    asked: Instant,
    told: Instant,
    announced: bool,
}

/// A stretch of time.
type Stretch = (Instant, Instant);

impl Routers {
    /// Of a cluster that is there and has routers.
    pub(crate) fn watch(script: &Script, nodes: &[Node], address: Ipv4Addr) -> Self {
        let racks: Vec<Rack> = nodes.iter().map(|node| Rack { node: *node, looks: Arc::default() }).collect();
        let stop = Arc::<AtomicBool>::default();
        let start = |rack: &Rack| {
            let (terminal, looks, stop) =
                (Terminal::of(script, rack.node, address), Arc::clone(&rack.looks), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let look = terminal.look();
                    looks.lock().unwrap_or_else(PoisonError::into_inner).push(look);
                    thread::sleep(PAUSE);
                }
            })
        };
        let threads = racks.iter().map(start).collect();
        Self { racks, stop, threads }
    }

    /// The nodes whose routers have a route to the address from them now.
    pub(crate) fn announcers(&self) -> BTreeSet<Node> {
        let now = |rack: &&Rack| rack.last().announced;
        self.racks.iter().filter(now).map(|rack| rack.node).collect()
    }

    /// The nodes whose routers had one at any time between.
    pub(crate) fn announcers_between(&self, from: Instant, to: Instant) -> BTreeSet<Node> {
        let within = |look: &Look| look.announced && look.told >= from && look.asked <= to;
        let any = |rack: &&Rack| rack.looks().iter().any(within);
        self.racks.iter().filter(any).map(|rack| rack.node).collect()
    }

    /// When the router of a node first said after `from` that it has a route, or has none.
    pub(crate) fn first_after(&self, from: Instant, node: Node, announced: bool) -> Option<Instant> {
        let rack = self.racks.iter().find(|rack| rack.node == node).unwrap();
        rack.looks()
            .iter()
            .find(|look| look.asked >= from && look.announced == announced)
            .map(|look| look.told)
    }

    /// For how long, since `from`, two nodes were surely announcers at the same time; the longest of them all.
    pub(crate) fn together(&self, from: Instant) -> Duration {
        let racks: Vec<Vec<Stretch>> = self.racks.iter().map(|rack| stretches(&rack.looks(), from)).collect();
        let pairs = racks.iter().enumerate().flat_map(|(at, one)| {
            racks
                .iter()
                .skip(at + 1)
                .flat_map(move |other| one.iter().flat_map(move |a| other.iter().map(move |b| (a, b))))
        });
        pairs.map(|(a, b)| overlap(*a, *b)).max().unwrap_or_default()
    }

    /// How many answers there were since `from`, of the router that has given the fewest.
    pub(crate) fn looks(&self, from: Instant) -> usize {
        let count = |rack: &Rack| rack.looks().iter().filter(|look| look.asked >= from).count();
        self.racks.iter().map(count).min().unwrap_or_default()
    }
}

impl Drop for Routers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Rack {
    /// A router that does not answer would show no announcer for ever.
    fn last(&self) -> Look {
        let last = |rack: &Self| rack.looks().last().copied();
        let recent = |look: &Look| clock::now() - look.told < RECENT;
        wait(&format!("the router of n{} answers", self.node), SOON, || last(self).filter(recent))
    }

    fn looks(&self) -> Vec<Look> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// From the first answer that says so to the last question that was answered so.
fn stretches(looks: &[Look], from: Instant) -> Vec<Stretch> {
    let recent: Vec<&Look> = looks.iter().filter(|look| look.asked >= from).collect();
    let runs = recent.chunk_by(|a, b| a.announced == b.announced);
    runs.filter(|run| run[0].announced).map(|run| (run[0].told, run[run.len() - 1].asked)).collect()
}

fn overlap(one: Stretch, other: Stretch) -> Duration {
    one.1.min(other.1).saturating_duration_since(one.0.max(other.0))
}

/// How the router of a rack is asked.
#[derive(Debug)]
struct Terminal {
    brand: Brand,
    socket: PathBuf,
    /// What is asked about.
    address: Ipv4Addr,
    /// The next hop that is the rack's own node.
    hop: String,
}

#[derive(Debug, Clone, Copy)]
enum Brand {
    Bird,
    Frr,
}

impl Terminal {
    /// A router has folders of its own, seen through its first process.
    fn of(script: &Script, node: Node, address: Ipv4Addr) -> Self {
        let file = script.folder().join(format!("rack{node}/init.pid"));
        let root = PathBuf::from(format!("/proc/{}/root", std::fs::read_to_string(file).unwrap().trim()));
        let bird = root.join("run/bird/bird.ctl");
        let (brand, socket) = match bird.exists() {
            true => (Brand::Bird, bird),
            false => (Brand::Frr, root.join("run/frr/bgpd.vty")),
        };
        Self { brand, socket, address, hop: format!("10.88.{node}.{}", 10 + node) }
    }

    fn look(&self) -> Look {
        let asked = clock::now();
        let announced = match self.brand {
            Brand::Bird => self.ask_bird(),
            Brand::Frr => self.ask_frr(),
        };
        let announced = announced.unwrap_or_else(|| panic!("no answer from {}", self.socket.display()));
        Look { asked, told: clock::now(), announced }
    }

    fn ask_bird(&self) -> Option<bool> {
        let said = terminal::bird(&self.socket, &format!("show route for {}/32", self.address))?;
        Some(said.lines().any(|line| line.trim().starts_with(&format!("via {} ", self.hop))))
    }

    fn ask_frr(&self) -> Option<bool> {
        let question = format!("show bgp ipv4 unicast {}/32 json", self.address);
        let said = terminal::frr(&self.socket, &["enable", &question])?;
        let known: Value = serde_json::from_str(&said).ok()?;
        let paths = known["paths"].as_array().into_iter().flatten();
        let mut hops = paths
            .filter(|path| path["removed"] != true)
            .flat_map(|path| path["nexthops"].as_array().into_iter().flatten());
        Some(hops.any(|hop| hop["ip"] == *self.hop))
    }
}

const PAUSE: Duration = ms(20);
const RECENT: Duration = ms(2000);
