#!/bin/bash
# Unpacks a Linux 6.12 of the distribution's backports into a folder, without installing it: newer-kernel.sh FOLDER. Needs the package archive
# that this machine's apt uses; its lists are left alone.
set -euo pipefail
out=$1
if ls "$out"/boot/vmlinuz-*-amd64 > /dev/null 2>&1; then exit 0; fi
archive=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -1)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d "${TMPDIR:-/tmp}/plimsoll-kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$out"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $release-backports main" > "$work/list"
apt=(-o "Dir::Etc::sourcelist=$work/list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache")
apt-get "${apt[@]}" -qq update
package=$(apt-cache "${apt[@]}" search --names-only '^linux-image-6\.12\.[^ ]*deb12[^ ]*-amd64$' | awk '!/cloud|rt-amd64|dbg|unsigned/ { print $1 }' | sort -V | tail -1)
(cd "$work" && apt-get "${apt[@]}" -qq download "$package" && dpkg -x ./*.deb unpacked)
mkdir -p "$out/lib"
mv "$work/unpacked/boot" "$out/boot"
mv "$work/unpacked/lib/modules" "$out/lib/modules"
depmod -b "$out" "$(basename "$out"/boot/vmlinuz-* | sed s/vmlinuz-//)"
