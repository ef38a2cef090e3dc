#!/bin/bash
# Runs the tests that compare with live containers on cgroup v2, and those of births and deaths, in a QEMU guest without KVM: six minutes.
# PLIMSOLL_KERNEL names a folder in which another kernel package is unpacked (dpkg -x): newer-kernel.sh fetches one with resettable memory peaks.
# Needs the Debian packages qemu-system-x86 linux-image-amd64 busybox-static e2fsprogs cpio kmod iproute2 docker.io.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=$PWD/.ci/peers/cgroup2
for program in qemu-system-x86_64 mke2fs cpio modprobe ip dockerd /bin/busybox; do
  command -v "$program" > /dev/null || { echo "$program is missing: apt-get install qemu-system-x86 linux-image-amd64 busybox-static e2fsprogs cpio kmod iproute2 docker.io"; exit 1; }
done
cache=${PLIMSOLL_CACHE:-$HOME/.cache/plimsoll}
work=$(mktemp -d "${TMPDIR:-/tmp}/plimsoll-cgroup2.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"
.ci/peers/cadvisor/build.sh "$cache/cadvisor-v0.60.6"
cp "$cache/cadvisor-v0.60.6/cadvisor" "$work/out/"
for package in agent agent/internal/cgroup agent/internal/population agent/internal/process collector/e2e; do
  CGO_ENABLED=0 go test -c -o "$work/out/$(basename "$package").test" "./$package"
done
for program in agent collector; do
  CGO_ENABLED=0 go build -o "$work/out/plimsoll-$program" "./$program"
done
cat > "$work/out/hook.sh" <<'HOOK'
cp /out/*.test /out/cadvisor /out/plimsoll-* /tmp
export CI=true PLIMSOLL_CADVISOR=/tmp PLIMSOLL_BINARIES=/tmp
code=0
/tmp/agent.test -test.v -test.run TestTheAgentSaysWhatCadvisorSays || code=1
/tmp/cgroup.test -test.v -test.run Live || code=1
/tmp/process.test -test.v -test.run TheKernelCounts || code=1
/tmp/population.test -test.v || code=1
/tmp/e2e.test -test.v -test.run 'TestShortLived|TestOOMKills' || code=1
exit $code
HOOK
"$here/mkguest.sh" "$work"
kernel=$(ls "${PLIMSOLL_KERNEL:-}"/boot/vmlinuz-*-amd64 | sort -V | tail -1)
timeout "${LIMIT:-1200}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 -display none -serial stdio -no-reboot -nodefaults \
  -kernel "$kernel" -initrd "$work/initrd.gz" \
  -append "console=ttyS0 panic=-1 psi=1 quiet cgroup_no_v1=all mitigations=off nokaslr net.ifnames=0" \
  -drive "file=$work/disk,format=raw,if=virtio,snapshot=on" \
  -virtfs "local,path=$work/out,mount_tag=out,security_model=none" < /dev/null
cat "$work/out/hook.log"
exit "$(cat "$work/out/hook.code" 2> /dev/null || echo 1)"
