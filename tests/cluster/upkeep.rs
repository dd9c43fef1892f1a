//! What administrators do to a cluster, and what its control plane does by itself, beside a VIP that nobody should miss.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use vipcast::clock;

use super::CLUSTER;
use super::bed::{Bed, Node, SOON, VIP, VIPCAST, host, ms, wait};
use super::faults::{LEASE, STILL, tell, undisturbed};
use super::https::Https;
use super::image::Image;
use super::quorum::Outage;
use super::shared::Shared;
use super::support::{Test, trial};

/// The node that is reset comes last but one: what follows has a member that joined twice.
pub(crate) fn all(cluster: &Shared) -> Vec<Test> {
    let scenario = |name: &str, body: fn(&Bed)| trial(name, CLUSTER, cluster.scenario(body));
    vec![
        scenario("a_drained_node_keeps_the_vip", a_drained_node),
        scenario("renewed_certificates_are_used_without_a_restart", renewed_certificates),
        scenario("an_image_is_replaced_node_by_node_without_a_second_owner", a_replaced_image),
        scenario("a_killed_api_server_on_the_holder_is_survived", a_killed_api_server),
        scenario("an_api_server_that_stays_away_sends_the_vip_elsewhere", an_absent_api_server),
        scenario("a_first_node_that_is_reset_is_replaced_and_joins_again", a_reset_first_node),
        scenario("a_minute_without_quorum_costs_the_vip_and_no_container", a_minute_without_quorum),
    ]
}

fn a_drained_node(bed: &Bed) {
    let node = bed.holder();
    let pause = bed.exec(node, &["bash", "-c", "ctr -n k8s.io images ls -q | grep -m1 /pause:"]);
    // What drain must take away, so that it is seen to have drained.
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "evicted", "namespace": "default" },
        "spec": {
            "nodeName": host(node), "hostNetwork": true, "terminationGracePeriodSeconds": 1,
            "containers": [{ "name": "pause", "image": pause.trim() }],
        },
    });
    bed.api.send("POST", "/api/v1/namespaces/default/pods", &pod).unwrap();
    let phase = || Some(bed.api.get(EVICTED)?["status"]["phase"].clone());
    wait("the other pod runs", SOON, || phase().filter(|phase| phase == "Running"));
    undisturbed(bed, |bed, node| {
        bed.kubectl(&["drain", &host(node), "--ignore-daemonsets", "--force", "--timeout=60s"]);
        assert_eq!(phase(), None, "drain has left the other pod");
        bed.kubectl(&["uncordon", &host(node)]);
    });
}

fn renewed_certificates(bed: &Bed) {
    let renewals = |node: Node| bed.log(node).matches("API clients renewed").count();
    undisturbed(bed, |bed, holder| {
        for node in bed.nodes() {
            let (before, old) = (renewals(*node), admin_certificate(bed, *node));
            bed.exec(*node, &["kubeadm", "certs", "renew", "all"]);
            assert_ne!(admin_certificate(bed, *node), old, "kubeadm has renewed nothing");
            wait("the daemon has read the new credentials", ms(15_000), || {
                (renewals(*node) > before).then_some(())
            });
        }
        // By the new connection the Lease is renewed, or standing by would end.
        let renewed = || bed.api.lease().map(|lease| lease["spec"]["renewTime"].clone());
        let before = wait("the Lease can be read", SOON, renewed);
        wait("the Lease is renewed", LEASE, || renewed().filter(|now| *now != before));
        assert_eq!(bed.holder(), holder);
    });
}

fn a_replaced_image(bed: &Bed) {
    let image = Image::load(&bed.script, bed.nodes(), VIPCAST, "next");
    let begin = clock::now();
    let (mut holder, mut moves) = (bed.holder(), 0);
    for node in bed.nodes() {
        let begin = clock::now();
        image.put(bed, *node);
        bed.settle();
        let gap = tell(bed, &format!("image replaced on n{node}"), begin);
        assert!(gap <= STILL, "away for {gap:?}");
        moves += u32::from(bed.holder() != holder);
        holder = bed.holder();
    }
    assert!((1..=3).contains(&moves), "{moves} hand-overs");
    assert!(bed.restarts().values().all(|count| *count == 0), "{:?}", bed.restarts());
    let image_of = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    let images: BTreeSet<String> = bed.api.pods().unwrap().iter().map(image_of).collect();
    assert_eq!(images, BTreeSet::from([image.reference]));
    assert_eq!(bed.probes.sightings(begin, clock::now()).double, 0, "two owners");
}

/// It may stay if the server is back before the health gate closes, or go in order.
fn a_killed_api_server(bed: &Bed) {
    let (holder, before) = (bed.holder(), bed.restarts());
    let https = Https::start(&bed.script, VIP);
    let begin = clock::now();
    bed.process(holder, "kube-apiserver").unwrap().signal(vipcast::demo::lab::sys::Signal::Kill);
    std::thread::sleep(LEASE + ms(2000));
    bed.settle();
    let silence = https.silence(begin, clock::now());
    eprintln!("/readyz through the VIP: nothing for {silence:?} at most");
    let gap = tell(bed, "API server killed", begin);
    assert!(gap <= STILL, "away for {gap:?}");
    assert!(silence <= UNSERVED, "nobody served the API at the VIP for {silence:?}");
    assert_eq!(bed.restarts(), before);
}

fn an_absent_api_server(bed: &Bed) {
    let (holder, before) = (bed.holder(), bed.restarts());
    let https = Https::start(&bed.script, VIP);
    let begin = clock::now();
    bed.exec(holder, &["mv", API_SERVER, "/etc/kubernetes/"]);
    let (taker, taken) = bed.wait_answered_by(begin, SOON, |node| node != holder);
    wait("the API answers at the VIP", SOON, || (https.silence(taken, clock::now()) < ms(500)).then_some(()));
    let silence = https.silence(begin, clock::now());
    eprintln!("/readyz through the VIP: nothing for {silence:?} at most");
    let gap = tell(bed, "API server gone", begin);
    bed.exec(holder, &["mv", "/etc/kubernetes/kube-apiserver.yaml", API_SERVER]);
    assert!(gap <= STILL, "away for {gap:?}");
    assert!(silence <= UNSERVED, "nobody served the API at the VIP for {silence:?}");
    bed.settle();
    assert_eq!((bed.holder(), bed.restarts()), (taker, before));
}

/// To the others it looks like a crash: kubeadm leaves our process no time, and its API server goes first.
fn a_reset_first_node(bed: &Bed) {
    bring_to(bed, 1);
    let others: Vec<_> = [2, 3].map(|node| bed.daemon(node)).into();
    let (begin, starts) = (clock::now(), starts_of(bed, 1));
    bed.reset(1);
    let (taker, taken) = bed.wait_answered_by(begin, SOON, |node| node != 1);
    let gap = tell(bed, "n1 reset", begin);
    assert!(gap <= LEASE + ms(1000), "away for {gap:?}");
    bed.settle();
    bed.join(1);
    bed.settle();
    let reach = bed.probes.reach(taken, clock::now());
    assert_eq!((bed.holder(), reach.answerers), (taker, BTreeSet::from([taker])));
    assert_eq!([2, 3].map(|node| bed.daemon(node)).to_vec(), others);
    // Not the count in the Pod's status: kubelet begins that at the logs which kubeadm leaves behind, and may remove them.
    assert_eq!(starts_of(bed, 1).difference(&starts).count(), 1);
    assert_eq!(bed.probes.sightings(begin, clock::now()).double, 0, "two owners");
}

fn a_minute_without_quorum(bed: &Bed) {
    let outage = Outage::cause(bed);
    eprintln!("{outage:?}");
    assert!(outage.released <= LEASE, "the VIP stayed for {:?}", outage.released);
    assert!(outage.late <= BACK, "the VIP came {:?} after the API", outage.late);
    assert_eq!((outage.restarts, outage.double), (0, 0));
}

/// Has the VIP go to a node, by taking the daemons away from the others.
fn bring_to(bed: &Bed, node: Node) {
    if bed.holder() == node {
        return;
    }
    let others = bed.others(node);
    let begin = clock::now();
    others.iter().for_each(|other| bed.remove_manifest(*other));
    bed.wait_answered_by(begin, SOON, |answerer| answerer == node);
    let gone = |other: &Node| bed.process(*other, "vipcast").is_none();
    wait("the others have ended", SOON, || others.iter().all(gone).then_some(()));
    others.iter().for_each(|other| bed.restore_manifest(*other));
    bed.settle();
}

/// The lines of its log with which our program started, each with its time.
fn starts_of(bed: &Bed, node: Node) -> BTreeSet<String> {
    bed.log(node).lines().filter(|line| line.contains("vipcast starts")).map(str::to_owned).collect()
}

fn admin_certificate(bed: &Bed, node: Node) -> String {
    bed.exec(node, &["grep", "client-certificate-data", "/etc/kubernetes/admin.conf"])
}

const EVICTED: &str = "/api/v1/namespaces/default/pods/evicted";
const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
/// The requirement is 1.5 s, and two cores carry three of everything that wakes up at once.
const BACK: Duration = ms(3000);
/// The health gate's patience, and what a connection to a server that is gone may cost.
const UNSERVED: Duration = ms(10_000);
