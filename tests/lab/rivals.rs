//! Others on the same Lease: a twin with our own name, and a candidate of another program.

use vipcast::clock;
use vipcast::demo::lab::observer::Observer;

use super::LAN;
use super::bed::{Bed, SLACK, VIP, ms, throughout, wait};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("rivals::two_daemons_with_one_node_name_never_both_hold", LAN, twin),
        trial("rivals::a_foreign_holder_is_respected_for_as_long_as_it_renews", LAN, foreign),
    ]
}

fn twin() {
    let mut bed = Bed::embedded(2);
    let mut observer = Observer::start(&bed.lan.observer, VIP.parse().unwrap()).unwrap();
    let begin = clock::now();
    let name = [("vip_nodename", "twin")];
    bed.start(0, &name);
    bed.start(1, &name);
    wait("one of them holds", ms(15_000), || (bed.has(0, VIP) || bed.has(1, VIP)).then_some(()));
    throughout(ms(7000), || ());
    throughout(ms(1000), || {
        assert!(holding(&bed).len() < 2, "a twin's record is not one's own");
    });
    let holder = usize::from(bed.has(1, VIP));
    bed.daemon(holder).kill().unwrap();
    bed.wait_held(1 - holder);
    throughout(ms(2000), || ());
    let seen = observer.sightings(begin, clock::now());
    assert!(seen.answered > 100 && seen.double == 0, "{seen:?}");
}

/// Those who say that the Lease is theirs.
fn holding(bed: &Bed) -> Vec<usize> {
    let holds = |node: &usize| bed.status(*node)["scopes"][0]["state"] == "holding";
    [0, 1].into_iter().filter(holds).collect()
}

fn foreign() {
    let mut bed = Bed::embedded(1);
    bed.kubernetes().write_lease("foreign", 3);
    bed.start(0, &[]);
    for _ in 0..8 {
        bed.kubernetes().write_lease("foreign", 3);
        throughout(ms(1000), || assert!(!bed.has(0, VIP)));
    }
    bed.wait_standby(0);
    bed.kubernetes().write_lease("foreign", 3);
    let last = clock::now();
    let taken = bed.wait_held(0) - last;
    // A hair less than three seconds: `last` is taken after the answer, the standby counts from the watch.
    assert!(taken > ms(2950) && taken < ms(4500) + SLACK, "{taken:?}");
    let lease = bed.kubernetes().lease().unwrap();
    assert_eq!((&lease["holderIdentity"], &lease["leaseTransitions"]), (&"node1".into(), &4.into()));
}
