//! One node holds everything: its processor, and what it says without being asked.

use std::thread;
use std::time::{Duration, Instant};

use vipcast::clock;

use super::SOME;
use crate::Plan;
use crate::bed::ms;
use crate::figure::Figure;
use crate::panel::Panel;
use crate::rig::Rig;

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start(plan, 1);
    rig.populate(SOME);
    let (some, _) = quiet(&mut rig, plan);
    rig.populate(plan.crowd - SOME);
    let (many, frames) = quiet(&mut rig, plan);
    let most = *frames.iter().max().unwrap();
    let mean = frames.iter().sum::<usize>() as f64 / frames.len() as f64;
    vec![
        Figure::new(OF, "processor, 200 addresses", some, "% of a core")
            .at_most(0.2)
            .kube_vip("kube-vip 16 %"),
        Figure::new(OF, "processor, 10,000 addresses", many, "% of a core")
            .at_most(3.0)
            .kube_vip("kube-vip 35 % for 1,000"),
        Figure::count(OF, "frames in the busiest second, 10,000 addresses", most).at_most(350.0),
        Figure::new(OF, "the same, in relation to the mean", most as f64 / mean, "").at_most(1.5),
    ]
}

/// The share of a processor, and the frames of each second, while nothing happens.
fn quiet(rig: &mut Rig, plan: &Plan) -> (f64, Vec<usize>) {
    rig.answered(&rig.assigned());
    thread::sleep(SETTLING);
    let mut panel = Panel::listen(&rig.bed.lan.observer);
    thread::sleep(ms(100));
    let (begin, before) = (clock::now(), rig.processor_time(0));
    thread::sleep(plan.idle);
    let (span, ran) = (clock::now() - begin, rig.processor_time(0) - before);
    (ran.as_secs_f64() / span.as_secs_f64() * 100.0, by_second(&mut panel, begin, span))
}

fn by_second(panel: &mut Panel, begin: Instant, span: Duration) -> Vec<usize> {
    let mut frames = vec![0; usize::try_from(span.as_secs()).unwrap()];
    for said in panel.said().iter().filter(|said| said.at > begin && said.unasked) {
        let second = usize::try_from((said.at - begin).as_secs()).unwrap();
        if let Some(count) = frames.get_mut(second) {
            *count += 1;
        }
    }
    frames
}

const OF: &str = "one node holds all, nothing happens";
/// The second and third announcements are over by then.
const SETTLING: Duration = Duration::from_secs(20);
