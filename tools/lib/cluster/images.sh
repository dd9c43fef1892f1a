# Container images of Kubernetes' components, made from the binaries, and a containerd that has them. Sourced by tools/cluster.

# The names that kubeadm expects, one in a line.
image_names() { "$binaries/kubeadm" config images list --kubernetes-version "v$kubernetes" 2>/dev/null; }

pause_image() { image_names | grep /pause:; }

# A folder with everything that containerd knows once it has imported the images: made once, then copied for each node.
image_store() { echo "$binaries/containerd"; }

# Changes when a binary does, or the way in which images are made.
store_stamp() {
  (cd "$binaries" && stat -c '%n %s %Y' kube-apiserver kube-controller-manager kube-scheduler etcd pause)
  cat "$tools/lib/archive.sh" "$library/images.sh" | sha256sum
}

prepare_store() {
  local store
  store=$(image_store)
  [ "$(cat "$store/stamp" 2>/dev/null)" != "$(store_stamp)" ] || return 0
  step "packing and importing the images of Kubernetes' components (once)"
  rm -rf "$store" "$store.new"
  mkdir -p "$store.new"
  # In a mount namespace of its own: nothing that containerd mounts is left behind.
  unshare --mount bash -c '
    set -euo pipefail
    . "$1/archive.sh"
    . "$1/cluster/images.sh"
    binaries=$2 kubernetes=$3 import_images "$4"
  ' - "$tools/lib" "$binaries" "$kubernetes" "$store.new" >"$store.new/log" 2>&1 </dev/null ||
    { tail -5 "$store.new/log" >&2 && fail "the images cannot be imported"; }
  store_stamp >"$store.new/stamp"
  mv "$store.new" "$store"
}

# Runs a containerd for as long as it takes.
import_images() { # folder
  local folder=$1 image program path
  printf 'version = 2\nroot = "%s/root"\nstate = "%s/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s/socket"\n[plugins."io.containerd.internal.v1.opt"]\n  path = "%s/opt"\n' \
    "$folder" "$folder" "$folder" "$folder" >"$folder/containerd.toml"
  containerd -c "$folder/containerd.toml" >"$folder/containerd.log" 2>&1 &
  # Global: the trap runs when this function is over.
  daemon=$!
  trap 'kill "$daemon"; wait "$daemon" || true' EXIT
  for _ in $(seq 100); do
    ! ctr -a "$folder/socket" version >/dev/null 2>&1 || break
    sleep 0.1
  done
  for image in $(image_names); do
    program=${image##*/} program=${program%%:*} path=/usr/local/bin/
    case $program in
      coredns | kube-proxy) continue ;;
      # kubelet and containerd start /pause without asking the image.
      pause) path=/ ;;
    esac
    pack_program "$image" "$folder/image.tar" "$binaries/$program" "$path$program"
    ctr -a "$folder/socket" -n k8s.io images import "$folder/image.tar"
    rm "$folder/image.tar"
  done
}

# A containerd's data with all the images: content and layers are never written to again and can be shared, the databases cannot.
populate_store() { # folder
  local database
  rm -rf "$1"
  cp -al "$(image_store)/root" "$1" 2>/dev/null || {
    rm -rf "$1"
    cp -a --reflink=auto "$(image_store)/root" "$1"
    return
  }
  find "$1" -name '*.db' | while read -r database; do
    cp --remove-destination "$(image_store)/root/${database#"$1/"}" "$database"
  done
}

# import_image NODE ARCHIVE
import_image() {
  local output
  output=$(in_node "$1" ctr -n k8s.io images import "$2" 2>&1) || fail "$2 cannot be imported on $1: $output"
}
