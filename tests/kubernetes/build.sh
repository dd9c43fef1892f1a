#!/usr/bin/env bash
# Builds Kubernetes' components and etcd from Go modules, once, into a cache. By default what the test suite needs.
#   tests/kubernetes/build.sh [COMPONENT...]      kube-apiserver and etcd by default
#   tests/kubernetes/build.sh all                 also what a whole cluster needs
# The cache is $VIPCAST_TEST_CACHE, else ~/.cache/vipcast/kubernetes-VERSION. What is there already is not built again;
# kube-apiserver and etcd are also taken from $KUBEBUILDER_ASSETS.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's|^\s*k8s.io/kubernetes v||p' "$here/go.mod")
cache=${VIPCAST_TEST_CACHE:-$HOME/.cache/vipcast/kubernetes-$version}
components=(kube-apiserver etcd kubelet kubeadm kube-proxy kube-controller-manager kube-scheduler kubectl pause elector web)
[ $# -gt 0 ] || set -- kube-apiserver etcd
[ "$*" != all ] || set -- "${components[@]}"

# Without its version kubeadm asks the internet for one.
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  for value in "gitVersion=v$version" "gitMajor=${version%%.*}" "gitMinor=$(cut -d. -f2 <<<"$version")" \
    gitTreeState=clean gitCommit=0000000 buildDate=2026-01-01T00:00:00Z; do
    ldflags+=" -X $package.$value"
  done
done

build() { # component, module folder, package, linker flags
  local started=$SECONDS
  echo "build.sh: building $1 (some minutes the first time, its modules are downloaded) ..." >&2
  # Built beside and renamed, so that an interrupted build is not mistaken for a finished one.
  (cd "$2" && CGO_ENABLED=0 go build -trimpath -ldflags "$4" -o "$cache/.$1.$$" "$3")
  mv "$cache/.$1.$$" "$cache/$1"
  echo "build.sh: $cache/$1 built in $((SECONDS - started)) s" >&2
}

mkdir -p "$cache"
for component in "$@"; do
  [[ " ${components[*]} " == *" $component "* ]] || {
    echo "build.sh: no component is called $component" >&2
    exit 2
  }
  [ ! -x "$cache/$component" ] || continue
  case $component in kube-apiserver | etcd)
    [ -z "${KUBEBUILDER_ASSETS:-}" ] || [ ! -x "$KUBEBUILDER_ASSETS/$component" ] || continue
    ;;
  esac
  command -v go >/dev/null || {
    echo "build.sh: go is missing: install Go $(sed -n 's/^go //p' "$here/go.mod") or later (https://go.dev/dl)" >&2
    exit 1
  }
  case $component in
    etcd) build etcd "$here/etcd" . "-s -w" ;;
    *) build "$component" "$here" "./$component" "$ldflags" ;;
  esac
done
