//! A real API server that freezes for fifteen seconds: who has rivals lets go in time, who is alone holds on.

use vipcast::clock;

use super::REAL;
use super::bed::{Bed, SLACK, SOON, VIP, ms, throughout, wait};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("outage::with_rivals_the_vip_is_let_go_with_the_grant_and_soon_back", REAL, with_rivals),
        trial("outage::the_only_control_plane_node_holds_on", REAL, alone),
    ]
}

fn with_rivals() {
    let mut bed = Bed::real(2);
    bed.start(0, &[]);
    bed.wait_held(0);
    bed.start(1, &[]);
    bed.wait_standby(1);
    let pids = [0, 1].map(|node| bed.daemon(node).pid());
    let frozen = clock::now();
    bed.freeze_api();
    let gone = bed.wait_gone(0, VIP, SOON) - frozen;
    assert!(gone > ms(1900) && gone < ms(3500), "{gone:?}");
    throughout(ms(15_000).saturating_sub(clock::now() - frozen), || {
        assert!(!bed.has(0, VIP) && !bed.has(1, VIP), "nobody may take it");
    });
    bed.thaw_api();
    let thawed = clock::now();
    let back =
        wait("somebody holds it again", SOON, || (bed.has(0, VIP) || bed.has(1, VIP)).then(clock::now))
            - thawed;
    assert!(back < ms(1500) + SLACK, "{back:?}");
    for node in [0, 1] {
        assert_eq!(bed.daemon(node).exit_status().unwrap(), None);
    }
    assert_eq!(pids, [0, 1].map(|node| bed.daemon(node).pid()));
}

fn alone() {
    let mut bed = Bed::real(1);
    bed.start(0, &[]);
    bed.wait_held(0);
    // The list of Nodes and a first renewal must have been seen.
    throughout(ms(2000), || assert!(bed.has(0, VIP)));
    bed.freeze_api();
    throughout(ms(15_000), || assert!(bed.has(0, VIP), "nobody else can have it"));
    bed.thaw_api();
    throughout(ms(3000), || assert!(bed.has(0, VIP)));
    assert_eq!(bed.daemon(0).exit_status().unwrap(), None);
}
