#!/bin/sh
# First process of the guest: mounts what a Linux needs with cgroup v2 alone, starts dockerd, runs /out/hook.sh and powers off.
export PATH=/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run; mount -t tmpfs tmp /tmp; ln -sf /proc/self/fd /dev/fd
rm -rf /var/run; ln -s /run /var/run
say() { echo "[guest $(cut -d' ' -f1 /proc/uptime)] $*" > /dev/console; }
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 out /out
ip link set lo up; hostname guest
say "up: $(uname -r), controllers $(cat /sys/fs/cgroup/cgroup.controllers)"
dockerd --iptables=false --ip6tables=false --ip-masq=false --exec-opt native.cgroupdriver=cgroupfs --storage-driver=overlay2 \
  -H unix:///var/run/docker.sock > /out/dockerd.log 2>&1 &
n=0
until docker version > /dev/null 2>&1; do
  sleep 0.5; n=$((n + 1))
  [ $n -lt 240 ] || { say "dockerd does not answer"; tail -5 /out/dockerd.log > /dev/console; poweroff -f; }
done
docker import -c 'CMD ["/bin/sh"]' /root/image.tar plimsoll-bb:test > /dev/null
say "dockerd is up, running the hook"
sh /out/hook.sh > /out/hook.log 2>&1
echo $? > /out/hook.code
say "done"
sync; poweroff -f
