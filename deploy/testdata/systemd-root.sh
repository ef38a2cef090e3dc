#!/bin/sh
# Makes in FOLDER the root of a machine with this host's systemd, busybox and nothing else: systemd-root.sh FOLDER
set -eu
root=$1
mkdir -p "$root"/bin "$root"/etc/systemd/system "$root"/etc/plimsoll "$root"/proc "$root"/sys "$root"/dev "$root"/run "$root"/tmp \
  "$root"/root "$root"/usr/local/bin "$root"/var/lib "$root"/var/log
for program in /lib/systemd/systemd /lib/systemd/systemd-executor /bin/systemctl; do
  [ -e "$program" ] || continue # systemd-executor came with systemd 254
  mkdir -p "$root$(dirname "$program")"
  cp -L "$program" "$root$program"
  ldd "$program"
done | grep -oE '/[^ ]+\.so[^ ]*' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
# What systemd opens by name when it is there: seccomp is what SystemCallFilter= needs.
for library in /lib/*/libseccomp.so.2 /lib/*/libnss_systemd.so.2; do
  [ ! -e "$library" ] || cp -L "$library" "$root$library"
done
cp /bin/busybox "$root/bin/"
for applet in sh cat; do ln -s busybox "$root/bin/$applet"; done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/etc/group"
printf 'passwd: files systemd\ngroup: files systemd\n' > "$root/etc/nsswitch.conf"
: > "$root/etc/machine-id"
for target in basic sysinit shutdown multi-user network-online; do
  printf '[Unit]\nDescription=%s\n' "$target" > "$root/etc/systemd/system/$target.target"
done
ln -s multi-user.target "$root/etc/systemd/system/default.target"
