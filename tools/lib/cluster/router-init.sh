#!/usr/bin/env bash
# The first process of a router, in its own network, mount and UTS namespaces: gives it the folders where FRR's and BIRD's tools look for
# them, so that vtysh and birdc work in it, and runs the router until it is killed. What it mounts vanishes with it.
#   router-init.sh FOLDER ROUTER frr|bird
set -euo pipefail
folder=$1 router=$2 brand=$3

mount --make-rprivate /
# Names of network namespaces would keep those alive that others have removed.
umount --recursive --lazy /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=0755 tmpfs /run
hostname "$router"

answers() { # seconds, command...
  local until=$((SECONDS + $1))
  until "${@:2}" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.05
  done
}

case $brand in
  bird)
    mkdir -p /run/bird
    bird -f -c "$folder/config" -s /run/bird/bird.ctl &
    answers 20 birdc show status
    ;;
  frr)
    mount -t tmpfs -o mode=0755 tmpfs /etc/frr
    install -d -o frr -g frr /run/frr
    install -m 640 -o frr -g frr "$folder/config" /etc/frr/frr.conf
    install -m 640 -o frr -g frrvty /dev/null /etc/frr/vtysh.conf
    for daemon in zebra bfdd bgpd; do
      /usr/lib/frr/$daemon -A 127.0.0.1 -P 0 --log stdout &
      answers 20 test -S "/run/frr/$daemon.vty"
    done
    vtysh -b
    ;;
esac
echo $$ >"$folder/init.pid.new"
mv "$folder/init.pid.new" "$folder/init.pid"
wait
