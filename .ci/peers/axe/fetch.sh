#!/bin/bash
# Fetches axe-core, which looks for what keeps people from using a page, from npm: fetch.sh FOLDER
# FOLDER/axe.min.js is what the browser tests run in the pages. It is a peer of the tests only (MPL-2.0), never served.
set -euo pipefail
version=4.14.1
out=$1
mkdir -p "$out"
exec 9> "$out/lock"
flock 9 # another run may be fetching it
if [ -s "$out/axe.min.js" ]; then echo "axe-core is there"; exit; fi
if ! command -v npm > /dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends npm; } > "$out/apt.log" 2>&1 < /dev/null
fi
scratch=$(mktemp -d "$out/fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
(cd "$scratch" && npm pack --silent "axe-core@$version" > /dev/null && tar xzf "axe-core-$version.tgz" package/axe.min.js package/LICENSE)
mv "$scratch/package/LICENSE" "$scratch/package/axe.min.js" "$out/"
echo "axe-core $version fetched"
