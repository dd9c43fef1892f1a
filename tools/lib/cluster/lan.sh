# The LAN of a cluster: a switch, the nodes n1 n2 …, a client and an observer, each a network namespace. Sourced by tools/cluster.
# Every cluster has the same addresses; their namespaces keep them apart.

v4_prefix=10.88.0
v6_prefix=fd00:88::

# The namespace of a host.
namespace() { echo "vipcast-$name-$1"; }

# The last number of a host's addresses.
host_number() {
  case $1 in
    switch) echo 1 ;;
    client) echo 50 ;;
    observer) echo 60 ;;
    n*) echo $((10 + ${1#n})) ;;
  esac
}

v4_of() { echo "$v4_prefix.$(host_number "$1")"; }

mac_of() { printf '02:88:00:00:00:%02x' "$(host_number "$1")"; }

pod_range() { echo "10.244.${1#n}.0/24"; }

build_lan() { # nodes...
  local host switch
  switch=$(namespace switch)
  ip netns add "$switch"
  ip -n "$switch" link set lo up
  # Multicast is flooded: who snoops loses neighbour solicitations to groups that nobody has reported yet.
  ip -n "$switch" link add br0 type bridge forward_delay 0 mcast_snooping 0
  ip -n "$switch" addr add "$(v4_of switch)/24" dev br0
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
  for host in client observer "$@"; do
    plug "$host"
  done
  for host in "$@"; do
    connect_node "$host" "$@"
  done
}

# A host with its cable into the switch, whose port is called like the host.
plug() {
  local ns switch
  ns=$(namespace "$1") switch=$(namespace switch)
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  ip -n "$switch" link add "$1" type veth peer name eth0 address "$(mac_of "$1")" netns "$ns"
  ip -n "$switch" link set "$1" master br0 up
  ip -n "$ns" addr add "$(v4_of "$1")/24" dev eth0
  # No duplicate address detection: it would delay whoever comes first.
  ip -n "$ns" addr add "$v6_prefix$(host_number "$1")/64" dev eth0 nodad
  ip -n "$ns" link set eth0 up
}

# Forwarding, and the way to the pods of the other nodes.
connect_node() { # node, all nodes...
  local node=$1 other ns
  ns=$(namespace "$1")
  shift
  ip netns exec "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
  # Locally made packets to a Service's address need some route before kube-proxy sees them.
  ip -n "$ns" route add default via "$(v4_of switch)"
  for other in "$@"; do
    [ "$other" = "$node" ] || ip -n "$ns" route add "$(pod_range "$other")" via "$(v4_of "$other")"
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
  switch=$(namespace switch)
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
