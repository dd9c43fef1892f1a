//! Other ways to credentials: a DaemonSet with a ServiceAccount and the generated permissions, and the kubeconfigs of K3s and RKE2.

use std::process::Command;

use serde_json::Value;

use super::CLUSTER;
use super::bed::{Bed, Node, SOON, Service, VIP, VIPCAST, host, ms, wait};
use super::processes::Process;
use super::shared::Shared;
use super::span::Span;
use super::support::{Test, trial};

pub(crate) fn all(cluster: &Shared) -> Vec<Test> {
    let scenario = |name: &str, body: fn(&Bed)| trial(name, CLUSTER, cluster.scenario(body));
    vec![
        scenario("a_daemonset_takes_over_from_static_pods_and_follows_its_token", daemonset),
        scenario("the_files_of_k3s_and_rke2_do_and_so_does_a_host_name_that_is_not_the_nodes", kubeconfigs),
    ]
}

pub(crate) fn daemonset(bed: &Bed) {
    let rbac = generate(&["rbac", "--inCluster"]);
    apply(bed, "rbac", &rbac);
    apply(bed, "daemonset", &generate(&["daemonset", "--inCluster"]));
    take_over(bed);
    new_service_account(bed, &rbac);
    for pod in bed.api.pods().unwrap() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        assert_eq!(pod["spec"]["serviceAccountName"], "vipcast");
        // An API server may still try the connection to a kubelet that has started anew.
        let log = wait("the log can be had", SOON, || {
            let output = bed.script.try_run("kubectl", &["-n", "kube-system", "logs", name]);
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        });
        assert!(
            !log.contains("status 403") && !log.contains("orbidden"),
            "{name} lacks a permission:\n{log}"
        );
    }

    delete(bed, "daemonset");
    wait("the DaemonSet's pods are gone", SOON, || bed.api.pods().filter(Vec::is_empty).map(drop));
    bed.nodes().iter().for_each(|node| bed.restore_manifest(*node));
    // kubectl asks through the VIP.
    bed.settle();
    delete(bed, "rbac");
}

/// The DaemonSet's pod waits for the port that the static pod has, so each comes when the other has gone.
fn take_over(bed: &Bed) {
    let span = Span::begin(bed);
    for node in bed.nodes() {
        let before = bed.daemon(*node);
        bed.remove_manifest(*node);
        wait("the static pod has ended", SOON, || (!before.lives()).then_some(()));
        wait("the DaemonSet's pod is ready", SOON, || {
            bed.api.pods()?.into_iter().find(|pod| is_daemonset_on(pod, *node))
        });
    }
    bed.settle();
    let seen = span.tell("from static pods to a DaemonSet");
    assert_eq!(seen.double, 0, "two owners");
    assert!(seen.gap <= STILL, "away for {:?}", seen.gap);
    assert!(seen.hand_overs() <= bed.nodes().len() + 1, "{:?}", seen.owners);
}

fn is_daemonset_on(pod: &Value, node: Node) -> bool {
    pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet"
        && pod["spec"]["nodeName"] == host(node)
        && pod["status"]["containerStatuses"][0]["ready"] == true
}

/// Every token given so far is void at once, and that is seen. A kubelet that starts anew asks for new ones and replaces the
/// files in the pods; the daemons follow, and nobody restarts them.
fn new_service_account(bed: &Bed, rbac: &str) {
    let (daemons, restarts): (Vec<Process>, _) =
        (bed.nodes().iter().map(|node| bed.daemon(*node)).collect(), bed.restarts());
    let span = Span::begin(bed);
    bed.kubectl(&["-n", "kube-system", "delete", "serviceaccount", "vipcast"]);
    apply(bed, "rbac", rbac);
    wait("the tokens are void and the VIP is dropped", SOON, || bed.in_kernel().is_empty().then_some(()));
    for node in bed.nodes() {
        bed.kill_service(*node, Service::Kubelet);
    }
    bed.settle();
    let seen = span.tell("new ServiceAccount");
    assert_eq!(seen.double, 0, "two owners");
    assert!(daemons.iter().all(Process::lives), "a daemon was restarted");
    assert_eq!(bed.restarts(), restarts);
}

/// One node has K3s' file, which is named; another RKE2's, which is found, and a host name of its own. Each gets the VIP.
pub(crate) fn kubeconfigs(bed: &Bed) {
    let span = Span::begin(bed);
    for (node, file) in FOREIGN {
        let folder = file.rsplit_once('/').unwrap().0;
        // As these write it: by loopback. kubeadm's certificates are for another name.
        let make = format!(
            "mkdir -p {folder} && sed 's|server: .*|server: https://127.0.0.1:6443\\n    tls-server-name: kubernetes|' \
             /etc/kubernetes/admin.conf >{file}"
        );
        bed.exec(node, &["bash", "-c", &make]);
    }
    let [(k3s, k3s_file), (rke2, _)] = FOREIGN;
    bed.exec(rke2, &["hostname", "rack-7.example.org"]);
    let named = generate(&["pod", "--k8sConfigPath", k3s_file]);
    assert!(named.contains("path: /etc/rancher/k3s\n"), "{named}");
    // The file is the only one that the container sees, and no setting names it.
    let found = generate(&["pod"]).replace("/etc/kubernetes", "/etc/rancher/rke2");
    for (node, manifest) in [(k3s, &named), (rke2, &found)] {
        replaced(bed, node, &format!("cp {MANIFEST} {KEPT} && cat >{MANIFEST} <<'YAML'\n{manifest}YAML"));
    }
    bed.settle();
    for (node, file) in FOREIGN {
        let status: Value =
            serde_json::from_str(&bed.exec(node, &[VIPCAST, "status", "-o", "json"])).unwrap();
        let seen = [&status["node"], &status["ready"], &status["kubernetes"]["source"]];
        assert_eq!(seen, [&Value::from(host(node)), &Value::from(true), &Value::from(file)], "{status}");
    }
    for node in [k3s, rke2] {
        // Whoever else could have it is away for a moment.
        let others = bed.others(node);
        others.iter().for_each(|other| bed.remove_manifest(*other));
        let begin = vipcast::clock::now();
        bed.wait_answered_by(begin, SOON, |owner| owner == node);
        others.iter().for_each(|other| bed.restore_manifest(*other));
        bed.settle();
        assert_eq!(bed.holder(), node);
    }

    bed.exec(rke2, &["hostname", &host(rke2)]);
    for (node, file) in FOREIGN {
        replaced(bed, node, &format!("mv {KEPT} {MANIFEST} && rm {file}"));
    }
    bed.settle();
    let seen = span.tell("K3s' and RKE2's files");
    assert_eq!(seen.double, 0, "two owners");
    assert!(seen.gap <= STILL, "away for {:?}", seen.gap);
}

/// Changes the manifest, and waits until another container runs.
fn replaced(bed: &Bed, node: Node, change: &str) {
    let before = bed.daemon(node);
    bed.exec(node, &["bash", "-c", change]);
    wait("the container is replaced", SOON, || bed.process(node, "vipcast").filter(|now| *now != before));
}

/// What the program prints for kube-vip's flags and the timing of the cluster.
fn generate(kind: &[&str]) -> String {
    let flags = ["--interface", "eth0", "--address", VIP, "--controlplane", "--arp", "--leaderElection"];
    let timing = ["--leaseDuration", "5", "--leaseRenewDuration", "3", "--leaseRetry", "1"];
    let output = Command::new(VIPCAST)
        .arg("manifest")
        .args(kind)
        .args(flags)
        .args(timing)
        .env_clear()
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "vipcast manifest {kind:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn apply(bed: &Bed, name: &str, objects: &str) {
    let file = bed.script.folder().join(format!("{name}.yaml"));
    std::fs::write(&file, objects).unwrap();
    bed.kubectl(&["apply", "-f", file.to_str().unwrap()]);
}

fn delete(bed: &Bed, name: &str) {
    let file = bed.script.folder().join(format!("{name}.yaml"));
    bed.kubectl(&["delete", "-f", file.to_str().unwrap()]);
}

/// A node each.
const FOREIGN: [(Node, &str); 2] = [(2, "/etc/rancher/k3s/k3s.yaml"), (3, "/etc/rancher/rke2/rke2.yaml")];
const MANIFEST: &str = "/etc/kubernetes/manifests/vipcast.yaml";
const KEPT: &str = "/etc/kubernetes/vipcast-kept.yaml";
/// Two cores carry the whole cluster.
const STILL: std::time::Duration = ms(500);
