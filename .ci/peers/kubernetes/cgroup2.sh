#!/bin/bash
# Compares the agent with a real kubelet on cgroup v2: cgroup2.sh BINARIES. The control plane of node.sh runs on this machine; containerd,
# the kubelet, its pods and the agent run in a QEMU guest without KVM, which reaches the API server at 10.0.2.2. Some six minutes.
# Needs what node.sh and .ci/peers/cgroup2/show.sh need.
set -euo pipefail
cd "$(dirname "$0")/../../.."
binaries=$1 here=$PWD/.ci/peers/kubernetes
work=$(mktemp -d "${TMPDIR:-/tmp}/plimsoll-kubelet2.XXXXXX")
guest=
finish() {
  [ -z "$guest" ] || kill "$guest" 2> /dev/null || true
  [ ! -d "$work/cluster" ] || "$here/node.sh" down "$work/cluster"
  rm -rf "$work"
}
trap finish EXIT
out=$work/out
mkdir -p "$out/node"
CGO_ENABLED=0 go build -o "$out/plimsoll-agent" ./agent
CGO_ENABLED=0 go test -c -o "$out/kubernetes.test" ./agent/internal/kubernetes
cp "$binaries/kubelet" "$here/node.sh" "$out/"

"$here/node.sh" control "$work/cluster" "$binaries"
export KUBECONFIG=$work/cluster/kubeconfig
kubectl create namespace plimsoll
kubectl apply -n plimsoll -f deploy/kubernetes/base/rbac.yaml > /dev/null
cp "$work"/cluster/*.{crt,key,kubeconfig} "$work/cluster/kubeconfig" "$out/node/"
sed -i "s#https://127.0.0.1:#https://10.0.2.2:#; s#$work/cluster/#/node/#g" "$out"/node/*kubeconfig

cat > "$out/hook.sh" <<'HOOK'
ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
mkdir /node; cp /out/node/* /node; cp /out/kubelet /out/node.sh /out/kubernetes.test /out/plimsoll-agent /tmp
hostname plimsoll-node
bash /tmp/node.sh node /node /tmp || { cp /node/*.log /out; exit 1; }
touch /out/ready
n=0; until [ -f /out/go ] || [ $n -gt 600 ]; do sleep 1; n=$((n + 1)); done
PLIMSOLL_SHOW=kubernetes PLIMSOLL_NODE=/node PLIMSOLL_AGENT=/tmp/plimsoll-agent /tmp/kubernetes.test -test.v -test.run TestShowTheAgentBesideARealKubelet
code=$?
cp /node/*.log /out
exit $code
HOOK
GUEST_PROGRAMS="bash kubectl ctr /usr/lib/cni/bridge /usr/lib/cni/host-local /usr/lib/cni/loopback" GUEST_MODULES=virtio_net .ci/peers/cgroup2/mkguest.sh "$work"
kernel=$(ls /boot/vmlinuz-*-amd64 | sort -V | tail -1)
timeout "${LIMIT:-1200}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -display none -serial stdio -no-reboot -nodefaults \
  -kernel "$kernel" -initrd "$work/initrd.gz" -nic user,model=virtio-net-pci \
  -append "console=ttyS0 panic=-1 psi=1 quiet cgroup_no_v1=all mitigations=off nokaslr net.ifnames=0" \
  -drive "file=$work/disk,format=raw,if=virtio,snapshot=on" \
  -virtfs "local,path=$out,mount_tag=out,security_model=none" < /dev/null & guest=$!
until [ -f "$out/ready" ]; do kill -0 $guest 2> /dev/null || { tail -n 20 "$out"/*.log; exit 1; }; sleep 1; done
kubectl label node plimsoll-node topology.kubernetes.io/region=bj1 cluster=show
"$here/node.sh" workload "$work/cluster"
touch "$out/go"
wait $guest || true
guest=
cat "$out/hook.log"
[ "$(cat "$out/hook.code" 2> /dev/null)" = 0 ] || { tail -n 20 "$out"/kubelet.log "$out"/containerd.log; exit 1; }
