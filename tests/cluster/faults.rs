//! What breaks in a cluster, and what the client sees of it.

use std::time::{Duration, Instant};

use vipcast::clock;

use super::CLUSTER;
use super::bed::{Bed, Cable, Node, SOON, Service, ms, wait};
use super::shared::Shared;
use super::support::{Test, trial};

pub(crate) fn all(cluster: &Shared) -> Vec<Test> {
    let scenario = |name: &str, body: fn(&Bed)| trial(name, CLUSTER, cluster.scenario(body));
    vec![
        scenario("a_killed_kubelet_leaves_the_vip_where_it_is", a_killed_kubelet),
        scenario("a_killed_containerd_leaves_our_process_alive", a_killed_containerd),
        scenario("a_manifest_that_is_removed_hands_over_and_comes_back_as_a_standby", a_removed_manifest),
        scenario("a_killed_container_is_replaced_without_a_second_owner", a_killed_container),
        scenario("a_leader_without_carrier_is_replaced_within_the_lease", |bed| {
            cut_off(bed, Cable::Unplugged)
        }),
        scenario("a_leader_whose_frames_are_lost_is_replaced_within_the_lease", |bed| {
            cut_off(bed, Cable::Lossy)
        }),
    ]
}

fn a_killed_kubelet(bed: &Bed) {
    undisturbed(bed, |bed, holder| bed.kill_service(holder, Service::Kubelet));
}

fn a_killed_containerd(bed: &Bed) {
    undisturbed(bed, |bed, holder| bed.kill_service(holder, Service::Containerd));
}

/// Something that must not concern the VIP at all: same process, same holder, no gap.
pub(crate) fn undisturbed(bed: &Bed, act: impl Fn(&Bed, Node)) {
    let (holder, restarts) = (bed.holder(), bed.restarts());
    let daemon = bed.daemon(holder);
    let begin = clock::now();
    act(bed, holder);
    // Longer than a lease duration: whoever could not renew would have lost it.
    std::thread::sleep(LEASE + ms(2000));
    let reach = tell(bed, "kept", begin);
    assert!(daemon.lives(), "our process has ended");
    assert!(reach <= STILL, "away for {reach:?}");
    bed.settle();
    assert_eq!((bed.holder(), bed.daemon(holder), bed.restarts()), (holder, daemon, restarts));
}

fn a_removed_manifest(bed: &Bed) {
    let holder = bed.holder();
    let begin = clock::now();
    bed.remove_manifest(holder);
    let (_, taken) = bed.wait_answered_by(begin, SOON, |node| node != holder);
    let gap = tell(bed, "manifest removed", begin);
    assert!(gap <= STILL, "away for {gap:?}");
    wait("our process has ended", SOON, || bed.process(holder, "vipcast").is_none().then_some(()));
    bed.restore_manifest(holder);
    bed.settle();
    assert_ne!(bed.holder(), holder);
    assert_eq!(bed.probes.reach(taken, clock::now()).answerers.len(), 1);
}

fn a_killed_container(bed: &Bed) {
    let (holder, before) = (bed.holder(), bed.restarts());
    let begin = clock::now();
    bed.kill_daemon(holder);
    std::thread::sleep(LEASE + ms(1000));
    let gap = tell(bed, "container killed", begin);
    assert!(gap <= LEASE + ms(1000), "away for {gap:?}");
    bed.settle();
    let after = bed.restarts();
    assert_eq!(after[&holder], before[&holder] + 1);
}

fn cut_off(bed: &Bed, cable: Cable) {
    let (holder, before) = (bed.holder(), bed.restarts());
    let begin = clock::now();
    bed.cable(holder, cable);
    let (taker, _) = bed.wait_answered_by(begin, SOON, |node| node != holder);
    let gap = tell(bed, "cut off", begin);
    bed.cable(holder, Cable::Plugged);
    assert!(gap <= LEASE + ms(1000), "away for {gap:?}");
    bed.settle();
    assert_eq!((bed.holder(), bed.restarts()), (taker, before));
    assert_eq!(bed.probes.sightings(begin, clock::now()).double, 0, "two owners");
}

/// Prints the longest gap since `begin` and returns it without what the client itself was late. Never two owners.
pub(crate) fn tell(bed: &Bed, event: &str, begin: Instant) -> Duration {
    let reach = bed.probes.reach(begin, clock::now());
    let sightings = bed.probes.sightings(begin, clock::now());
    eprintln!(
        "{event}: from {:?} to {:?}, gap {:?} (client late by {:?}), {} of {} rounds with two owners",
        reach.before, reach.after, reach.gap, reach.late, sightings.double, sightings.rounds
    );
    assert_eq!(sightings.double, 0, "two owners");
    reach.gap.saturating_sub(reach.late)
}

pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// Two cores carry the whole cluster.
pub(crate) const STILL: Duration = ms(500);
