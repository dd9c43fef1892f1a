# How vipcast gets into the cluster: its image, and the manifest as a static pod or a DaemonSet. Sourced by tools/cluster.

image_reference() { echo "ghcr.io/vipcast/vipcast:$version"; }

pack_binary() {
  VERSION=$version REVISION=laboratory pack_vipcast "$(dirname "$tools")" "$(image_reference)" "$binary" "$cluster/vipcast.tar" >/dev/null
}

# The settings of the daemon, NAME=VALUE in a line each.
settings() {
  printf '%s\n' vip_arp=true cp_enable=true "address=$vip" "vip_leaseduration=${lease%%/*}" \
    "vip_renewdeadline=$(cut -d/ -f2 <<<"$lease")" "vip_retryperiod=${lease##*/}"
  [ ${#environment[@]} = 0 ] || printf '%s\n' "${environment[@]}"
}

# Puts the static pod's manifest onto a node; before kubeadm, as the guides do it.
put_manifest() { # node
  case $mode in
    static-pod) static_pod | in_node "$1" tee /etc/kubernetes/manifests/vipcast.yaml >/dev/null ;;
    manifest) in_node "$1" cp "$cluster/manifest.yaml" /etc/kubernetes/manifests/vipcast.yaml ;;
    daemonset | none) ;;
  esac
}

# generated KIND FLAGS...: what `vipcast manifest` prints for these settings; fails where the program is too old to have it.
generated() {
  local list
  readarray -t list < <(settings)
  env -i "${list[@]}" "$binary" manifest "$@"
}

can_generate() { "$binary" manifest --help >/dev/null 2>&1; }

static_pod() {
  if can_generate; then
    generated pod
    return
  fi
  cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: vipcast, namespace: kube-system, labels: {app.kubernetes.io/name: vipcast}}
spec:
$(pod_spec | sed 's/^/  /')
YAML
}

# The first API server is reached through an address that is there before any pod can be: n1 has the VIP for a while.
lend_vip() {
  ip -n "$(namespace n1)" addr add "$vip/32" dev eth0
}

apply_daemonset() {
  local applied
  applied=$(daemonset | kubectl_on_client apply -f - 2>&1) || fail "the DaemonSet is refused: $applied"
  step "DaemonSet applied; n1 gives the VIP back that it was lent"
  # It is not ready before the address is nobody's.
  wait_for 60 "the DaemonSet's pod runs on n1" pod_runs
  ip -n "$(namespace n1)" addr del "$vip/32" dev eth0
  wait_for 60 "the API answers at the VIP" kubectl_on_client --request-timeout=2s get --raw /readyz
}

pod_runs() {
  kubectl_by_any_node -n kube-system get pods -l app.kubernetes.io/name=vipcast \
    -o 'jsonpath={.items[*].status.containerStatuses[*].started}' 2>/dev/null | grep -q true
}

daemonset() {
  if can_generate; then
    generated rbac --inCluster
    echo ---
    generated daemonset --inCluster
    return
  fi
  cat <<YAML
apiVersion: v1
kind: ServiceAccount
metadata: {name: vipcast, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: vipcast}
rules:
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, get, list, watch, update]}
  - {apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [events], verbs: [create, patch]}
  - {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: vipcast}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: vipcast}
subjects: [{kind: ServiceAccount, name: vipcast, namespace: kube-system}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: vipcast, namespace: kube-system, labels: {app.kubernetes.io/name: vipcast}}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: vipcast}}
  template:
    metadata: {labels: {app.kubernetes.io/name: vipcast}}
    spec:
      serviceAccountName: vipcast
      tolerations: [{operator: Exists}]
      nodeSelector: {node-role.kubernetes.io/control-plane: ""}
$(pod_spec | sed 's/^/      /')
YAML
}

pod_spec() {
  local setting
  cat <<YAML
hostNetwork: true
priorityClassName: system-node-critical
containers:
  - name: vipcast
    image: $(image_reference)
    imagePullPolicy: IfNotPresent
    args: [run]
    env:
YAML
  settings | while read -r setting; do
    printf '      - {name: %s, value: "%s"}\n' "${setting%%=*}" "${setting#*=}"
  done
  [ "$mode" != daemonset ] || echo '      - {name: vip_nodename, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}'
  cat <<'YAML'
    securityContext:
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL], add: [NET_ADMIN, NET_RAW]}
    volumeMounts:
      - {name: run, mountPath: /run/vipcast}
YAML
  [ "$mode" = daemonset ] || echo '      - {name: kubernetes, mountPath: /etc/kubernetes, readOnly: true}'
  cat <<'YAML'
volumes:
  - {name: run, hostPath: {path: /run/vipcast, type: DirectoryOrCreate}}
YAML
  [ "$mode" = daemonset ] || echo '  - {name: kubernetes, hostPath: {path: /etc/kubernetes, type: Directory}}'
}
