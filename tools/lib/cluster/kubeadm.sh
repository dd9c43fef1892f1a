# kubeadm on the nodes. Sourced by tools/cluster.

# These secrets protect a laboratory that nobody else can reach.
token=abcdef.0123456789abcdef
certificate_key=e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204

# Where nodes and users reach the API: the VIP, or the first node where there is none.
endpoint() { [ "$mode" = none ] && v4_of n1 || echo "$vip"; }

write_kubeadm_config() { # node
  local registration="nodeRegistration: {name: $1, criSocket: 'unix:///run/containerd/containerd.sock', imagePullPolicy: IfNotPresent, taints: []}"
  local own="localAPIEndpoint: {advertiseAddress: $(v4_of "$1"), bindPort: 6443}"
  cat >"$cluster/$1/kubeadm.yaml" <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
$own
bootstrapTokens:
  - {token: $token, ttl: 0s, groups: ['system:bootstrappers:kubeadm:default-node-token'], usages: [signing, authentication]}
certificateKey: $certificate_key
$registration
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery: {bootstrapToken: {token: $token, apiServerEndpoint: '$(endpoint):6443', unsafeSkipCAVerification: true}}
controlPlane: {$own, certificateKey: $certificate_key}
$registration
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$kubernetes
controlPlaneEndpoint: '$(endpoint):6443'
networking: {podSubnet: '$(pod_networks)', serviceSubnet: '$(service_networks)'}
apiServer: {certSANs: ['$vip']}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
enforceNodeAllocatable: []
failSwapOn: false
fileCheckFrequency: 1s
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
evictionHard: {nodefs.available: 1%, imagefs.available: 1%}
# Images that nobody uses right now cannot be had again, however full the disk is.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
YAML
}

init_cluster() {
  local node=n1
  [ "$mode" != daemonset ] || lend_vip
  kubeadm_step "$node" init --upload-certs --skip-phases=addon/coredns,addon/kube-proxy
  write_kubeconfigs
  [ "$mode" != daemonset ] || apply_daemonset
}

join_node() { # node
  # What joining needs is deleted from the cluster after two hours.
  if ! kubectl_by_any_node -n kube-system get secret kubeadm-certs >/dev/null 2>&1; then
    in_node "$(member_beside "$1")" kubeadm init phase upload-certs --upload-certs \
      --config "$cluster/$(member_beside "$1")/kubeadm.yaml" >>"$cluster/$1/kubeadm.log" 2>&1 || true
  fi
  put_manifest "$1"
  kubeadm_step "$1" join
  write_kubeconfigs
}

reset_node() { # node
  kubeadm_step "$1" reset --force
  rm -f "$cluster/$1.conf"
  # kubeadm leaves the rest to the administrator.
  in_node "$1" bash -c 'rm -rf /etc/kubernetes/manifests/* "$HOME/.kube/cache"; ip link del cni0 2>/dev/null || true'
  forget_node "$1"
}

# The Node and its pods: who joins under the same name would ask the etcd of the old one whether it is well.
forget_node() { # node
  compgen -G "$cluster/n*.conf" >/dev/null || return 0
  kubectl_by_any_node delete node "$1" --ignore-not-found >/dev/null 2>&1 || return 0
  kubectl_by_any_node delete pods --all-namespaces --field-selector "spec.nodeName=$1" --force --grace-period=0 >/dev/null 2>&1 || true
}

# Runs kubeadm with its configuration and its output in a file; shows the end of that if it fails.
kubeadm_step() { # node, subcommand, flags...
  local node=$1 home=$cluster/$1 started=$SECONDS config=(--config "$cluster/$1/kubeadm.yaml")
  [ "$2" != reset ] || config=(--cri-socket unix:///run/containerd/containerd.sock)
  step "$node: kubeadm $2"
  if ! in_node "$node" kubeadm "${@:2}" "${config[@]}" --ignore-preflight-errors=all >>"$home/kubeadm.log" 2>&1 </dev/null; then
    tail -15 "$home/kubeadm.log" >&2
    fail "kubeadm $2 failed on $node; everything it said is in $home/kubeadm.log"
  fi
  step "$node: kubeadm $2 took $((SECONDS - started)) s"
}

# kubeconfig: through the VIP. NODE.conf: that node's API server, whoever has the VIP.
write_kubeconfigs() {
  local node admin
  for node in $(nodes); do
    admin=$cluster/$node/changes/etc/kubernetes/admin.conf
    [ -f "$admin" ] || continue
    [ -f "$cluster/kubeconfig" ] || install -m 600 "$admin" "$cluster/kubeconfig"
    sed "s|server: .*|server: https://$(v4_of "$node"):6443|" "$admin" | install -m 600 /dev/stdin "$cluster/$node.conf"
  done
}

# A node that is a member of the cluster, and is not this one.
member_beside() {
  local node
  for node in $(nodes); do
    if [ "$node" != "$1" ] && [ -f "$cluster/$node.conf" ] && in_node "$node" test -f /etc/kubernetes/admin.conf; then
      echo "$node"
      return
    fi
  done
  fail "no other node is a member of the cluster"
}

# kubectl on the client, through the VIP.
kubectl_on_client() {
  nsenter "--net=/run/netns/$(namespace client)" env KUBECONFIG="$cluster/kubeconfig" "$binaries/kubectl" "$@"
}

# kubectl on the client, through whichever API server answers.
kubectl_by_any_node() {
  local file
  for file in "$cluster"/n*.conf; do
    nsenter "--net=/run/netns/$(namespace client)" "$binaries/kubectl" --kubeconfig "$file" --request-timeout=10s "$@" && return
  done
  return 1
}
