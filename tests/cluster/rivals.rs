//! From kube-vip's stand-in to vipcast and back, node by node.

use super::CLUSTER;
use super::bed::{Bed, Node, SOON, ms, wait};
use super::rival::{load, replace_elector, replace_vipcast};
use super::shared::Shared;
use super::span::Span;
use super::support::{Test, trial};

pub(crate) fn all(cluster: &Shared) -> Vec<Test> {
    let name = "a_rolling_replacement_of_kube_vip_and_back_has_one_owner_and_a_hand_over_for_each_node";
    vec![trial(name, CLUSTER, cluster.scenario(rolling_replacement))]
}

fn rolling_replacement(bed: &Bed) {
    load(bed);
    roll(bed, "to kube-vip's stand-in", replace_vipcast);
    roll(bed, "to vipcast", replace_elector);
}

/// The VIP of a node that is replaced goes to another, so that it moves as often as there are nodes; once more is permitted.
fn roll(bed: &Bed, what: &str, replace: impl Fn(&Bed, Node)) {
    let span = Span::begin(bed);
    for node in bed.nodes() {
        let holder = bed.holder();
        let step = Span::begin(bed);
        replace(bed, *node);
        wait("the holder of the Lease answers, and nobody else", SOON, || {
            let holder = bed.holder_now()?;
            (bed.owners(ms(500)) == [holder].into() && bed.in_kernel() == [holder].into()).then_some(())
        });
        let seen = step.tell(&format!("  n{node}, held by n{holder}"));
        assert_eq!(seen.double, 0, "two owners while n{node} was replaced");
    }
    let seen = span.tell(what);
    let most = bed.nodes().len() + 1;
    assert_eq!(seen.double, 0, "two owners");
    assert!(seen.hand_overs() <= most, "{} hand-overs: {:?}", seen.hand_overs(), seen.owners);
    assert!(seen.transitions <= most as u64, "the Lease was acquired {} times", seen.transitions);
}
