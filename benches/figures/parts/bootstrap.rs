//! Daemons that start a minute before their API server: how soon the VIP is there, and that nobody restarts.

use std::time::Duration;

use vipcast::clock;

use super::TWO_OWNERS;
use crate::Plan;
use crate::api::GATE;
use crate::figure::Figure;
use crate::rig::Rig;

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let mut rig = Rig::build(plan, &GATE)?;
    rig.api.real.stop_api();
    rig.cluster.start_daemons()?;
    rig.cluster.linger(ABSENT)?;
    let begin = clock::now();
    let ready = rig.api.first_ready(&rig.cluster.lan().api)?;
    rig.api.real.restart_api()?;
    let ready = ready.recv_timeout(PATIENCE)?;
    let up = rig.cluster.wait_answer("anybody holds the VIP", begin, PATIENCE, |_| true);
    let (_, up) = rig.explain(up.map_err(Into::into))?;
    rig.cluster.linger(AFTERMATH)?;
    let double = rig.cluster.sightings(begin, clock::now()).double;
    let restarts = rig.cluster.unexpected_ends()?.len();
    let after = up.saturating_duration_since(ready);
    eprintln!("    ready {:?} after its start, VIP up {:?} after its start", ready - begin, up - begin);
    Ok(vec![
        Figure::millis(OF, "VIP up after /readyz", after).at_most(1000.0),
        Figure::count(OF, "restarts", restarts).at_most(0.0).kube_vip("until it is there"),
        Figure::count(OF, TWO_OWNERS, double).at_most(0.0),
    ])
}

const OF: &str = "bootstrap, API server after 60 s";
const ABSENT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(60);
const AFTERMATH: Duration = Duration::from_secs(3);
