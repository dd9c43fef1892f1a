//! The first minutes: kubeadm init with the static pod in place, two joins through the VIP, and the end without a trace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vipcast::clock;

use super::CLUSTER;
use super::bed::{Bed, Node, ms};
use super::https::Https;
use super::support::{Test, on_request, trial};
use super::teardown::traces;

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("the_vip_is_there_from_the_first_readyz_on_and_stays_while_members_join", CLUSTER, || {
            bootstrap(&["--lease", "5/3/1"]);
        }),
        on_request("the_default_timing_of_kube_vip_bootstraps_as_well", CLUSTER, || {
            bootstrap(&["--lease", "15/10/2"]);
        }),
    ]
}

/// Ordinary admin.conf, which has no rights until kubeadm has made its ClusterRoleBinding; nothing edited.
fn bootstrap(options: &[&str]) {
    let bed = Bed::prepare(3, options);
    let before = outside(&bed);
    let ready = Https::start(&bed.script, "10.88.0.11");
    let took = bed.init();
    let ready = ready.first().unwrap();
    let (first, held) = bed.wait_answered_by(clock::now() - took, ms(1), |_| true);
    let late = held.saturating_duration_since(ready);
    eprintln!("init took {took:.1?}; VIP on n{first} {late:?} after the first /readyz");
    assert_eq!(first, 1);
    assert!(late <= FROM_READY, "the VIP came {late:?} after the first /readyz");

    for node in [2, 3] {
        let begin = clock::now();
        let took = bed.join(node);
        let reach = bed.probes.reach(begin, clock::now());
        let sightings = bed.probes.sightings(begin, clock::now());
        eprintln!(
            "join of n{node} took {took:.1?}; longest gap {:?}, client late by {:?}",
            reach.gap, reach.late
        );
        assert_eq!(reach.answerers, BTreeSet::from([1]), "the VIP left its holder while n{node} joined");
        assert!(reach.gap <= STILL + reach.late, "{reach:?}");
        assert_eq!(sightings.double, 0);
    }
    bed.settle();
    let reach = bed.probes.reach(held, clock::now());
    eprintln!("since it came, the VIP was away for {:?} at most", reach.gap);
    assert_eq!((bed.holder(), reach.answerers.clone()), (1, BTreeSet::from([1])), "{reach:?}");
    assert_eq!(bed.restarts(), never_restarted(&[1, 2, 3]));

    let script = bed.script.clone();
    drop(bed);
    assert_eq!(traces(&script), before, "something is left");
    assert!(script.try_run("down", &[]).status.success(), "taking it down twice");
}

/// What had been on this machine before the cluster was there.
pub(crate) fn outside(bed: &Bed) -> BTreeSet<String> {
    let mark = bed.script.namespace("");
    let folder = bed.script.folder().display().to_string();
    let ours =
        |trace: &String| trace.contains(&mark) || trace.contains(&folder) || trace.starts_with("process");
    traces(&bed.script).into_iter().filter(|trace| !ours(trace)).collect()
}

pub(crate) fn never_restarted(nodes: &[Node]) -> BTreeMap<Node, u64> {
    nodes.iter().map(|node| (*node, 0)).collect()
}

/// Two successful probes a second apart, and the first write of the Lease.
pub(crate) const FROM_READY: Duration = ms(3000);
/// What the client's and the nodes' share of two cores may cost while an API server starts beside them.
const STILL: Duration = ms(500);
