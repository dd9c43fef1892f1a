//! The holder is gone without a word, and the Lease alone decides: when another one answers, and never too early.

use std::time::Duration;

use vipcast::clock;
use vipcast::demo::lab::cable::Cable;
use vipcast::demo::promise::LEASE_DURATION;

use super::TWO_OWNERS;
use crate::Plan;
use crate::figure::Figure;
use crate::rig::Rig;

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let mut rig = Rig::start(plan)?;
    let mut figures = Vec::new();
    for way in [Way::Kill, Way::Cable] {
        let mut crashes = Vec::new();
        for run in 1..=RUNS {
            let crash = crash(&mut rig, way);
            let crash = rig.explain(crash)?;
            eprintln!("    {} {run}: {crash:?}", way.title());
            crashes.push(crash);
        }
        figures.extend(judge(way, &crashes));
    }
    Ok(figures)
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Kill,
    Cable,
}

impl Way {
    const fn title(self) -> &'static str {
        match self {
            Self::Kill => "crash (kill -9)",
            Self::Cable => "crash (pulled cable)",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Crash {
    gap: Duration,
    double: usize,
    /// From the last renewal of the one to the acquisition of the other, as both wrote it.
    waited_micros: i64,
}

fn judge(way: Way, crashes: &[Crash]) -> [Figure; 3] {
    let lease = LEASE_DURATION.as_secs_f64() * 1000.0;
    let gap = crashes.iter().map(|crash| crash.gap).max().unwrap_or_default();
    let waited = crashes.iter().map(|crash| crash.waited_micros).min().unwrap_or_default();
    let double = crashes.iter().map(|crash| crash.double).sum();
    let of = way.title();
    let gap = Figure::millis(of, format!("client's gap, longest of {RUNS}"), gap).at_most(lease + 1000.0);
    let waited =
        Figure::new(of, "Lease taken after its last renewal, earliest", waited as f64 / 1000.0, "ms");
    [
        gap.kube_vip("7.8 s"),
        waited.at_least(lease),
        Figure::count(of, TWO_OWNERS, double).at_most(0.0).kube_vip("for ever"),
    ]
}

fn crash(rig: &mut Rig, way: Way) -> anyhow::Result<Crash> {
    let cluster = &mut rig.cluster;
    let holder = cluster.settle()?;
    let begin = clock::now();
    match way {
        Way::Kill => {
            cluster.expect_end(holder);
            cluster.daemon(holder)?.kill()?;
        }
        Way::Cable => cluster.cable(holder, Cable::Unplugged)?,
    }
    // A renewal that was on its way is written by now.
    cluster.linger(ARRIVAL)?;
    let before = rig.api.lease(cluster.lan())?;
    cluster.wait_answer("another node holds the VIP", begin, PATIENCE, |node| node != holder)?;
    let after = rig.api.lease(cluster.lan())?;
    cluster.linger(AFTERMATH)?;
    match way {
        Way::Kill => cluster.restart(holder)?,
        Way::Cable => cluster.cable(holder, Cable::Plugged)?,
    }
    cluster.linger(AFTERMATH)?;
    let end = clock::now();
    Ok(Crash {
        gap: cluster.reach(begin, end).gap,
        double: cluster.sightings(begin, end).double,
        waited_micros: after.acquired - before.renewed,
    })
}

const RUNS: usize = 5;
const ARRIVAL: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(20);
const AFTERMATH: Duration = Duration::from_secs(4);
