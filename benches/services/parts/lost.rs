//! The cable of a node is cut that has a third of ten thousand addresses, and carries again.

use std::thread;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use vipcast::clock;
use vipcast::demo::lab::cable::Cable;

use crate::Plan;
use crate::bed::ms;
use crate::figure::Figure;
use crate::panel::Panel;
use crate::rig::{NODES, Rig};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start(plan, NODES);
    rig.populate(plan.crowd);
    let addresses = rig.assigned();
    let before = rig.answered(&addresses);
    let its: Vec<_> =
        before.iter().filter(|(_, owner)| **owner == VICTIM).map(|(&address, _)| address).collect();
    let mut panel = Panel::listen(&rig.bed.lan.observer);
    let begin = clock::now();
    let host = &rig.bed.lan.nodes[VICTIM];
    rig.bed.lan.cable(host, Cable::Lossy).unwrap();
    let taken = rig.taken(&mut panel, begin, VICTIM, &its);
    let taken = *taken.values().max().unwrap();
    let ended = past(&rig);
    eprintln!(
        "    {} addresses, announced by others {:?} after the cable was cut, {:?} after the Lease ended",
        its.len(),
        taken - begin,
        taken.saturating_duration_since(ended)
    );
    rig.answered(&addresses);
    let returned = clock::now();
    rig.bed.lan.cable(&rig.bed.lan.nodes[VICTIM], Cable::Plugged).unwrap();
    let after = loop {
        thread::sleep(ms(1000));
        let now = rig.answered(&addresses);
        if now == before || clock::now() > returned + Duration::from_secs(60) {
            break now;
        }
    };
    let moved = addresses.iter().filter(|address| after[*address] != before[*address]).count();
    vec![
        Figure::millis(
            OF,
            format!("all {} announced by others after its member Lease ran out", its.len()),
            taken.saturating_duration_since(ended),
        )
        .at_most(2000.0)
        .kube_vip("kube-vip 5.6 to 8.0 s for 20, from the cut; MetalLB 5.4 s"),
        Figure::millis(OF, "the same after the cable was cut", taken - begin),
        Figure::count(OF, "addresses that are not where they were, after its return", moved).at_most(0.0),
    ]
}

/// When the Lease of the victim ran out, for whoever saw it written.
fn past(rig: &Rig) -> Instant {
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/vipcast-member-{}",
        rig.bed.lan.nodes[VICTIM].name
    );
    let lease = rig.bed.kubernetes().get(&path).unwrap();
    let renewed: Timestamp = lease["spec"]["renewTime"].as_str().unwrap().parse().unwrap();
    let lasts = lease["spec"]["leaseDurationSeconds"].as_i64().unwrap();
    let ago = clock::wall_micros() - renewed.as_microsecond();
    clock::now() - Duration::from_micros(u64::try_from(ago).unwrap())
        + Duration::from_secs(u64::try_from(lasts).unwrap())
}

const VICTIM: usize = 1;
const OF: &str = "node lost with a third of 10,000 addresses";
