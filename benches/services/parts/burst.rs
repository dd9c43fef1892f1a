//! Two hundred Services are created at once.

use super::{SOME, longest};
use crate::Plan;
use crate::figure::Figure;
use crate::panel::Panel;
use crate::rig::{NODES, Rig};
use vipcast::clock;

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut last = vec![];
    for run in 1..=plan.runs.min(RUNS) {
        let mut rig = Rig::start(plan, NODES);
        let mut panel = Panel::listen(&rig.bed.lan.observer);
        let begin = clock::now();
        let created = rig.populate(SOME);
        let (announced, _) = rig.announced(&mut panel, begin, SOME);
        eprintln!(
            "    run {run}: created in {:?}, all announced {:?} later",
            created - begin,
            announced.saturating_duration_since(created)
        );
        rig.answered(&rig.assigned());
        last.push(announced.saturating_duration_since(created));
    }
    vec![
        Figure::millis(
            OF,
            format!("all announced after the last was created, latest of {}", last.len()),
            longest(&last),
        )
        .at_most(300.0)
        .kube_vip("kube-vip 4.7 s, 17 to 31 s with a Lease each"),
    ]
}

const OF: &str = "200 Services created at once";
const RUNS: usize = 5;
