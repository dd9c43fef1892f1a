//! Each node on a link of its own to the router of its rack, FRR or BIRD, and the control-plane VIP announced to these by BGP, from
//! `kubeadm init` on: by every healthy node, or by the holder of the Lease alone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use vipcast::clock;
use vipcast::demo::lab::sys::Signal;

use super::bed::{Bed, Cable, Node, SOON, Service, VIP, ms, wait};
use super::bootstrap::{FROM_READY, never_restarted, outside};
use super::faults::{LEASE, STILL};
use super::https::Https;
use super::routed_services::reached_by_all_ways;
use super::routers::Routers;
use super::support::{Needs, Test, on_request, trial};
use super::teardown::traces;

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("routed_without_the_lease", ROUTED, without_the_lease),
        on_request("routed_with_the_lease", ROUTED, with_the_lease),
    ]
}

/// Every healthy node of the control plane announces, and the core shares flows among them.
fn without_the_lease() {
    let bed = Bed::prepare(3, &["--routed", "--bfd", "1000", "--services"]);
    let before = outside(&bed);
    let begin = init(&bed);
    let users = Https::start(&bed.script, VIP);
    for node in [2, 3] {
        let begin = clock::now();
        let took = bed.join(node);
        bed.wait_announcers(&(1..=node).collect());
        let silence = users.silence(begin, clock::now());
        eprintln!("join of n{node} took {took:.1?}; the API was silent for {silence:.1?} at most");
        assert!(silence <= IN_FLIGHT, "nobody answered for {silence:?} while n{node} joined");
    }
    bed.settle();
    assert_eq!(bed.restarts(), never_restarted(&[1, 2, 3]));
    assert_eq!(bed.in_kernel(), BTreeSet::from([1, 2, 3]));

    let loses = |what: &str, node: Node, within: Duration, begin: Instant| {
        let withdrawn =
            wait("the router has no route any more", SOON, || bed.routers().first_after(begin, node, false));
        eprintln!("{what}: withdrawn {:?} later", withdrawn - begin);
        assert!(withdrawn - begin <= within, "{what}: withdrawn only {:?} later", withdrawn - begin);
    };
    let goes_on = |what: &str, begin: Instant, at_most: Duration| {
        bed.settle();
        let silence = users.silence(begin, clock::now());
        eprintln!(
            "{what}: the API was silent for {silence:.1?} at most; all is well after {:.1?}",
            clock::now() - begin
        );
        assert!(silence <= at_most, "{what}: nobody answered for {silence:?}");
    };

    let begin_of_faults = clock::now();
    // Its kubelet would start it again before three probes have failed, or not.
    bed.stop_service(2, Service::Kubelet);
    bed.process(2, "kube-apiserver").unwrap().signal(Signal::Kill);
    loses("API server killed", 2, BY_HEALTH, begin_of_faults);
    bed.start_service(2, Service::Kubelet);
    goes_on("API server killed", begin_of_faults, IN_FLIGHT);
    assert!(bed.daemon(2).lives());

    // Most likely the one that leads etcd.
    let begin_of_cut = clock::now();
    bed.cable(1, Cable::Lossy);
    loses("link cut", 1, BY_BFD, begin_of_cut);
    std::thread::sleep(ms(1000));
    assert_eq!(bed.routers().announcers(), BTreeSet::from([2, 3]));
    bed.cable(1, Cable::Plugged);
    goes_on("link cut", begin_of_cut, LOST);

    let begin_of_kill = clock::now();
    bed.kill_daemon(3);
    loses("our process killed", 3, AT_ONCE, begin_of_kill);
    goes_on("our process killed", begin_of_kill, IN_FLIGHT);
    planned_stop(&bed);
    eprintln!("routers were asked {} times", bed.routers().looks(begin));
    assert!(bed.routers().together(begin) > ms(1000), "several announce, and nobody sees it");
    reached_by_all_ways(&bed);
    bed.settle();

    drop(users);
    let script = bed.script.clone();
    drop(bed);
    assert_eq!(traces(&script), before, "something is left");
}

/// Only the holder announces: no router ever has a route from a second node.
fn with_the_lease() {
    let bed = Bed::prepare(3, &["--routed", "--bfd", "1000", "--elect", "--lease", "5/3/1"]);
    let begin = init(&bed);
    for node in [2, 3] {
        let begin = clock::now();
        let took = bed.join(node);
        let gap = gap(&bed, &format!("join of n{node}, {took:.1?}"), begin);
        assert!(gap <= STILL, "away for {gap:?} while n{node} joined");
        assert_eq!(bed.routers().announcers_between(begin, clock::now()), BTreeSet::from([1]));
    }
    bed.settle();
    assert_eq!(bed.restarts(), never_restarted(&[1, 2, 3]));
    assert_eq!(bed.in_kernel(), BTreeSet::from([1]));

    let holder = planned_stop(&bed);
    assert_ne!(bed.holder(), holder, "it had been stopped");

    let holder = bed.holder();
    let begin_of_cut = clock::now();
    bed.cable(holder, Cable::Lossy);
    bed.wait_answered_by(begin_of_cut, SOON, |node| node != holder);
    let away = gap(&bed, "holder cut off", begin_of_cut);
    bed.cable(holder, Cable::Plugged);
    assert!(away <= LEASE + ms(1000), "away for {away:?}");
    bed.settle();
    assert_ne!(bed.holder(), holder);

    let begin_of_kill = clock::now();
    bed.kill_daemon(bed.holder());
    bed.settle();
    let away = gap(&bed, "our process killed", begin_of_kill);
    assert!(away <= LEASE + ms(1000), "away for {away:?}");

    let routers = bed.routers();
    eprintln!(
        "two announcers for {:?} at most, of {} looks at each router",
        routers.together(begin),
        routers.looks(begin)
    );
    assert_eq!(routers.together(begin), Duration::ZERO, "two announcers");
}

/// `kubeadm init`, in which the VIP is reached through routers. The router of n1 hears of it when the API server is ready, and
/// nobody else's does. Returns when it began.
fn init(bed: &Bed) -> Instant {
    let begin = clock::now();
    let ready = Https::start(&bed.script, "10.88.1.11");
    let took = bed.init();
    let ready = ready.first().unwrap();
    let heard = bed.routers().first_after(begin, 1, true).expect("the router of n1 has a route");
    let (first, answered) = bed.wait_answered_by(begin, ms(1), |_| true);
    let late = answered.saturating_duration_since(ready);
    eprintln!(
        "init took {took:.1?}; the router heard of the VIP {:?} after the first /readyz, and it answered {late:?} after that",
        heard.saturating_duration_since(ready)
    );
    assert_eq!((first, bed.routers().announcers_between(begin, clock::now())), (1, BTreeSet::from([1])));
    assert!(late <= FROM_READY, "the VIP came {late:?} after the first /readyz");
    begin
}

/// The manifest of the node that answers the client is removed and put back; returns which node it was.
fn planned_stop(bed: &Bed) -> Node {
    let begin = clock::now();
    let answers = wait("the VIP answers", SOON, || bed.probes.first_after(begin, |_| true)).0;
    bed.remove_manifest(answers);
    bed.wait_answered_by(begin, SOON, |node| node != answers);
    let gap = gap(bed, "planned stop", begin);
    assert!(gap <= STILL, "away for {gap:?}");
    wait("our process has ended", SOON, || bed.process(answers, "vipcast").is_none().then_some(()));
    assert!(!bed.routers().announcers().contains(&answers));
    bed.restore_manifest(answers);
    bed.settle();
    answers
}

/// Prints the longest gap since `begin` and returns it without what the client itself was late.
fn gap(bed: &Bed, event: &str, begin: Instant) -> Duration {
    let reach = bed.probes.reach(begin, clock::now());
    eprintln!(
        "{event}: from {:?} to {:?}, gap {:?} (client late by {:?}), {} of {} lost",
        reach.before, reach.after, reach.gap, reach.late, reach.lost, reach.sent
    );
    reach.gap.saturating_sub(reach.late)
}

impl Bed {
    /// What the racks' routers have heard.
    fn routers(&self) -> &Routers {
        self.routers.as_ref().expect("the cluster is routed")
    }

    fn wait_announcers(&self, nodes: &BTreeSet<Node>) {
        wait(&format!("{nodes:?} announce"), SOON, || (self.routers().announcers() == *nodes).then_some(()));
    }
}

const ROUTED: &[Needs] =
    &[Needs::Cluster, Needs::Program("bird"), Needs::Program("vtysh"), Needs::Program("/usr/lib/frr/bgpd")];
/// What asks is turned away, and asks again.
const IN_FLIGHT: Duration = ms(3000);
/// What asks waits for two seconds, perhaps more than once.
const LOST: Duration = ms(7500);
/// Three intervals of a second, and what two cores for everything cost. The hold time is nine seconds.
const BY_BFD: Duration = ms(4500);
/// Three probes of the API server in a row have to fail, a second apart.
const BY_HEALTH: Duration = ms(7000);
/// The kernel closes the connection.
const AT_ONCE: Duration = ms(500);
