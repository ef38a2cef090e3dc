#!/bin/bash
# A whole Kubernetes on this machine: node.sh up FOLDER BINARIES, node.sh workload FOLDER, node.sh down FOLDER.
# `up` is `control` (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) and `node` (containerd and a kubelet, cgroup v1 or v2);
# `workload` starts the pods of workload.yaml, each running when it returns. State goes to FOLDER; `down` stops what `up` started, by pid,
# and undoes what the kubelet did to the machine. The binaries are those of build.sh; etcd-server, containerd, runc,
# containernetworking-plugins, kubernetes-client (kubectl), docker.io (to make images) and busybox-static come from Debian. With
# PLIMSOLL_CRI_DOCKERD=BINARY in the environment the pods run on this machine's Docker engine, through that cri-dockerd, not on containerd.
set -euo pipefail
action=$1; W=$2; node=plimsoll-node; port=26443
export KUBECONFIG=$W/kubeconfig
ctr="ctr -a $W/containerd/containerd.sock -n k8s.io"

begin() { # begin NAME COMMAND...
  local name=$1; shift
  "$@" > "$W/$name.log" 2>&1 < /dev/null & echo $! > "$W/$name.pid"
}
await() { # await NAME SECONDS COMMAND...
  local name=$1 n=$(($2 * 4)); shift 2
  until "$@" > /dev/null 2>&1; do
    n=$((n - 1)); sleep 0.25
    [ $n -gt 0 ] && kill -0 "$(cat "$W/$name.pid")" || { echo "$name does not come up:"; tail -20 "$W/$name.log"; exit 1; }
  done
}
certificate() { # certificate NAME SUBJECT
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 30 -extfile names.cnf 2> /dev/null
}
config() { # config NAME prints a kubeconfig that uses its certificate
  cat << YAML
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$port", certificate-authority: $W/ca.crt}}]
users: [{name: u, user: {client-certificate: $W/$1.crt, client-key: $W/$1.key}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: ${2:-default}}}]
current-context: x
YAML
}

control() {
  local bin=$1
  mkdir -p "$W"; cd "$W"
  openssl genrsa -out sa.key 2048 2> /dev/null; openssl rsa -in sa.key -pubout -out sa.pub 2> /dev/null
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=plimsoll-test 2> /dev/null
  printf 'subjectAltName=IP:127.0.0.1,IP:10.0.2.2,IP:10.96.0.1,DNS:localhost,DNS:%s,DNS:kubernetes.default.svc\nextendedKeyUsage=serverAuth,clientAuth\n' $node > names.cnf
  certificate apiserver /CN=kube-apiserver
  certificate admin /O=system:masters/CN=admin
  certificate kubelet /O=system:nodes/CN=system:node:$node
  certificate agent /CN=system:serviceaccount:plimsoll:plimsoll-agent
  config admin > kubeconfig; config kubelet > kubelet.kubeconfig; config agent plimsoll > agent.kubeconfig

  begin etcd etcd --data-dir "$W/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:22379 --advertise-client-urls http://127.0.0.1:22379 \
    --listen-peer-urls http://127.0.0.1:22380 --initial-advertise-peer-urls http://127.0.0.1:22380 --initial-cluster default=http://127.0.0.1:22380
  begin_apiserver "$bin"
  begin controllers "$bin/kube-controller-manager" --kubeconfig=kubeconfig --leader-elect=false --service-account-private-key-file=sa.key --root-ca-file=ca.crt \
    --bind-address=127.0.0.1 --secure-port=21257 --use-service-account-credentials=true --cluster-signing-cert-file=ca.crt --cluster-signing-key-file=ca.key
  begin scheduler "$bin/kube-scheduler" --kubeconfig=kubeconfig --leader-elect=false --bind-address=127.0.0.1 --secure-port=21259
  kubectl create namespace shop > /dev/null
  await controllers 60 kubectl -n shop get serviceaccount default
}

node() {
  local bin=$1 address
  address=$(ip -4 -o addr show scope global | awk '{split($4,a,"/"); print a[1]; exit}')
  mkdir -p "$W"/{containerd,cni,kubelet,podlogs}; cd "$W"
  cat > cni/10-plimsoll.conflist << JSON
{"cniVersion":"0.4.0","name":"plimsoll","plugins":[{"type":"bridge","bridge":"plimsoll0","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local","dataDir":"$W/ipam","ranges":[[{"subnet":"10.244.77.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
JSON
  local root; root=$(mktemp -d); mkdir "$root/bin"; cp "$(command -v busybox)" "$root/bin/busybox"
  for a in sh sleep cat tail dd true wget nc; do ln -s busybox "$root/bin/$a"; done
  tar -C "$root" -c . | docker import -c 'ENTRYPOINT ["/bin/sleep","2147483647"]' - localhost/pause:1 > /dev/null
  tar -C "$root" -c . | docker import -c 'CMD ["/bin/sh"]' - localhost/plimsoll-bb:1 > /dev/null
  rm -rf "$root"
  local runtime socket
  if [ -n "${PLIMSOLL_CRI_DOCKERD:-}" ]; then
    runtime=cri-dockerd socket=$W/cri-dockerd.sock
    begin $runtime "$PLIMSOLL_CRI_DOCKERD" --container-runtime-endpoint="unix://$socket" --cri-dockerd-root-directory="$W/cri-dockerd" \
      --pod-infra-container-image=localhost/pause:1 --network-plugin=cni --cni-bin-dir=/usr/lib/cni --cni-conf-dir="$W/cni" --cni-cache-dir="$W/cni-cache" --streaming-bind-addr=127.0.0.1:0
    await $runtime 30 test -S "$socket"
  else
    runtime=containerd socket=$W/containerd/containerd.sock
    begin_containerd
    docker save localhost/pause:1 localhost/plimsoll-bb:1 | $ctr images import - > /dev/null
    docker rmi localhost/pause:1 localhost/plimsoll-bb:1 > /dev/null
  fi

  cat > kubelet.yaml << YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://$socket
failSwapOn: false
oomScoreAdj: 0
address: 127.0.0.1
port: 21250
healthzPort: 21248
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $W/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $W/kubelet.crt
tlsPrivateKeyFile: $W/kubelet.key
podLogsDir: $W/podlogs
volumePluginDir: $W/kubelet/plugins
makeIPTablesUtilChains: false
evictionHard: {memory.available: "10Mi", nodefs.available: "1%", imagefs.available: "1%"}
nodeStatusUpdateFrequency: 5s
YAML
  sysctl -n vm.overcommit_memory kernel.panic kernel.panic_on_oops vm.panic_on_oom kernel.keys.root_maxkeys kernel.keys.root_maxbytes > sysctl.before
  begin kubelet "$bin/kubelet" --config=kubelet.yaml --kubeconfig=kubelet.kubeconfig --root-dir="$W/kubelet" --cert-dir="$W" \
    --containerd="$W/containerd/containerd.sock" --hostname-override=$node --node-ip="$address" --v=2
  await kubelet 240 sh -c "kubectl get node $node | grep -q ' Ready'"
}

workload() {
  kubectl apply -f "$here/workload.yaml" > /dev/null
  for owner in ds/agentlike deploy/burn sts/db; do kubectl -n shop rollout status $owner --timeout=300s > /dev/null; done
  await apiserver 120 sh -c 'kubectl -n shop get pod | grep -q "^tick-.* Running"' # the CronJob runs at the full minute
  kubectl -n shop get pod -o wide
}

begin_containerd() {
  cat > containerd.toml << TOML
version = 2
root = "$W/containerd/root"
state = "$W/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs","io.containerd.snapshotter.v1.zfs","io.containerd.snapshotter.v1.aufs","io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "$W/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$W/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$W/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
TOML
  begin containerd containerd -c containerd.toml
  await containerd 30 $ctr version
}

begin_apiserver() {
  begin apiserver "$1/kube-apiserver" --etcd-servers=http://127.0.0.1:22379 --secure-port=$port --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
    --tls-cert-file="$W/apiserver.crt" --tls-private-key-file="$W/apiserver.key" --client-ca-file="$W/ca.crt" --anonymous-auth=false \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$W/sa.pub" --service-account-signing-key-file="$W/sa.key" \
    --service-cluster-ip-range=10.96.0.0/24 --authorization-mode=Node,RBAC --allow-privileged=true --endpoint-reconciler-type=none \
    --kubelet-client-certificate="$W/admin.crt" --kubelet-client-key="$W/admin.key"
  await apiserver 60 kubectl get --raw /readyz
}

stop() {
  local name pid
  for name in "$@"; do
    [ -f "$W/$name.pid" ] || continue
    pid=$(cat "$W/$name.pid"); kill "$pid" 2> /dev/null || true
    for n in $(seq 40); do kill -0 "$pid" 2> /dev/null || break; sleep 0.25; done
    rm -f "$W/$name.pid"
  done
}

down() {
  set +e
  if [ -f "$W/kubelet.pid" ]; then
    kubectl delete ds,deploy --all -A --timeout=20s > /dev/null 2>&1
    kubectl delete pod --all -A --grace-period=1 --timeout=40s > /dev/null 2>&1
    stop kubelet
    set -- $(cat "$W/sysctl.before")
    sysctl -qw vm.overcommit_memory="$1" kernel.panic="$2" kernel.panic_on_oops="$3" vm.panic_on_oom="$4" kernel.keys.root_maxkeys="$5" kernel.keys.root_maxbytes="$6"
  fi
  stop scheduler controllers apiserver etcd
  if [ -f "$W/containerd.pid" ]; then
    for task in $($ctr task ls -q); do $ctr task kill -s KILL "$task"; sleep 0.3; $ctr task rm -f "$task"; done > /dev/null 2>&1
    for container in $($ctr container ls -q); do $ctr container rm "$container"; done > /dev/null 2>&1
    stop containerd
  fi
  if [ -f "$W/cri-dockerd.pid" ]; then
    stop cri-dockerd
    docker ps -aq --filter label=io.kubernetes.pod.uid | xargs -r docker rm -f > /dev/null 2>&1
    docker rmi localhost/pause:1 localhost/plimsoll-bb:1 > /dev/null 2>&1
  fi
  grep -o " $W/[^ ]*" /proc/self/mountinfo | tr -d ' ' | sort -ru | while read -r m; do umount -l "$m"; done
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} \; 2> /dev/null
  rmdir /sys/fs/cgroup/*/k8s.io 2> /dev/null
  rm -rf /var/lib/kubelet/device-plugins; rmdir /var/lib/kubelet/* /var/lib/kubelet 2> /dev/null
  ip link del plimsoll0 2> /dev/null
  rm -rf "$W"
  find /var/log/containers -xtype l -delete 2> /dev/null; rmdir /var/log/containers 2> /dev/null
  true
}

here=$(cd "$(dirname "$0")" && pwd)
case $action in
  up) control "$3"; node "$3" ;;
  control) control "$3" ;;
  node) node "$3" ;;
  workload) workload ;;
  down) down ;;
  stop-controllers) stop scheduler controllers ;;
  stop-apiserver) stop apiserver ;;
  start-apiserver) cd "$W"; begin_apiserver "$3" ;;
  *) echo "usage: node.sh up|control|node|workload|down|stop-controllers|stop-apiserver|start-apiserver FOLDER [BINARIES]" >&2; exit 2 ;;
esac
