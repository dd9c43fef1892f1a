//! Nothing happens: what our pods cost their nodes.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::api::Api;
use crate::bed::{Bed, Cleanup, SOON, host, number, wait};
use crate::figure::Figure;
use crate::processes::{self, Process};
use vipcast::clock;

/// Without client and observer: who asks for the VIP fifty times a second wakes everybody on the LAN.
pub(super) fn measure(plan: &Plan, bed: Bed) -> Vec<Figure> {
    let nodes = bed.nodes().to_vec();
    let Cleanup(script) = &bed.leave();
    let api = Api::new(script, &nodes);
    let of = |node: &u8| processes::in_pods(&script.namespace(&host(*node)), "vipcast").remove(0);
    let daemons: Vec<Process> = nodes.iter().map(of).collect();
    let holder = || number(api.lease()?["spec"]["holderIdentity"].as_str()?);
    let holder = wait("the Lease has a holder", SOON, holder);
    std::thread::sleep(SETTLING);
    let before: Vec<Sample> = daemons.iter().map(Sample::take).collect();
    std::thread::sleep(plan.idle);
    let costs = daemons.iter().zip(before).map(|(daemon, before)| before.until(&Sample::take(daemon)));
    nodes.iter().zip(costs).flat_map(|(node, cost)| cost.judge(*node == holder)).collect()
}

#[derive(Debug)]
struct Sample {
    at: Instant,
    ran: Duration,
    resident: u64,
}

impl Sample {
    fn take(daemon: &Process) -> Self {
        Self { at: clock::now(), ran: daemon.processor_time(), resident: daemon.resident() }
    }

    fn until(&self, end: &Self) -> Cost {
        let percent = (end.ran - self.ran).as_secs_f64() / (end.at - self.at).as_secs_f64() * 100.0;
        Cost { percent, megabytes: end.resident as f64 / 1e6 }
    }
}

/// What one pod cost.
#[derive(Debug)]
struct Cost {
    percent: f64,
    megabytes: f64,
}

impl Cost {
    fn judge(&self, holds: bool) -> [Figure; 2] {
        let of = if holds { "our pod idle, holding" } else { "our pod idle, standing by" };
        [
            Figure::new(of, "resident memory, VmRSS", self.megabytes, "MB").at_most(10.0).kube_vip("45 MB"),
            Figure::new(of, "processor", self.percent, "% of a core").at_most(0.1),
        ]
    }
}

const SETTLING: Duration = Duration::from_secs(15);
