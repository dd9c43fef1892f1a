//! What can be measured, and in which cluster.

mod cut;
mod handover;
mod idle;
mod init;
mod join;

use clap::ValueEnum;

use crate::Plan;
use crate::bed::Bed;
use crate::figure::Figure;
use crate::quorum::Outage;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// kubeadm init with vipcast and without
    Init,
    /// Members join; with it the time that the whole cluster takes
    Join,
    /// A manifest is removed, an image replaced, a node drained
    Handover,
    /// The holder is cut off
    Cut,
    /// etcd has no quorum for a minute
    Quorum,
    /// Nothing happens
    Idle,
}

impl Part {
    pub(crate) const ALL: [Self; 6] =
        [Self::Init, Self::Join, Self::Handover, Self::Cut, Self::Quorum, Self::Idle];

    /// Whether it needs a cluster with that timing.
    fn needs(self, timing: &Timing) -> bool {
        match self {
            Self::Init => false,
            Self::Join | Self::Cut => true,
            Self::Handover | Self::Quorum | Self::Idle => timing.lease == FAST.lease,
        }
    }
}

/// How the daemons were told to elect.
#[derive(Debug)]
struct Timing {
    lease: &'static str,
    seconds: u32,
    /// What is measured under that name.
    joins: &'static str,
    cut: &'static str,
    kube_vip_cut: &'static str,
}

/// Everything that the plan names: one cluster for each timing.
pub(crate) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut figures = Vec::new();
    if plan.parts.contains(&Part::Init) {
        figures.extend(told(init::measure(plan)));
    }
    for timing in [FAST, DEFAULT] {
        let wanted = |part: Part| plan.parts.contains(&part) && part.needs(&timing);
        if Part::ALL.into_iter().any(wanted) {
            figures.extend(in_cluster(plan, &timing, wanted));
        }
    }
    figures
}

fn in_cluster(plan: &Plan, timing: &Timing, wanted: impl Fn(Part) -> bool) -> Vec<Figure> {
    let mut figures = Vec::new();
    let (bed, joined) = join::measure(plan, timing);
    if wanted(Part::Join) {
        figures.extend(told(joined));
    }
    if wanted(Part::Handover) {
        figures.extend(told(handover::measure(plan, &bed)));
    }
    if wanted(Part::Cut) {
        figures.extend(told(cut::measure(plan, &bed, timing)));
    }
    if wanted(Part::Quorum) {
        figures.extend(told(quorum(&bed)));
    }
    if wanted(Part::Idle) {
        figures.extend(told(idle::measure(plan, bed)));
    }
    figures
}

fn quorum(bed: &Bed) -> Vec<Figure> {
    let outage = Outage::cause(bed);
    vec![
        Figure::millis(QUORUM, "VIP let go after the freeze", outage.released).at_most(5000.0),
        Figure::millis(QUORUM, "VIP back after /readyz", outage.late).at_most(1500.0),
        Figure::count(QUORUM, "restarts of our containers", outage.restarts as usize)
            .at_most(0.0)
            .kube_vip("exits"),
        Figure::count(QUORUM, TWO_OWNERS, outage.double).at_most(0.0),
    ]
}

fn told(figures: Vec<Figure>) -> Vec<Figure> {
    figures.iter().for_each(|figure| eprintln!("    {figure}"));
    figures
}

/// The one in the middle, the later of two.
fn median<T: Copy + Ord>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

const FAST: Timing = Timing {
    lease: "5/3/1",
    seconds: 5,
    joins: "members join, 5/3/1",
    cut: "holder cut off, 5/3/1",
    kube_vip_cut: "",
};
const DEFAULT: Timing = Timing {
    lease: "15/10/2",
    seconds: 15,
    joins: "members join, 15/10/2",
    cut: "holder cut off, 15/10/2",
    kube_vip_cut: "18.3 s",
};
const TWO_OWNERS: &str = "rounds with two owners";
const QUORUM: &str = "etcd without quorum for 60 s";
