//! How much memory Services take, and whether it comes back.

use std::thread;

use super::{SOME, megabytes};
use crate::Plan;
use crate::bed::ms;
use crate::figure::Figure;
use crate::rig::{NODES, Rig};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start(plan, NODES);
    let empty = most(&mut rig);
    rig.populate(SOME);
    let some = settled(&mut rig);
    rig.populate(plan.crowd - SOME);
    let many = settled(&mut rig);
    let mut later = vec![many];
    for generation in 1..=plan.generations {
        replace(&rig, plan.crowd);
        later.push(settled(&mut rig));
        eprintln!("    generation {generation}: {:.1} MB", later[generation]);
    }
    let last = later[plan.generations];
    vec![
        Figure::new(OF, "without Services", empty, "MB"),
        Figure::new(OF, "200 Services", some, "MB")
            .at_most(12.0)
            .kube_vip("kube-vip 71 MB, MetalLB 65 MB and its controller 58 MB"),
        Figure::new(OF, "10,000 Services", many, "MB").at_most(60.0).kube_vip("kube-vip 149 MB for 1,000"),
        Figure::new(
            OF,
            format!("10,000 Services after all were replaced {} times", plan.generations),
            last,
            "MB",
        )
        .at_most(60.0),
        Figure::new(
            OF,
            "growth since the first time",
            (last / later[1.min(plan.generations)] - 1.0) * 100.0,
            "%",
        )
        .at_most(5.0),
    ]
}

/// Each Service is deleted and created again, a thousand at a time; its endpoints stay, as when a manifest is applied anew.
fn replace(rig: &Rig, crowd: usize) {
    for first in (0..crowd).step_by(1000) {
        rig.replace(first..crowd.min(first + 1000));
    }
}

/// Everything is written and announced, and what that took is given back: memory after 5 s, code that does not run after 30.
fn settled(rig: &mut Rig) -> f64 {
    rig.answered(&rig.assigned());
    thread::sleep(ms(40_000));
    most(rig)
}

fn most(rig: &mut Rig) -> f64 {
    let memory: Vec<_> = (0..NODES).map(|node| rig.memory(node)).collect();
    eprintln!("    {memory:?}");
    memory.iter().map(|memory| megabytes(memory.resident)).fold(0.0, f64::max)
}

const OF: &str = "resident memory, most of three nodes";
