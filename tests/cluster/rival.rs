//! client-go's elector on the same Lease and the same VIP, as a static pod of kube-vip's shape: what a cluster runs before it
//! moves to vipcast.

use super::bed::{Bed, Node, SOON, VIP, host, wait};
use super::image;

/// Puts the image of the elector onto every node, once for a cluster.
pub(crate) fn load(bed: &Bed) {
    image::load_component(bed, "elector", IMAGE);
}

/// Replaces vipcast by the elector on a node, manifest by manifest, as an administrator does it.
pub(crate) fn replace_vipcast(bed: &Bed, node: Node) {
    let ours = bed.daemon(node);
    bed.remove_manifest(node);
    wait("our container has ended", SOON, || (!ours.lives()).then_some(()));
    bed.exec(node, &["bash", "-c", &format!("cat >{MANIFEST} <<'YAML'\n{}YAML", manifest(node))]);
    wait("the elector runs", SOON, || bed.process(node, "elector"));
}

/// The other way round.
pub(crate) fn replace_elector(bed: &Bed, node: Node) {
    let elector = bed.process(node, "elector").unwrap();
    bed.exec(node, &["rm", MANIFEST]);
    wait("the elector has ended", SOON, || (!elector.lives()).then_some(()));
    bed.restore_manifest(node);
    wait("our container runs", SOON, || bed.process(node, "vipcast"));
}

/// Lease, timing and interface as vipcast has them here; the API server of its own node, as kube-vip with its hostAlias.
fn manifest(node: Node) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: kube-vip, namespace: kube-system, labels: {{app.kubernetes.io/name: kube-vip}}}}
spec:
  hostNetwork: true
  priorityClassName: system-node-critical
  containers:
    - name: kube-vip
      image: {IMAGE}
      imagePullPolicy: IfNotPresent
      args: [-identity={}, -vip={VIP}, -lease-duration=5s, -renew-deadline=3s, -retry-period=1s]
      securityContext: {{capabilities: {{drop: [ALL], add: [NET_ADMIN, NET_RAW]}}}}
      volumeMounts: [{{name: kubeconfig, mountPath: /etc/kubernetes/admin.conf}}]
  volumes: [{{name: kubeconfig, hostPath: {{path: /etc/kubernetes/admin.conf, type: File}}}}]
",
        host(node)
    )
}

const IMAGE: &str = "vipcast.test/elector:1";
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-vip.yaml";
