# The routers of a routed cluster: FRR in the racks of odd numbers, BIRD in the others and as the core. They have the configurations
# of examples/kubeadm-bgp: those of racks 1 and 2 and of the core as they stand. Sourced by tools/cluster.
# Nodes and pods are reached by static routes; BGP carries VIPs and nothing else.

routers() { seq -f 'rack%g' "$node_count" && echo core; }

# bird or frr.
brand_of() {
  case $1 in
    rack*[13579]) echo frr ;;
    *) echo bird ;;
  esac
}

build_fabric() { # nodes...
  local node rack number
  make_switch core
  forwards core
  # Flows, and not hosts, are shared among the nodes that announce a VIP.
  ip netns exec "$(namespace core)" sysctl -qw net.ipv4.fib_multipath_hash_policy=1
  for node in "$@"; do
    number=${node#n} rack=rack${node#n}
    make_switch "$rack"
    forwards "$rack"
    ip -n "$(namespace core)" link add "$rack" up type veth peer name core netns "$(namespace "$rack")"
    ip -n "$(namespace core)" addr add "10.88.10$number.1/24" dev "$rack"
    ip -n "$(namespace "$rack")" addr add "10.88.10$number.2/24" dev core
    ip -n "$(namespace "$rack")" link set core up
    ip -n "$(namespace "$rack")" route add default via "10.88.10$number.1"
    ip -n "$(namespace "$rack")" route add "$(pod_range "$node")" via "$(v4_of "$node")"
    ip -n "$(namespace core)" route add "10.88.$number.0/24" via "10.88.10$number.2"
    ip -n "$(namespace core)" route add "$(pod_range "$node")" via "10.88.10$number.2"
  done
}

# What comes from a VIP may leave by another way than what goes to it comes in.
forwards() { ip netns exec "$(namespace "$1")" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0; }

start_routers() {
  local router
  step "routers: $(routers | tr '\n' ' ')"
  for router in $(routers); do
    mkdir -p "$cluster/$router"
    router_config "$router" >"$cluster/$router/config"
    make_groups "$router"
    prefer "$router"
    (
      enter_group "$router"
      exec setsid nsenter "--net=/run/netns/$(namespace "$router")" unshare --mount --uts \
        bash "$library/router-init.sh" "$cluster/$router" "$router" "$(brand_of "$router")"
    ) >"$cluster/$router/log" 2>&1 </dev/null &
  done
  for router in $(routers); do
    wait_for 30 "$router routes" test -s "$cluster/$router/init.pid" || { tail "$cluster/$router/log" >&2 && return 1; }
  done
}

# A router has a machine of its own: it does not wait until three API servers have had their turn.
prefer() { # router
  local hierarchy
  for hierarchy in $(hierarchies); do
    [ ! -e "$hierarchy/$(namespace "$1")/cpu.shares" ] || echo 20480 >"$hierarchy/$(namespace "$1")/cpu.shares"
    [ ! -e "$hierarchy/$(namespace "$1")/cpu.weight" ] || echo 2000 >"$hierarchy/$(namespace "$1")/cpu.weight"
  done
}

# The example with the rack's number in the place of its own.
router_config() { # router
  local examples=$tools/../examples/kubeadm-bgp number=${1#rack} own
  if [ "$1" = core ]; then
    cat "$examples/core-bird.conf"
    return
  fi
  [ "$(brand_of "$1")" = frr ] && own=1 || own=2
  sed -E "s/rack$own\b/rack$number/; s/10\.88\.(10)?$own\./10.88.\1$number./g; s/\b6510$own\b/6510$number/g" "$examples/rack-$(brand_of "$1").conf"
}
