//! The API server is restarted; and once more, with a Service gone and nobody able to tell.

use std::thread;

use vipcast::clock;

use super::TWO_OWNERS;
use crate::Plan;
use crate::bed::ms;
use crate::figure::Figure;
use crate::objects::service_path;
use crate::panel::Panel;
use crate::rig::{NODES, Rig, address, name};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start_told(plan, NODES, &DEFAULT_TIMING);
    rig.populate(POPULATION);
    let addresses = rig.assigned();
    rig.answered(&addresses);
    let mut panel = Panel::ask(&rig.bed.lan.observer, &addresses);
    thread::sleep(ms(500));
    let begin = clock::now();
    rig.bed.real.as_mut().unwrap().restart_api().unwrap();
    eprintln!("    the API server was away for {:?}", clock::now() - begin);
    thread::sleep(ms(8000));
    let (unanswered, silence) = panel.silence(begin, clock::now());
    let (double, _) = panel.double(begin, clock::now());
    drop(panel);
    let (forgotten, others) = compacted(&mut rig);
    vec![
        Figure::count(RESTART, "rounds in which an address was not answered for", unanswered)
            .at_most(0.0)
            .kube_vip("kube-vip: all silent for 3.3 to 3.7 s"),
        Figure::millis(RESTART, "longest silence of an address", silence),
        Figure::count(RESTART, TWO_OWNERS, double).at_most(0.0),
        Figure::count(COMPACTED, "addresses that should be gone and are not", forgotten)
            .at_most(0.0)
            .kube_vip("kube-vip: never let go"),
        Figure::count(COMPACTED, "addresses that should be there and are not", others)
            .at_most(0.0)
            .kube_vip("kube-vip: another silent for 28 s"),
    ]
}

/// A Service vanishes while nobody watches, and a new one comes: which addresses are wrong in the end.
fn compacted(rig: &mut Rig) -> (usize, usize) {
    let real = rig.bed.real.as_mut().unwrap();
    real.stop_api();
    real.vanish(&format!("services/specs/default/{}", name(0))).unwrap();
    real.restart_api().unwrap();
    rig.populate(1);
    // Nothing tells that nothing more will happen.
    thread::sleep(ms(10_000));
    assert!(rig.bed.kubernetes().get(&service_path(&name(0))).is_none());
    rig.population -= 1;
    let wanted = rig.assigned();
    let owners = rig.owners(&wanted);
    let stays = !wanted.contains(&address(0)) && !rig.owners(&[address(0)]).is_empty();
    (usize::from(stays), wanted.len() - owners.len())
}

/// A restart takes some seconds, which is what a Lease of five is not made for.
const DEFAULT_TIMING: [(&str, &str); 3] =
    [("vip_leaseduration", "15"), ("vip_renewdeadline", "10"), ("vip_retryperiod", "2")];
const RESTART: &str = "API server restarted, lease timing 15/10/2 s";
const COMPACTED: &str = "watch compacted while a Service vanished";
const POPULATION: usize = 50;
