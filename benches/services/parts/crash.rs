//! The owner of twenty addresses is killed, or frozen and thawed again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use vipcast::clock;

use super::stop::{POPULATION, share};
use super::{TWO_OWNERS, longest};
use crate::Plan;
use crate::bed::ms;
use crate::figure::Figure;
use crate::panel::Panel;
use crate::rig::{NODES, Rig};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start(plan, NODES);
    rig.populate(POPULATION);
    let before = rig.answered(&rig.assigned());
    let runs = plan.runs.min(RUNS);
    let killed: Vec<_> = (0..runs).map(|run| crash(&mut rig, &before, run % NODES, Event::Kill)).collect();
    let frozen: Vec<_> = (0..runs).map(|run| crash(&mut rig, &before, run % NODES, Event::Freeze)).collect();
    let mut figures = judge(KILL, &killed, "kube-vip 20.7 to 21.8 s, as long as one watches; MetalLB 1.2 s");
    figures.extend(judge(FREEZE, &frozen, "kube-vip 16.0 to 16.5 s, as long as one watches; MetalLB 6.0 s"));
    figures
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Kill,
    Freeze,
}

struct Seen {
    double: usize,
    longest: Duration,
    /// Until others had all.
    taken: Duration,
}

fn crash(rig: &mut Rig, before: &BTreeMap<IpAddr, usize>, node: usize, event: Event) -> Seen {
    let its = share(before, node);
    let mut panel = Panel::ask(&rig.bed.lan.observer, &its);
    thread::sleep(ms(300));
    let begin = clock::now();
    match event {
        Event::Kill => rig.bed.daemon(node).kill().unwrap(),
        Event::Freeze => rig.bed.daemon(node).stop().unwrap(),
    }
    let all = rig.taken(&mut panel, begin, node, &its);
    let taken = *all.values().max().unwrap() - begin;
    thread::sleep(ms(2000));
    match event {
        Event::Kill => rig.start_daemon(node),
        Event::Freeze => rig.bed.daemon(node).cont().unwrap(),
    }
    rig.restored(before);
    thread::sleep(ms(2000));
    let (double, longest) = panel.double(begin, clock::now());
    eprintln!("    {event:?}: taken after {taken:?}, {double} double rounds");
    Seen { double, longest, taken }
}

fn judge(of: &'static str, seen: &[Seen], others: &'static str) -> Vec<Figure> {
    let double = seen.iter().map(|seen| seen.double).sum();
    let stretch = seen.iter().map(|seen| seen.longest).max().unwrap_or_default();
    let taken: Vec<_> = seen.iter().map(|seen| seen.taken).collect();
    vec![
        Figure::count(of, TWO_OWNERS, double).at_most(0.0).kube_vip(others),
        Figure::millis(of, "longest stretch of them", stretch),
        Figure::millis(of, "all announced by others, latest", longest(&taken)),
    ]
}

const KILL: &str = "kill -9 of the owner of 20 addresses, and its return";
const FREEZE: &str = "SIGSTOP of the owner of 20 addresses, later SIGCONT";
const RUNS: usize = 5;
