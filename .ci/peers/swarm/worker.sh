#!/bin/bash
# A second Docker engine on this machine, as a worker of a Swarm: worker.sh up FOLDER, worker.sh down FOLDER. It has a network namespace of
# its own, joined by a veth pair (10.213.7.1 here, 10.213.7.2 there), a host name of its own, and neither bridge nor packet filter, so that
# the engine of this machine stays as it is. Its socket is FOLDER/docker.sock. Needs docker.io and iproute2 of Debian, and root.
set -euo pipefail
action=$1 W=$2 name=plimsoll-worker
up() {
  mkdir -p "$W"
  ip netns add $name
  ip link add plimsoll-w0 type veth peer name plimsoll-w1 netns $name
  ip addr add 10.213.7.1/24 dev plimsoll-w0; ip link set plimsoll-w0 up
  ip -n $name addr add 10.213.7.2/24 dev plimsoll-w1; ip -n $name link set plimsoll-w1 up; ip -n $name link set lo up
  nsenter --net=/run/netns/$name unshare --uts sh -c "hostname $name; exec dockerd --data-root=$W/data --exec-root=$W/exec --pidfile=$W/dockerd.pid -H unix://$W/docker.sock \
    --bridge=none --iptables=false --ip6tables=false --cgroup-parent=/$name" > "$W/dockerd.log" 2>&1 < /dev/null &
  for n in $(seq 120); do
    docker -H "unix://$W/docker.sock" version > /dev/null 2>&1 && return
    sleep 0.5
  done
  tail -20 "$W/dockerd.log"; exit 1
}
down() {
  set +e
  docker -H "unix://$W/docker.sock" ps -aq 2> /dev/null | xargs -r docker -H "unix://$W/docker.sock" rm -f > /dev/null 2>&1
  local pid; pid=$(cat "$W/dockerd.pid" 2> /dev/null)
  [ -z "$pid" ] || { kill "$pid"; for n in $(seq 80); do kill -0 "$pid" 2> /dev/null || break; sleep 0.25; done; }
  grep -o " $W/[^ ]*" /proc/self/mountinfo | tr -d ' ' | sort -ru | while read -r m; do umount -l "$m"; done
  ip link del plimsoll-w0 2> /dev/null; ip netns del $name 2> /dev/null
  find /sys/fs/cgroup -depth -type d -path "*/$name*" -exec rmdir {} \; 2> /dev/null
  rm -rf "$W"
}
case $action in
  up) up ;;
  down) down ;;
  *) echo "usage: worker.sh up|down FOLDER" >&2; exit 2 ;;
esac
