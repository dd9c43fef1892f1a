//! The cluster is made: how long that takes, and what the VIP does while members join.

use super::{TWO_OWNERS, Timing};
use crate::Plan;
use crate::bed::{Bed, SOON};
use crate::figure::Figure;
use vipcast::clock;

pub(super) fn measure(plan: &Plan, timing: &Timing) -> (Bed, Vec<Figure>) {
    let begin = clock::now();
    let bed = Bed::prepare(3, &["--lease", timing.lease, "--binary", &plan.daemon]);
    bed.init();
    let (holder, joining) = bed.wait_answered_by(begin, SOON, |_| true);
    bed.join(2);
    bed.join(3);
    let joined = clock::now();
    bed.settle();
    let took = clock::now() - begin;
    let reach = bed.probes.reach(joining, joined);
    let sightings = bed.probes.sightings(joining, joined);
    let restarts: u64 = bed.restarts().values().sum();
    let left = reach.answerers.iter().filter(|node| **node != holder).count();
    let of = timing.joins;
    let figures = vec![
        Figure::count(of, "nodes to which the VIP went", left).at_most(0.0).kube_vip("0 at 15/10/2"),
        Figure::millis(of, "client's gap, longest", reach.gap),
        Figure::millis(of, "of that the client itself was late, at most", reach.late),
        Figure::count(of, TWO_OWNERS, sightings.double).at_most(0.0),
        Figure::count(of, "restarts of our containers", restarts as usize).at_most(0.0),
        Figure::new(of, "whole test bed from cached binaries, settled", took.as_secs_f64(), "s")
            .at_most(150.0),
    ];
    (bed, figures)
}
