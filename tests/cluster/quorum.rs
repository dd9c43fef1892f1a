//! etcd without quorum.

use std::time::{Duration, Instant};

use vipcast::clock;

use super::bed::{Bed, SOON, wait};
use super::https::Https;
use super::processes::Process;

/// A minute in which nothing can be written, and what became of the VIP.
#[derive(Debug)]
pub(crate) struct Outage {
    /// From the freeze until no kernel had it any more.
    pub(crate) released: Duration,
    /// From the first `/readyz` after the thaw until the client was answered; nothing if that came first.
    pub(crate) late: Duration,
    /// Containers of ours that were restarted, or processes that are not the same.
    pub(crate) restarts: u64,
    /// Rounds with two owners.
    pub(crate) double: usize,
}

impl Outage {
    /// Freezes etcd on two of three nodes, and thaws it.
    pub(crate) fn cause(bed: &Bed) -> Self {
        let (restarts, daemons) = (bed.restarts(), daemons(bed));
        let begin = clock::now();
        bed.freeze_etcd(&[1, 2]);
        wait("nobody has the VIP", SOON, || bed.in_kernel().is_empty().then_some(()));
        let released = clock::now() - begin;
        std::thread::sleep(WITHOUT_QUORUM.saturating_sub(released));
        let servers = ["10.88.0.11", "10.88.0.12", "10.88.0.13"];
        let servers = servers.map(|address| Https::start(&bed.script, address));
        let thawed = clock::now();
        assert_eq!(servers.iter().find_map(Https::first), None, "an API server is ready without etcd");
        bed.thaw_etcd(&[1, 2]);
        let (_, answered) = bed.wait_answered_by(thawed, SOON, |_| true);
        let firsts = || servers.iter().filter_map(Https::first).min();
        let ready: Instant = wait("an API server is ready", SOON, firsts);
        drop(servers);
        bed.settle();
        let again: u64 = bed.restarts().iter().map(|(node, count)| count - restarts[node]).sum();
        let others = daemons.iter().filter(|process| !process.lives()).count() as u64;
        let double = bed.probes.sightings(begin, clock::now()).double;
        Self {
            released,
            late: answered.saturating_duration_since(ready),
            restarts: again.max(others),
            double,
        }
    }
}

fn daemons(bed: &Bed) -> Vec<Process> {
    bed.nodes().iter().map(|node| bed.daemon(*node)).collect()
}

const WITHOUT_QUORUM: Duration = Duration::from_secs(60);
