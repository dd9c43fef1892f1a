#!/usr/bin/env bash
# Installs ansible-core from PyPI, once, into a cache, and prints the folder of its programs.
#   tests/ansible.sh [--find]      --find: only says where it is, and fails where it is not
# The cache is $VIPCAST_ANSIBLE, else ~/.cache/vipcast/ansible-VERSION.
set -euo pipefail

version=2.18.6
cache=${VIPCAST_ANSIBLE:-$HOME/.cache/vipcast/ansible-$version}

if [ ! -x "$cache/bin/ansible-playbook" ] || [ ! -e "$cache/complete" ]; then
  [ "${1:-}" != --find ] || exit 1
  echo "ansible.sh: installing ansible-core $version into $cache ..." >&2
  rm -rf "$cache"
  # The scripts of an environment name its folder, so it is made in its place and declared complete at the end.
  python3 -m venv "$cache" >&2
  "$cache/bin/pip" install --quiet --disable-pip-version-check "ansible-core==$version" >&2
  touch "$cache/complete"
fi
echo "$cache/bin"
