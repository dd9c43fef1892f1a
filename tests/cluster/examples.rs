//! The folders of `examples` in a real cluster: what their READMEs say is done on a node or by its administrator, and in the end
//! the kubelet has started the pod and the VIP answers. Only the address is another one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vipcast::clock;

use super::bed::{Bed, MANIFEST, SOON, VIP, VIPCAST, wait};
use super::image::Image;
use super::support::readme::{self, Place};
use super::support::{Needs, Test, ansible, trial};

pub(crate) fn all() -> Vec<Test> {
    let needs = &[Needs::Cluster, Needs::Ansible];
    vec![trial("the_examples_do_in_a_cluster_what_their_readmes_say", needs, examples)]
}

fn examples() {
    let bed = Bed::prepare(1, &["--none"]);
    Image::load(&bed.script, bed.nodes(), VIPCAST, env!("CARGO_PKG_VERSION"));
    kubeadm(&bed);
    homelab(&bed);
    cluster_api(&bed);
    kubespray(&bed);
}

/// Who runs the commands.
#[derive(Clone, Copy)]
enum Where {
    /// An administrator on the node.
    Node,
    /// An administrator elsewhere, who reaches the node's own API server.
    Client,
}

fn kubeadm(bed: &Bed) {
    let folder = copied(bed, "kubeadm");
    let begin = clock::now();
    let mut blocks = readme::blocks(&folder.join("README.md"));
    let look = blocks.pop().unwrap();
    let make: String = blocks.into_iter().map(|block| block.commands).collect();
    run(bed, Where::Node, &folder, &format!("{}set -eu\n{make}", wrapped_kubeadm(&folder)));
    // The kubelet tells the API of a static pod when it has got to know the API. kubeadm starts it anew on the way, and what
    // is taken away from it before it is done with that start, it leaves running: so not before it says that the pod runs.
    wait("the Lease and the running pod are shown", SOON, || {
        let said = run(bed, Where::Node, &folder, &format!("set -eu\n{}", look.commands));
        let runs = |line: &str| line.starts_with("vipcast-n1 ") && line.contains(" Running ");
        (said.contains("plndr-cp-lock   n1") && said.lines().any(runs)).then_some(())
    });
    bed.wait_answered_by(begin, SOON, |node| node == 1);
    let admin = fs::read_to_string(bed.script.folder().join("n1/changes/etc/kubernetes/admin.conf")).unwrap();
    fs::write(bed.script.folder().join("kubeconfig"), &admin).unwrap();
    let own = admin.replace(&format!("https://{VIP}:6443"), "https://10.88.0.11:6443");
    assert_ne!(own, admin);
    fs::write(bed.script.folder().join("n1.conf"), own).unwrap();
    away(bed, &["rm", MANIFEST]);
}

fn homelab(bed: &Bed) {
    let folder = copied(bed, "homelab-arp");
    let begin = clock::now();
    let said = run(bed, Where::Client, &folder, &whole(&folder));
    assert!(said.contains("successfully rolled out"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("n1 ")), "no node through the VIP:\n{said}");
    bed.wait_answered_by(begin, SOON, |node| node == 1);
    run(bed, Where::Client, &folder, "set -eu\nkubectl delete -f daemonset.yaml -f rbac.yaml\n");
    wait("the VIP is gone with the DaemonSet", SOON, || bed.in_kernel().is_empty().then_some(()));
}

/// Nobody here knows a `KubeadmControlPlane`: a definition takes any.
fn cluster_api(bed: &Bed) {
    let folder = copied(bed, "cluster-api");
    let define = format!("kubectl apply -f - <<'YAML'\n{KUBEADM_CONTROL_PLANE}YAML\n{ESTABLISHED}\n");
    run(bed, Where::Client, &folder, &format!("set -eu\n{define}{}", script(&folder, Place::Cluster)));
    let applied = "set -eu\nkubectl get kubeadmcontrolplane example -o json\n";
    let object: Value = serde_json::from_str(&run(bed, Where::Client, &folder, applied)).unwrap();
    let commands = object["spec"]["kubeadmConfigSpec"]["preKubeadmCommands"].as_array().unwrap();
    let commands: String = commands.iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect();
    let begin = clock::now();
    run(bed, Where::Node, &folder, &format!("set -eu\n{commands}"));
    bed.wait_answered_by(begin, SOON, |node| node == 1);
    let with_program = bed.exec(1, &["cat", MANIFEST]);
    away(bed, &["rm", MANIFEST]);

    // Without the program on the node: nothing can be pulled here, and the image is there already.
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let run_image = readme.lines().find_map(|line| line.trim().strip_prefix("- ctr -n k8s.io run")).unwrap();
    let begin = clock::now();
    run(bed, Where::Node, &folder, &format!("set -eu\nctr -n k8s.io run{run_image}\n"));
    assert_eq!(bed.exec(1, &["cat", MANIFEST]), with_program);
    bed.wait_answered_by(begin, SOON, |node| node == 1);
    away(bed, &["rm", MANIFEST]);
}

fn kubespray(bed: &Bed) {
    let folder = copied(bed, "kubespray");
    let inventory = folder.join("inventory/mycluster");
    fs::create_dir_all(&inventory).unwrap();
    for name in ["inventory.yml", "group_vars"] {
        fs::rename(folder.join(name), inventory.join(name)).unwrap();
    }
    let commands = script(&folder, Place::Cluster);
    let begin = clock::now();
    run(bed, Where::Node, &folder, &commands);
    bed.wait_answered_by(begin, SOON, |node| node == 1);
    let pods = run(bed, Where::Client, &folder, "kubectl -n kube-system get pods -o name\n");
    assert!(pods.contains("pod/vipcast-n1"), "{pods}");
    // Once more changes nothing, and switched off it is gone.
    let again = run(bed, Where::Node, &folder, &commands);
    assert!(again.contains("changed=0"), "{again}");
    run(bed, Where::Node, &folder, &commands.replace("vipcast.yml", "vipcast.yml -e kube_vip_enabled=false"));
    wait("the VIP is gone with the manifest", SOON, || bed.in_kernel().is_empty().then_some(()));
}

/// Takes the pod away, and waits until the address has gone with it.
fn away(bed: &Bed, command: &[&str]) {
    bed.exec(1, command);
    wait("the VIP is gone with the manifest", SOON, || bed.in_kernel().is_empty().then_some(()));
    wait("the container has ended", SOON, || bed.process(1, "vipcast").is_none().then_some(()));
}

fn run(bed: &Bed, place: Where, folder: &Path, commands: &str) -> String {
    let programs = [ansible().unwrap(), bed.script.folder().join("n1/bin")];
    let path = programs.map(|program| program.display().to_string()).join(":");
    let (host, kubeconfig) = match place {
        Where::Node => ("n1", "/etc/kubernetes/admin.conf".to_owned()),
        Where::Client => ("client", bed.script.folder().join("n1.conf").display().to_string()),
    };
    let folder = folder.display();
    let commands = format!(
        "cd {folder}\nexport HOME={folder} KUBECONFIG={kubeconfig} PATH={path}:$PATH LC_ALL=C.UTF-8\n{commands}"
    );
    bed.script.run("exec", &[host, "sh", "-c", &commands])
}

/// A copy for this cluster's LAN.
fn copied(bed: &Bed, name: &str) -> PathBuf {
    let folder = bed.script.folder().join("examples").join(name);
    readme::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name), &folder);
    for file in readme::files(&folder) {
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        fs::write(folder.join(&file), text.replace("192.168.1.100", VIP)).unwrap();
    }
    folder
}

fn script(folder: &Path, place: Place) -> String {
    readme::script(&folder.join("README.md"), place)
}

/// Every block, in the README's order.
fn whole(folder: &Path) -> String {
    let blocks = readme::blocks(&folder.join("README.md"));
    blocks.into_iter().fold("set -eu\n".to_owned(), |script, block| script + &block.commands)
}

/// What this machine needs beside what the README says: it is one node of many in one kernel, and no registry is in reach.
fn wrapped_kubeadm(folder: &Path) -> String {
    let (programs, patches) = (folder.join("programs"), folder.join("patches"));
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir_all(&patches).unwrap();
    fs::write(patches.join("kubeletconfiguration+merge.yaml"), KUBELET).unwrap();
    let (programs, patches) = (programs.display(), patches.display());
    format!(
        "cat >{programs}/kubeadm <<SH\n#!/bin/sh\nexec $(command -v kubeadm) \"\\$@\" --patches {patches} --node-name n1 \\\n\
         --kubernetes-version $(kubeadm version -o short) --apiserver-advertise-address 10.88.0.11 \\\n\
         --pod-network-cidr 10.244.0.0/16 --skip-phases addon/coredns,addon/kube-proxy --ignore-preflight-errors all\nSH\n\
         chmod +x {programs}/kubeadm\nexport PATH={programs}:$PATH\n"
    )
}

const KUBELET: &str = "\
failCgroupV1: false
cgroupDriver: cgroupfs
enforceNodeAllocatable: []
failSwapOn: false
fileCheckFrequency: 1s
evictionHard: {nodefs.available: 1%, imagefs.available: 1%}
# Images that nobody uses right now cannot be had again, however full the disk is.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
";

const ESTABLISHED: &str = "kubectl wait --for=condition=Established --timeout=30s \
                           crd/kubeadmcontrolplanes.controlplane.cluster.x-k8s.io";

const KUBEADM_CONTROL_PLANE: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: kubeadmcontrolplanes.controlplane.cluster.x-k8s.io
spec:
  group: controlplane.cluster.x-k8s.io
  scope: Namespaced
  names: {kind: KubeadmControlPlane, plural: kubeadmcontrolplanes, singular: kubeadmcontrolplane}
  versions:
    - name: v1beta1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
