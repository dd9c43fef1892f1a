//! The daemons start, and Services with addresses are there.

use std::thread;
use std::time::{Duration, Instant};

use vipcast::clock;

use super::{SOME, longest};
use crate::Plan;
use crate::bed::ms;
use crate::collector::Collector;
use crate::figure::Figure;
use crate::panel::Panel;
use crate::rig::{NODES, Rig};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start(plan, NODES);
    rig.populate(SOME);
    let some = (0..plan.runs.min(RUNS)).map(|_| restarted(&mut rig).0).collect::<Vec<_>>();
    rig.populate(plan.crowd - SOME);
    let begin = clock::now();
    rig.assigned();
    eprintln!("    all had an address {:?} after the last was created", clock::now() - begin);
    let (whole, listed) = restarted(&mut rig);
    eprintln!("    {} announced {whole:?} after the start, {listed:?} after the list", plan.crowd);
    let routes = routes(&mut rig);
    let figures = [
        Figure::millis(
            "200 Services present at the start",
            format!("all announced, latest of {}", some.len()),
            longest(&some),
        )
        .at_most(1000.0)
        .kube_vip("kube-vip with a Lease each: some never"),
        Figure::millis(MANY, "all announced by ARP after the last node had its list", listed)
            .at_most(5000.0)
            .kube_vip("kube-vip 1,000 in 3.7 s on one node"),
        Figure::millis(MANY, "all announced by ARP after the start", whole),
        Figure::millis(MANY, "all announced to a router by BGP, everyNode, after the list", routes)
            .at_most(5000.0),
    ];
    figures.into()
}

/// All stop and start at once: after how long each address was announced, and after the last of them had its list.
fn restarted(rig: &mut Rig) -> (Duration, Duration) {
    let addresses = rig.assigned();
    rig.answered(&addresses);
    rig.stop_daemons();
    let before = lists(rig);
    let mut panel = Panel::listen(&rig.bed.lan.observer);
    let begin = clock::now();
    rig.start_daemons();
    let listed = wait_listed(rig, before + rig.nodes());
    let (last, _) = rig.announced(&mut panel, begin, addresses.len());
    rig.answered(&addresses);
    (last - begin, last.saturating_duration_since(listed))
}

fn wait_listed(rig: &Rig, count: usize) -> Instant {
    while lists(rig) < count {
        thread::sleep(ms(3));
    }
    clock::now()
}

fn lists(rig: &Rig) -> usize {
    (0..rig.nodes()).map(|node| rig.said(node, "Services are known")).sum()
}

/// After how long a router had all routes of a node that starts.
fn routes(rig: &mut Rig) -> Duration {
    rig.stop_daemons();
    let collector = Collector::listen(&rig.bed.lan.api);
    for (name, value) in [
        ("vip_arp", ""),
        ("bgp_enable", "true"),
        ("bgp_as", "65001"),
        ("bgp_peeraddress", "10.77.0.2"),
        ("bgp_peeras", "65000"),
        ("bgp_routerid", "10.77.0.11"),
        ("vipcast_services_distribution", "everyNode"),
    ] {
        rig.set(name, value);
    }
    let before = lists(rig);
    rig.start_daemon(0);
    let listed = wait_listed(rig, before + 1);
    let done = collector.wait(rig.population);
    rig.bed.terminate(0);
    done.saturating_duration_since(listed)
}

const MANY: &str = "10,000 Services present at the start";
const RUNS: usize = 5;
