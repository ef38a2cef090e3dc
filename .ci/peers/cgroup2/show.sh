#!/bin/bash
# Runs the tests that compare with live containers on cgroup v2, and those of births and deaths, in QEMU guests without KVM: six minutes.
# PARTS names the only parts to run: conformance, exits, kills.
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
"$here/mkguest.sh" "$work"
kernel=$(ls "${PLIMSOLL_KERNEL:-}"/boot/vmlinuz-*-amd64 | sort -V | tail -1)

# guest boots, runs a part's commands and prints what they say. Emulated CPUs are slow and slower beside other work, so that each part has a
# guest and a limit of its own: guest NAME SECONDS COMMANDS.
failed=0
guest() {
  case " ${PARTS:-$1} " in *" $1 "*) ;; *) return 0 ;; esac
  printf '%s\n' 'cp /out/*.test /out/cadvisor /out/plimsoll-* /tmp' 'export CI=true PLIMSOLL_CADVISOR=/tmp PLIMSOLL_BINARIES=/tmp' 'code=0' "$3" 'exit $code' > "$work/out/hook.sh"
  rm -f "$work/out/hook.log" "$work/out/hook.code"
  local began=$SECONDS
  timeout "$2" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 -display none -serial stdio -no-reboot -nodefaults \
    -kernel "$kernel" -initrd "$work/initrd.gz" \
    -append "console=ttyS0 panic=-1 psi=1 quiet cgroup_no_v1=all mitigations=off nokaslr net.ifnames=0" \
    -drive "file=$work/disk,format=raw,if=virtio,snapshot=on" \
    -virtfs "local,path=$work/out,mount_tag=out,security_model=none" < /dev/null > "$work/console" || echo "the guest did not end within $2 s"
  cat "$work/console" "$work/out/hook.log" || true
  local code
  code=$(cat "$work/out/hook.code" 2> /dev/null || echo 1)
  echo "=== $1: code $code after $((SECONDS - began)) s"
  [ "$code" = 0 ] || failed=1
}
guest conformance 600 '
/tmp/agent.test -test.v -test.run TestTheAgentSaysWhatCadvisorSays || code=1
/tmp/cgroup.test -test.v -test.run Live || code=1
/tmp/process.test -test.v -test.run TheKernelCounts || code=1
/tmp/population.test -test.v || code=1'
guest exits 900 '/tmp/e2e.test -test.v -test.run TestShortLived || code=1'
guest kills 900 '/tmp/e2e.test -test.v -test.run TestOOMKills || code=1'
exit $failed
