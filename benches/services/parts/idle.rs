//! What ten thousand Services to which nothing happens cost the API server.

use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use vipcast::allocator;

use crate::Plan;
use crate::audit::Requests;
use crate::figure::Figure;
use crate::rig::{NODES, Rig};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let folder = TempDir::with_prefix("vipcast-services-").unwrap();
    let mut rig = Rig::audited(plan, NODES, folder.path());
    rig.populate(plan.crowd);
    rig.answered(&rig.assigned());
    // Events about addresses that were given go out for a while after they were; with these daemons nothing has happened.
    rig.stop_daemons();
    rig.start_daemons();
    rig.answered(&rig.assigned());
    thread::sleep(SETTLING);
    let requests = rig.requests(plan.idle);
    requests.iter().zip(1..).for_each(|(requests, node)| eprintln!("    node{node}: {requests:?}"));
    let most = |of: fn(&Requests) -> usize| requests.iter().map(of).max().unwrap_or_default();
    let writes: usize = requests.iter().map(|it| it.writes).sum();
    // One node is elected to assign addresses, and renews that Lease as well.
    let periods = plan.idle.as_secs_f64();
    let allocator = periods / allocator::TIMING.retry_period.as_secs_f64();
    // Of each Lease one that begins and one that ends at the edges are counted both.
    let edge = (NODES + 1) as f64 / periods / NODES as f64;
    vec![
        Figure::new(
            OF,
            "writes but those of the Lease of the one that assigns",
            (writes as f64 - allocator) / periods / NODES as f64,
            "a node and retry period",
        )
        .at_most(1.0 + edge)
        .kube_vip("kube-vip 1.1 a second, 123 with a Lease each, for 200 Services"),
        Figure::new(OF, "writes, all", writes as f64 / periods, "a second"),
        Figure::count(OF, "reads that are no watches, most of a node", most(|it| it.reads - it.watches))
            .at_most(0.0)
            .kube_vip("kube-vip 1.2 a second, 181 with a Lease each"),
        Figure::new(
            OF,
            "watches renewed, most of a node",
            most(|it| it.watches) as f64 / periods * 60.0,
            "a minute",
        ),
    ]
}

const OF: &str = "10,000 Services, nothing happens";
const SETTLING: Duration = Duration::from_secs(15);
