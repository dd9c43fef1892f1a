# The network of a cluster, each host a network namespace. Sourced by tools/cluster. Every cluster has the same addresses; their
# namespaces keep them apart. Either of:
#   lan      a switch, and on it the nodes n1 n2 …, a client and an observer
#   routed   each node on a link of its own to the router of its rack (rack1 rack2 …), these on links of their own to the router
#            core, and on the core's own network the client and the observer

v4_prefix=10.88.0

# The namespace of a host.
namespace() { echo "vipcast-$name-$1"; }

# The number of a host's network, and the last number of its addresses there.
network_number() {
  case $topology:$1 in
    lan:*) echo 0 ;;
    routed:n*) echo "${1#n}" ;;
    routed:rack*) echo "${1#rack}" ;;
    routed:*) echo 50 ;;
  esac
}
host_number() {
  case $1 in
    switch | rack* | core) echo 1 ;;
    client) echo 50 ;;
    observer) echo 60 ;;
    n*) echo $((10 + ${1#n})) ;;
  esac
}

v4_of() { echo "10.88.$(network_number "$1").$(host_number "$1")"; }

v6_of() { echo "fd00:88:0:$(network_number "$1")::$(host_number "$1")"; }

mac_of() { printf '02:88:00:00:00:%02x' "$(host_number "$1")"; }

pod_range() { echo "10.244.${1#n}.0/24"; }

pod_range6() { echo "fd00:244:0:${1#n}::/64"; }

# On a LAN Pods and Services have addresses of both families; routers know the way to those of IPv4.
is_dual() { [ "$topology" = lan ]; }

pod_networks() { echo "10.244.0.0/16$(! is_dual || echo ,fd00:244::/56)"; }

service_networks() { echo "10.96.0.0/16$(! is_dual || echo ,fd00:96::/112)"; }

# As the kubelet is told them.
node_addresses() { echo "$(v4_of "$1")$(! is_dual || echo ",$(v6_of "$1")")"; }

# Where a host's cable leads to.
switch_of() {
  case $topology:$1 in
    lan:*) echo switch ;;
    routed:n*) echo "rack${1#n}" ;;
    routed:*) echo core ;;
  esac
}

build_lan() { # nodes...
  local host
  case $topology in
    lan) make_switch switch ;;
    routed) build_fabric "$@" ;;
  esac
  for host in client observer "$@"; do
    plug "$host"
  done
  for host in "$@"; do
    connect_node "$host" "$@"
  done
}

# A bridge with an address of its own, on whose ports frames can be lost.
make_switch() { # name
  local switch
  switch=$(namespace "$1")
  ip netns add "$switch"
  ip -n "$switch" link set lo up
  # Multicast is flooded: who snoops loses neighbour solicitations to groups that nobody has reported yet.
  ip -n "$switch" link add br0 type bridge forward_delay 0 mcast_snooping 0
  ip -n "$switch" addr add "$(v4_of "$1")/24" dev br0
  ip -n "$switch" link set br0 up
  # Frames on these ports are dropped, and nobody loses the carrier.
  ip netns exec "$switch" nft -f - <<'NFT'
table bridge cables {
  set lossy { type ifname; }
  chain forward { type filter hook forward priority 0; iifname @lossy drop; oifname @lossy drop; }
  chain input { type filter hook input priority 0; iifname @lossy drop; }
  chain output { type filter hook output priority 0; oifname @lossy drop; }
}
NFT
}

# A host with its cable into its switch, whose port is called like the host.
plug() {
  local ns switch
  ns=$(namespace "$1") switch=$(namespace "$(switch_of "$1")")
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  ip -n "$switch" link add "$1" type veth peer name eth0 address "$(mac_of "$1")" netns "$ns"
  ip -n "$switch" link set "$1" master br0 up
  ip -n "$ns" addr add "$(v4_of "$1")/24" dev eth0
  # No duplicate address detection: it would delay whoever comes first.
  ip -n "$ns" addr add "$(v6_of "$1")/64" dev eth0 nodad
  ip -n "$ns" link set eth0 up
  [ "$topology" = lan ] || ip -n "$ns" route add default via "$(v4_of "$(switch_of "$1")")"
}

# Forwarding, and the way to the pods of the other nodes.
connect_node() { # node, all nodes...
  local node=$1 other ns
  ns=$(namespace "$1")
  shift
  ip netns exec "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
  [ "$topology" = lan ] || return 0
  # Locally made packets to a Service's address need some route before kube-proxy sees them.
  ip -n "$ns" route add default via "$(v4_of switch)"
  ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.forwarding=1
  ip -n "$ns" route add default via "$(v6_of switch)"
  for other in "$@"; do
    [ "$other" != "$node" ] || continue
    ip -n "$ns" route add "$(pod_range "$other")" via "$(v4_of "$other")"
    ip -n "$ns" route add "$(pod_range6 "$other")" via "$(v6_of "$other")"
  done
}

remove_lan() {
  local ns
  for ns in $(ip netns list | cut -d' ' -f1 | grep "^vipcast-$name-" || true); do
    ip netns del "$ns"
  done
}

# cable NODE plugged|unplugged|lossy
#   unplugged: both ends lose the carrier and know it. lossy: every frame is lost and neither end knows.
cable() {
  local switch
  switch=$(namespace "$(switch_of "$1")")
  case $2 in
    plugged)
      ip netns exec "$switch" nft flush set bridge cables lossy
      ip -n "$switch" link set "$1" up
      ;;
    unplugged) ip -n "$switch" link set "$1" down ;;
    lossy) ip netns exec "$switch" nft add element bridge cables lossy "{ $1 }" ;;
    *) fail "a cable is plugged, unplugged or lossy, not $2" ;;
  esac
}
