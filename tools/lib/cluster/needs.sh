# What a cluster needs of the machine, and what brings it. Sourced by tools/cluster.

# The programs and the Debian packages that have them.
programs="ip:iproute2 nft:nftables nsenter:util-linux sysctl:procps containerd:containerd ctr:containerd runc:runc
conntrack:conntrack socat:socat ethtool:ethtool"
# The same for routed clusters.
routing="bird:bird2 birdc:bird2 vtysh:frr"

# One line for each thing that is missing.
missing() {
  local pair packages="" component built=""
  [ "$(id -u)" = 0 ] || echo "not root: run it with sudo -E, or as root in a container"
  [ "$topology" = lan ] || programs+=" $routing"
  for pair in $programs; do
    command -v "${pair%%:*}" >/dev/null || packages+=" ${pair#*:}"
  done
  [ -n "$cni_plugins" ] || packages+=" containernetworking-plugins"
  [ -z "$packages" ] || echo "missing programs: apt-get install$(tr ' ' '\n' <<<"$packages" | sort -u | tr '\n' ' ')"
  for component in kube-apiserver etcd kubelet kubeadm kube-proxy kube-controller-manager kube-scheduler kubectl pause; do
    [ -x "$binaries/$component" ] || built+=" $component"
  done
  [ -z "$built" ] || echo "Kubernetes is not built: tests/kubernetes/build.sh$built (needs Go, takes some minutes)"
  [ "$(id -u)" != 0 ] || kernel_lacks
}

kernel_lacks() {
  local folder
  [ -w /sys/fs/cgroup ] || echo "/sys/fs/cgroup is read-only: a container has to be privileged"
  grep -q overlay /proc/filesystems || modprobe overlay 2>/dev/null || echo "the kernel has no overlay file system"
  unshare --mount --net true 2>/dev/null || echo "the kernel refuses new namespaces: a container has to be privileged"
  for folder in "$directory" "$binaries"; do
    until [ -e "$folder" ]; do folder=$(dirname "$folder"); done
    [ "$(stat -f -c %T "$folder")" != overlayfs ] ||
      echo "$folder is on an overlay file system, which cannot hold container images: set VIPCAST_CLUSTERS and VIPCAST_TEST_CACHE"
  done
  [ "$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -ge 3000 ] || echo "less than 3000 MiB of memory are free"
}

# Debian's folder, or that of the plugins' own releases.
find_cni_plugins() {
  local folder
  for folder in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
    if [ -x "$folder/bridge" ] && [ -x "$folder/host-local" ]; then
      echo "$folder"
      return
    fi
  done
}
