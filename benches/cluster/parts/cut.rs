//! The holder's node is cut off, with the carrier and without losing it.

use std::time::Duration;

use super::{TWO_OWNERS, Timing};
use crate::Plan;
use crate::bed::{Bed, Cable, SOON};
use crate::figure::Figure;
use vipcast::clock;

pub(super) fn measure(plan: &Plan, bed: &Bed, timing: &Timing) -> Vec<Figure> {
    let before = bed.restarts();
    let (mut longest, mut double) = (Duration::ZERO, 0);
    for run in 1..=plan.runs {
        for cable in [Cable::Unplugged, Cable::Lossy] {
            let (holder, begin) = (bed.holder(), clock::now());
            bed.cable(holder, cable);
            bed.wait_answered_by(begin, SOON, |node| node != holder);
            let gap = bed.probes.reach(begin, clock::now()).gap;
            bed.cable(holder, Cable::Plugged);
            bed.settle();
            eprintln!("    {run}: {cable:?}, {gap:?}");
            longest = longest.max(gap);
            double += bed.probes.sightings(begin, clock::now()).double;
        }
    }
    let restarts = bed.restarts().iter().map(|(node, count)| count - before[node]).sum::<u64>();
    let bound = f64::from(timing.seconds + 1) * 1000.0;
    let gap = Figure::millis(timing.cut, format!("client's gap, longest of {}", plan.runs * 2), longest);
    vec![
        gap.at_most(bound).kube_vip(timing.kube_vip_cut),
        Figure::count(timing.cut, TWO_OWNERS, double).at_most(0.0),
        Figure::count(timing.cut, "restarts of our containers", restarts as usize).at_most(0.0),
    ]
}
