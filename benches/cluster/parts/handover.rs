//! The VIP goes in order: its holder's manifest is removed, or the image in it replaced. Of a drained node it does not go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{TWO_OWNERS, median};
use crate::Plan;
use crate::bed::{Bed, Node, SOON, host, ms};
use crate::figure::Figure;
use crate::image::Image;
use vipcast::clock;

pub(super) fn measure(plan: &Plan, bed: &Bed) -> Vec<Figure> {
    let images = ["one", "other"].map(|tag| Image::load(&bed.script, bed.nodes(), &plan.daemon, tag));
    // A node whose image is replaced twice gets another one each time.
    let mut replaced = BTreeMap::<Node, usize>::new();
    let replace = |holder: Node| {
        let count = replaced.entry(holder).or_default();
        images[*count % 2].put(bed, holder);
        *count += 1;
    };
    [
        gaps(
            plan,
            bed,
            "manifest removed",
            |holder| bed.remove_manifest(holder),
            |begin, holder| {
                bed.wait_answered_by(begin, SOON, |node| node != holder);
                std::thread::sleep(ms(2000));
                bed.restore_manifest(holder);
            },
        ),
        gaps(plan, bed, "image replaced", replace, |_, _| {}),
        gaps(
            plan,
            bed,
            "node drained",
            |holder| drain(bed, holder),
            |_, holder| {
                bed.kubectl(&["uncordon", &host(holder)]);
            },
        ),
    ]
    .concat()
}

fn drain(bed: &Bed, holder: Node) {
    bed.kubectl(&["drain", &host(holder), "--ignore-daemonsets", "--force", "--timeout=60s"]);
}

/// The longest gap from the deed until all has settled, of each run.
fn gaps(
    plan: &Plan,
    bed: &Bed,
    of: &'static str,
    mut deed: impl FnMut(Node),
    undo: impl Fn(Instant, Node),
) -> Vec<Figure> {
    let (mut gaps, mut double): (Vec<Duration>, usize) = (Vec::new(), 0);
    for run in 1..=plan.runs {
        let (holder, begin) = (bed.holder(), clock::now());
        deed(holder);
        undo(begin, holder);
        bed.settle();
        let reach = bed.probes.reach(begin, clock::now());
        eprintln!("    {of} {run}: {:?}, client late by {:?}", reach.gap, reach.late);
        gaps.push(reach.gap);
        double += bed.probes.sightings(begin, clock::now()).double;
    }
    let longest = gaps.iter().copied().max().unwrap();
    vec![
        Figure::millis(of, format!("client's gap, median of {}", plan.runs), median(&gaps))
            .at_most(30.0)
            .kube_vip("1.2 s"),
        Figure::millis(of, "client's gap, longest", longest),
        Figure::count(of, TWO_OWNERS, double).at_most(0.0),
    ]
}
