//! The API server and its etcd are frozen for fifteen seconds: when the holder lets go, and when the VIP is back.

use std::time::Duration;

use vipcast::clock;

use super::TWO_OWNERS;
use crate::Plan;
use crate::figure::Figure;
use crate::rig::Rig;

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let mut rig = Rig::start(plan)?;
    let mut outages = Vec::new();
    for run in 1..=RUNS {
        let outage = outage(&mut rig);
        let outage = rig.explain(outage)?;
        eprintln!("    {run}: {outage:?}");
        outages.push(outage);
    }
    let longest = |of: fn(&Outage) -> Duration| outages.iter().map(of).max().unwrap_or_default();
    let let_go = Figure::millis(OF, format!("VIP let go, latest of {RUNS}"), longest(|outage| outage.let_go));
    // Judged from the thaw, which is earlier than the first answer: how soon that comes is not the daemon's to decide.
    let back = Figure::millis(OF, "VIP back after the thaw, latest", longest(|outage| outage.back));
    let ready = Figure::millis(OF, "/readyz answered after the thaw, latest", longest(|outage| outage.ready));
    let double = outages.iter().map(|outage| outage.double).sum();
    let restarts = rig.cluster.unexpected_ends()?.len();
    Ok(vec![
        let_go.at_most(5000.0).kube_vip("7.8 s, past its own Lease"),
        back.at_most(1500.0),
        ready,
        Figure::count(OF, TWO_OWNERS, double).at_most(0.0),
        Figure::count(OF, "restarts", restarts).at_most(0.0).kube_vip("one each time"),
    ])
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    let_go: Duration,
    ready: Duration,
    back: Duration,
    double: usize,
}

fn outage(rig: &mut Rig) -> anyhow::Result<Outage> {
    let cluster = &mut rig.cluster;
    cluster.settle()?;
    let begin = clock::now();
    rig.api.real.freeze();
    let outlasted = cluster.linger(FROZEN);
    let thawed = clock::now();
    rig.api.real.thaw();
    outlasted?;
    let ready = rig.api.first_ready(&cluster.lan().api)?.recv_timeout(PATIENCE)?;
    let (_, back) = cluster.wait_answer("anybody holds the VIP again", thawed, PATIENCE, |_| true)?;
    cluster.linger(AFTERMATH)?;
    let last = cluster.reach(begin, thawed).last_answer.unwrap_or(begin);
    Ok(Outage {
        let_go: last - begin,
        ready: ready - thawed,
        back: back - thawed,
        double: cluster.sightings(begin, clock::now()).double,
    })
}

const OF: &str = "API server frozen 15 s";
const RUNS: usize = 3;
const FROZEN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(30);
const AFTERMATH: Duration = Duration::from_secs(3);
