//! SIGTERM to the holder: for how long the client gets no answer.

use std::time::Duration;

use super::TWO_OWNERS;
use crate::Plan;
use crate::figure::Figure;
use crate::rig::Rig;
use vipcast::demo::scenario;

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let mut rig = Rig::start(plan)?;
    let (mut gaps, mut double, mut restarts) = (Vec::new(), 0, 0);
    for run in 1..=plan.runs {
        let outcome = scenario::hand_over(&mut rig.cluster).map_err(anyhow::Error::from);
        let outcome = rig.explain(outcome)?;
        eprintln!(
            "    {run}: {} ms, client late by at most {} ms",
            outcome.gap.as_millis(),
            outcome.client_late.as_millis()
        );
        gaps.push(outcome.gap);
        double += outcome.double_rounds;
        restarts += rig.cluster.unexpected_ends()?.len();
    }
    gaps.sort_unstable();
    let gap =
        |what: &str, gap| Figure::millis(OF, format!("client's gap, {what} of {} runs", gaps.len()), gap);
    Ok(vec![
        gap("median", quantile(&gaps, 50)).at_most(30.0).kube_vip("3.4 s"),
        gap("90th percentile", quantile(&gaps, 90)),
        gap("longest", quantile(&gaps, 100)),
        Figure::count(OF, TWO_OWNERS, double).at_most(0.0),
        Figure::count(OF, "unasked restarts", restarts).at_most(0.0),
    ])
}

/// The smallest that so many percent do not exceed; the upper one of two in the middle.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(rank).copied().unwrap_or_default()
}

const OF: &str = "hand-over (SIGTERM)";
