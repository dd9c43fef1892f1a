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
    rig.populate(MORE - SOME);
    rig.replace(0..MORE);
    let first = settled(&mut rig);
    for _ in 1..plan.generations {
        rig.replace(0..MORE);
        rig.answered(&rig.assigned());
    }
    let last = settled(&mut rig);
    rig.populate(plan.crowd.saturating_sub(MORE));
    let many = settled(&mut rig);
    let growth = (last / first - 1.0) * 100.0;
    vec![
        Figure::new(OF, "without Services", empty, "MB"),
        Figure::new(OF, "200 Services", some, "MB")
            .at_most(12.0)
            .kube_vip("kube-vip 71 MB, MetalLB 65 MB and its controller 58 MB"),
        Figure::new(OF, "10,000 Services", many, "MB").at_most(60.0).kube_vip("kube-vip 149 MB for 1,000"),
        Figure::new(OF, "1,000 Services after all were deleted and created again", first, "MB"),
        Figure::new(OF, format!("growth of it after {} such generations", plan.generations), growth, "%")
            .at_most(5.0),
    ]
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

/// Those that come and go; of ten thousand, each generation would take the API server a quarter of an hour.
const MORE: usize = 1_000;
const OF: &str = "resident memory, most of three nodes";
