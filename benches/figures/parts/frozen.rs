//! SIGSTOP to the holder: its kernel loses the VIP without its help.

use std::time::Duration;

use vipcast::demo::promise::{FROZEN_ADDRESS, LEASE_DURATION};
use vipcast::demo::scenario;

use super::TWO_OWNERS;
use crate::Plan;
use crate::figure::Figure;
use crate::rig::Rig;

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let mut rig = Rig::start(plan)?;
    let (mut gone, mut gap, mut double) = (Duration::ZERO, Duration::ZERO, 0);
    for run in 1..=RUNS {
        let outcome = scenario::freeze(&mut rig.cluster).map_err(anyhow::Error::from);
        let outcome = rig.explain(outcome)?;
        // The first figure of that scenario is when the address was gone.
        let after = outcome.figures.first().map(|figure| figure.value).unwrap_or_default();
        eprintln!("    {run}: gone after {} ms, gap {} ms", after.as_millis(), outcome.gap.as_millis());
        anyhow::ensure!(outcome.kept(), "the frozen node did not stay silent: {}", outcome.broken.join("; "));
        gone = gone.max(after);
        gap = gap.max(outcome.gap);
        double += outcome.double_rounds;
    }
    let lease = LEASE_DURATION.as_secs_f64() * 1000.0;
    let address = Figure::millis(OF, format!("VIP gone from its kernel, latest of {RUNS}"), gone);
    Ok(vec![
        address.at_most(FROZEN_ADDRESS.as_secs_f64() * 1000.0).kube_vip("never"),
        Figure::millis(OF, format!("client's gap, longest of {RUNS}"), gap).at_most(lease + 1000.0),
        Figure::count(OF, TWO_OWNERS, double).at_most(0.0).kube_vip("for ever"),
    ])
}

const OF: &str = "frozen process (SIGSTOP)";
const RUNS: usize = 5;
