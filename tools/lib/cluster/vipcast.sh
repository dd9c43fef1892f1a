# How vipcast gets into the cluster: its image, and the manifest as a static pod or a DaemonSet. Sourced by tools/cluster.

image_reference() { echo "ghcr.io/vipcast/vipcast:$version"; }

pack_binary() {
  VERSION=$version REVISION=laboratory pack_vipcast "$(dirname "$tools")" "$(image_reference)" "$binary" "$cluster/vipcast.tar" >/dev/null
}

# The settings of the daemon, NAME=VALUE in a line each.
settings() {
  printf '%s\n' vip_arp=true cp_enable=true "address=$vip" "vip_leaseduration=${lease%%/*}" \
    "vip_renewdeadline=$(cut -d/ -f2 <<<"$lease")" "vip_retryperiod=${lease##*/}"
  [ -z "$services" ] || printf '%s\n' vipcast_services_distribution=spread
  service_settings
  [ ${#environment[@]} = 0 ] || printf '%s\n' "${environment[@]}"
}

# On a LAN each node announces a share of the addresses; with routers every node announces all, which is the default there.
service_settings() {
  local pool="$v4_prefix.128/26"
  ! is_dual || pool+=", 'fd00:88::100/120'"
  [ -z "$services" ] || printf '%s\n' svc_enable=true "vipcast_services_pools=[{name: lab, addresses: [$pool]}]"
}

# Puts the static pod's manifest onto a node; before kubeadm, as the guides do it.
put_manifest() { # node
  case $mode in
    static-pod) static_pod "$1" | in_node "$1" tee /etc/kubernetes/manifests/vipcast.yaml >/dev/null ;;
    manifest) in_node "$1" cp "$cluster/manifest.yaml" /etc/kubernetes/manifests/vipcast.yaml ;;
    daemonset | none) ;;
  esac
}

static_pod() { # node
  case $topology in
    lan) generated pod ;;
    routed) routed_pod "$1" ;;
  esac
}

# By kube-vip's flags. Each node has the router of its own rack.
routed_pod() { # node
  local rack=${1#n} election=() list
  readarray -t list < <(service_settings)
  [ -z "$elect" ] || election=(--leaderElection --leaseDuration "${lease%%/*}"
    --leaseRenewDuration "$(cut -d/ -f2 <<<"$lease")" --leaseRetry "${lease##*/}")
  env -i "${list[@]}" "${environment[@]}" "$binary" manifest pod --interface lo --address "$vip" --controlplane --bgp --localAS 65000 \
    --bgpRouterID "$(v4_of "$1")" --bgppeers "$(v4_of "rack$rack"):6510$rack::false::true;$bfd;$bfd;3" "${election[@]}"
}

# generated KIND FLAGS...: what `vipcast manifest` prints for these settings.
generated() {
  local list
  readarray -t list < <(settings)
  env -i "${list[@]}" "$binary" manifest "$@"
}

# The first API server is reached through an address that is there before any pod can be: n1 has the VIP for a while.
lend_vip() {
  ip -n "$(namespace n1)" addr add "$vip/32" dev eth0
}

apply_daemonset() {
  local applied
  applied=$(daemonset | kubectl_on_client apply -f - 2>&1) || fail "the DaemonSet is refused: $applied"
  # It is not ready before the address is nobody's.
  wait_for 60 "the DaemonSet's pod runs on n1" pod_runs
  # By which the pod asks the API; kube-proxy learns of it through the VIP.
  wait_for 60 "kube-proxy has the Service kubernetes" in_node n1 kubectl --server https://10.96.0.1 --request-timeout=2s get --raw /readyz
  step "DaemonSet applied; n1 gives the VIP back that it was lent"
  ip -n "$(namespace n1)" addr del "$vip/32" dev eth0
  wait_for 60 "the API answers at the VIP" kubectl_on_client --request-timeout=2s get --raw /readyz
}

pod_runs() {
  kubectl_by_any_node -n kube-system get pods -l app.kubernetes.io/name=vipcast \
    -o 'jsonpath={.items[*].status.containerStatuses[*].started}' 2>/dev/null | grep -q true
}

daemonset() {
  generated rbac --inCluster
  echo ---
  generated daemonset --inCluster
}
