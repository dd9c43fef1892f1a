//! The owner of twenty addresses ends in order, or its node is not to announce any more; and takes its share again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use vipcast::clock;

use super::{TWO_OWNERS, longest, median};
use crate::Plan;
use crate::bed::ms;
use crate::figure::Figure;
use crate::panel::Panel;
use crate::rig::{NODES, Rig};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start(plan, NODES);
    rig.populate(POPULATION);
    let before = rig.answered(&rig.assigned());
    let stopped = (0..plan.runs).map(|run| stop(&mut rig, &before, run % NODES)).collect();
    let drained = (0..plan.runs).map(|run| drain(&rig, &before, run % NODES)).collect();
    judge(STOP, stopped).into_iter().chain(judge(DRAIN, drained)).collect()
}

/// What one move did.
struct Moved {
    /// After how long each address was announced by another.
    taken: Vec<Duration>,
    double: usize,
}

/// Some twenty addresses of a node.
pub(super) fn share(owners: &BTreeMap<IpAddr, usize>, node: usize) -> Vec<IpAddr> {
    let its = owners.iter().filter(|(_, owner)| **owner == node).map(|(&address, _)| address);
    its.take(SHARE).collect()
}

fn stop(rig: &mut Rig, before: &BTreeMap<IpAddr, usize>, node: usize) -> Moved {
    let its = share(before, node);
    let mut panel = Panel::ask(&rig.bed.lan.observer, &its);
    thread::sleep(ms(300));
    let begin = clock::now();
    rig.bed.daemon(node).term().unwrap();
    let taken = taken(rig, &mut panel, begin, node, &its);
    rig.bed.daemon(node).wait(ms(5000)).unwrap().expect("the daemon ends");
    rig.start_daemon(node);
    rig.restored(before);
    thread::sleep(ms(2000));
    Moved { taken, double: panel.double(begin, clock::now()).0 }
}

/// The node is declared broken by whoever looks after nodes.
fn drain(rig: &Rig, before: &BTreeMap<IpAddr, usize>, node: usize) -> Moved {
    let its = share(before, node);
    let mut panel = Panel::ask(&rig.bed.lan.observer, &its);
    thread::sleep(ms(300));
    let begin = taint(rig, node, true);
    let taken = taken(rig, &mut panel, begin, node, &its);
    taint(rig, node, false);
    rig.restored(before);
    thread::sleep(ms(2000));
    Moved { taken, double: panel.double(begin, clock::now()).0 }
}

/// Returns when the API server was told.
fn taint(rig: &Rig, node: usize, out_of_service: bool) -> Instant {
    let path = format!("/api/v1/nodes/{}", rig.bed.lan.nodes[node].name);
    let taint =
        json!({ "key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute" });
    let taints = if out_of_service { json!([taint]) } else { json!([]) };
    rig.bed.kubernetes().change(&path, |object| object["spec"]["taints"] = taints)
}

/// After how long each of these was announced by another than `node`.
fn taken(rig: &Rig, panel: &mut Panel, begin: Instant, node: usize, its: &[IpAddr]) -> Vec<Duration> {
    rig.taken(panel, begin, node, its).into_values().map(|at| at - begin).collect()
}

fn judge(of: &'static str, moves: Vec<Moved>) -> [Figure; 3] {
    let taken: Vec<_> = moves.iter().flat_map(|moved| moved.taken.iter().copied()).collect();
    let lasts: Vec<_> = moves.iter().map(|moved| longest(&moved.taken)).collect();
    lasts.iter().for_each(|last| eprintln!("    {of}: all announced by others after {last:?}"));
    let double = moves.iter().map(|moved| moved.double).sum();
    [
        Figure::millis(of, format!("announced by another, median of {}", taken.len()), median(&taken))
            .at_most(50.0)
            .kube_vip("kube-vip 2.0 to 2.4 s, MetalLB 0.12 s"),
        Figure::millis(of, "all announced by others, latest", longest(&lasts)),
        Figure::count(of, TWO_OWNERS, double).at_most(0.0).kube_vip("MetalLB 0.18 s"),
    ]
}

const STOP: &str = "planned stop of the owner of 20 addresses, and its return";
const DRAIN: &str = "its node is out of service, and back";
/// Of which each of three nodes has about twenty.
pub(super) const POPULATION: usize = 66;
pub(super) const SHARE: usize = 20;
