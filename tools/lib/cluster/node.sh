# Nodes: namespaces and control groups of their own, with containerd, kubelet and kube-proxy in them. Sourced by tools/cluster.

# Makes a node's folder, its first process and its services; returns when containerd answers.
start_node() { # node, all nodes...
  local node=$1 home=$cluster/$1 other
  mkdir -p "$home/bin"
  {
    echo "127.0.0.1 localhost"
    for other in "${@:2}"; do echo "$(v4_of "$other") $other"; done
  } >"$home/hosts"
  write_cni "$node" >"$home/cni.conflist"
  write_containerd >"$home/containerd.toml"
  write_services "$node" "$home"
  ln -sf "$library/systemctl" "$library/journal" "$home/bin/"
  # For `vipcast status`.
  [ -z "$binary" ] || ln -sf "$binary" "$home/bin/vipcast"
  populate_store "$home/containerd"

  make_groups "$node"
  (
    enter_group "$node"
    exec setsid nsenter "--net=/run/netns/$(namespace "$node")" unshare --mount --uts \
      bash "$library/node-init.sh" "$home" "$node"
  ) >"$home/init.log" 2>&1 </dev/null &
  wait_for 20 "$node has its file systems" test -s "$home/init.pid" || { cat "$home/init.log" >&2 && return 1; }
  start_service "$node" containerd
  wait_for 30 "containerd of $node answers" in_node "$node" ctr version || { tail -5 "$home/containerd.log" >&2 && return 1; }
}

# Keeps a service running in the node, as systemd would.
start_service() { # node, service
  (in_node "$1" setsid "$cluster/$1/bin/systemctl" run "$2") >/dev/null 2>&1 </dev/null &
}

# in_node NODE COMMAND...
in_node() {
  local node=$1 home=$cluster/$1 init
  shift
  init=$(cat "$home/init.pid" 2>/dev/null) || fail "cluster $name has no running host $node"
  grep -qs "/$(namespace "$node")/" "/proc/$init/cgroup" || fail "host $node of cluster $name does not run any more"
  (
    enter_group "$node"
    exec nsenter --target "$init" --mount --uts --net -- \
      env PATH="$home/bin:$binaries:$PATH" VIPCAST_NODE="$home" KUBECONFIG=/etc/kubernetes/admin.conf "$@"
  )
}

# The control groups of a node: `system` for what it runs itself, and beside it those that its kubelet makes. They also tell
# what belongs to the node when it is to be removed.
make_groups() {
  local hierarchy group
  for hierarchy in $(hierarchies); do
    group=$hierarchy/$(namespace "$1")
    mkdir -p "$group/system"
    if [ -e "$group/cgroup.subtree_control" ]; then
      # Version 2: a group hands its controllers down only when told so.
      sed 's/[^ ]*/+&/g' "$group/cgroup.controllers" >"$group/cgroup.subtree_control"
    elif [ -e "$group/cpuset.cpus" ]; then
      cat "$hierarchy/cpuset.cpus" >"$group/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" >"$group/cpuset.mems"
      cat "$hierarchy/cpuset.cpus" >"$group/system/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" >"$group/system/cpuset.mems"
    fi
  done
}

hierarchies() {
  local root=/sys/fs/cgroup
  if [ -e $root/cgroup.controllers ]; then
    echo $root
    return
  fi
  # Version 1, each controller apart; beside it systemd's, and version 2 without controllers.
  find $root -mindepth 1 -maxdepth 1 -type d
}

# Puts this subshell, and so what it starts, into the node's group `system`.
enter_group() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    echo "$BASHPID" >"$hierarchy/$(namespace "$1")/system/cgroup.procs"
  done
}

# Groups come and go while they are looked for, of other clusters too, which find calls a failure.
groups_of_cluster() {
  find /sys/fs/cgroup -mindepth 1 -depth -type d -path "/sys/fs/cgroup/*vipcast-$name-*" 2>/dev/null || true
}

# Kills whatever runs in the groups of the cluster, until nothing does, and removes them.
remove_nodes() {
  local processes round
  for round in $(seq 200); do
    # Groups end while they are looked at.
    processes=$(groups_of_cluster | sed 's|$|/cgroup.procs|' | { xargs -r cat 2>/dev/null || true; } | sort -u)
    [ -n "$processes" ] || break
    # By then some have ended.
    xargs -r kill -KILL <<<"$processes" 2>/dev/null || true
    sleep 0.05
  done
  [ -z "$processes" ] || fail "these processes of cluster $name cannot be killed: $(tr '\n' ' ' <<<"$processes")"
  for round in $(seq 100); do
    groups_of_cluster | xargs -r rmdir 2>/dev/null || true
    [ -n "$(groups_of_cluster)" ] || return 0
    sleep 0.05
  done
  fail "control groups of cluster $name cannot be removed: $(groups_of_cluster | head -3 | tr '\n' ' ')"
}

write_services() { # node, folder
  cat >"$2/containerd.run" <<RUN
exec containerd -c "$2/containerd.toml"
RUN
  # Nodes that join get the first node's configuration: what differs is on the command line. With one control group for all of
  # them, each kubelet would end the others' pods.
  cat >"$2/kubelet.run" <<RUN
[ -f /var/lib/kubelet/config.yaml ] || exit 1
[ ! -f /var/lib/kubelet/kubeadm-flags.env ] || . /var/lib/kubelet/kubeadm-flags.env
bootstrap=
[ ! -f /etc/kubernetes/bootstrap-kubelet.conf ] || bootstrap=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf
exec "$binaries/kubelet" --config /var/lib/kubelet/config.yaml --kubeconfig /etc/kubernetes/kubelet.conf \$bootstrap \\
  \${KUBELET_KUBEADM_ARGS:-} --cgroup-root "/$(namespace "$1")" --hostname-override "$1" --node-ip "$(node_addresses "$1")"
RUN
  cat >"$2/kube-proxy.run" <<RUN
[ -f /etc/kubernetes/kubelet.conf ] && [ -f /etc/kubernetes/admin.conf ] || exit 1
exec "$binaries/kube-proxy" --config "$2/kube-proxy.yaml"
RUN
  cat >"$2/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: $1
clusterCIDR: $(pod_networks)
clientConnection: {kubeconfig: /etc/kubernetes/admin.conf}
# These are settings of the whole machine, not of a namespace.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
}

# restrict_oom_score_adj: where the machine does not permit a lower score, runc dies with "can't get final child's PID from pipe".
write_containerd() {
  cat <<TOML
version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/run/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "$(pause_image)"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$cni_plugins"
TOML
}

write_cni() { # node
  local ranges='[{"subnet": "'$(pod_range "$1")'"}]' routes='{"dst": "0.0.0.0/0"}'
  ! is_dual || ranges+=', [{"subnet": "'$(pod_range6 "$1")'"}]' routes+=', {"dst": "::/0"}'
  cat <<JSON
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [$ranges], "routes": [$routes]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
JSON
}
