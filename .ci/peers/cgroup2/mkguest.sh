#!/bin/bash
# Makes the disk image and the initramfs of a Linux guest with cgroup v2 and a Docker engine out of this host's own Debian packages, no
# network needed: mkguest.sh FOLDER. The kernel is the newest of /boot, or of PLIMSOLL_KERNEL, a folder with a kernel package unpacked.
# GUEST_PROGRAMS and GUEST_MODULES are put in besides.
set -euo pipefail
out=$1
from=${PLIMSOLL_KERNEL:-}
here=$(cd "$(dirname "$0")" && pwd)
kernel=$(ls "$from"/boot/vmlinuz-*-amd64 | sort -V | tail -1 | sed s/.*vmlinuz-//)
root=$out/root initrd=$out/initrd
rm -rf "$root" "$initrd"
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,lib,lib64,proc,sys,dev,run,tmp,var/lib/docker,etc,out,root} "$initrd"/{bin,proc,sys,dev,mod,newroot}

# add_programs copies programs of the host with the libraries they need.
add_programs() {
  local name program library
  for name in "$@"; do
    program=$(command -v "$name")
    mkdir -p "$root$(dirname "$program")"; cp -L "$program" "$root$program"
    for library in $(ldd "$program" 2> /dev/null | grep -o '/[^ ]*' || true); do # a static program has none
      mkdir -p "$root$(dirname "$library")"
      [ -e "$root$library" ] || cp -L "$library" "$root$library"
    done
  done
}
cp /bin/busybox "$root/bin/busybox"
for applet in $(/bin/busybox --list); do
  case $applet in busybox | ip) ;; *) ln -s busybox "$root/bin/$applet" ;; esac
done
add_programs dockerd containerd containerd-shim-runc-v2 runc docker docker-init docker-proxy ip mount umount ${GUEST_PROGRAMS:-}
echo root:x:0:0:root:/root:/bin/sh > "$root/etc/passwd"
printf 'root:x:0:\ndocker:x:999:\n' > "$root/etc/group"
echo 127.0.0.1 localhost > "$root/etc/hosts"; echo guest > "$root/etc/hostname"; : > "$root/etc/resolv.conf"
cp "$here/guest-init.sh" "$root/sbin/guest-init"; chmod +x "$root/sbin/guest-init"

# The image that the tests' containers run, the same as on the host.
image=$out/image
rm -rf "$image"; mkdir -p "$image"/{bin,proc,sys,dev,etc,tmp}
cp /bin/busybox "$image/bin/busybox"
for applet in $(/bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$image/bin/$applet"; done
tar -C "$image" -cf "$root/root/image.tar" .

for module in virtio_pci virtio_blk ext4 overlay bridge veth 9p 9pnet_virtio ${GUEST_MODULES:-}; do
  modprobe -d "${from:-/}" -S "$kernel" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r module; do
  cp "$module" "$initrd/mod/"; basename "$module" >> "$initrd/mod/order"
done
cp /bin/busybox "$initrd/bin/"; ln -s busybox "$initrd/bin/sh"
cat > "$initrd/init" <<'INIT'
#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t devtmpfs dev /dev
while read module; do $b insmod /mod/$module 2>/dev/null; done < /mod/order
n=0; while [ ! -b /dev/vda ] && [ $n -lt 50 ]; do $b sleep 0.2; n=$((n+1)); done
$b mount -t ext4 /dev/vda /newroot || exec /bin/sh
$b mount --move /dev /newroot/dev; $b umount /proc
exec $b switch_root /newroot /sbin/guest-init
INIT
chmod +x "$initrd/init"
(cd "$initrd" && find . | cpio -o -H newc 2> /dev/null | gzip -1 > "$out/initrd.gz")
rm -f "$out/disk"; truncate -s 1500M "$out/disk"
mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -d "$root" "$out/disk"
rm -rf "$root" "$initrd" "$image"
