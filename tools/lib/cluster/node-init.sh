#!/usr/bin/env bash
# The first process of a node, in its own network, mount and UTS namespaces: makes the file systems a machine of its own, then
# holds the namespaces until it is killed. What it mounts vanishes with it.
#   node-init.sh FOLDER NODE
set -euo pipefail
folder=$1 node=$2

mount --make-rprivate /
# Names of network namespaces would keep those alive that others have removed.
umount --recursive --lazy /run/netns 2>/dev/null || true

# sysfs shows the network of who mounts it; the control groups below it have to come along.
mkdir -p "$folder/mnt"
mount --rbind /sys/fs/cgroup "$folder/mnt"
mount -t sysfs sysfs /sys
mount --rbind "$folder/mnt" /sys/fs/cgroup

# What a node writes here stays in its folder, and the machine's own files are seen where the node has none.
for tree in /etc /opt /var/lib /var/log /usr/libexec; do
  [ -d "$tree" ] || continue
  mkdir -p "$folder/changes$tree" "$folder/work$tree"
  mount -t overlay -o "lowerdir=$tree,upperdir=$folder/changes$tree,workdir=$folder/work$tree" overlay "$tree"
done
mount -t tmpfs -o mode=0755 tmpfs /run
mount --make-rshared /run
mkdir -p /run/lock /run/netns

# An overlay cannot be the upper layer of another (containerd's), and the kubelet's mounts have to reach the pods.
mkdir -p /etc/kubernetes/manifests /var/lib/{kubelet,containerd,etcd,cni} /var/log/pods /etc/cni/net.d
chmod 700 /var/lib/etcd
for data in kubelet containerd etcd; do
  mkdir -p "$folder/$data"
  mount --bind "$folder/$data" "/var/lib/$data"
done
mount --make-rshared /var/lib/kubelet

rm -f /etc/hosts /etc/resolv.conf /etc/hostname
cp "$folder/hosts" /etc/hosts
cp "$folder/cni.conflist" /etc/cni/net.d/10-pods.conflist
# Nobody serves names here, and says so at once.
echo "nameserver 10.88.0.1" >/etc/resolv.conf
echo "$node" >/etc/hostname
hostname "$node"

echo $$ >"$folder/init.pid.new"
mv "$folder/init.pid.new" "$folder/init.pid"
exec sleep infinity
