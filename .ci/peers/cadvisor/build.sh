#!/bin/bash
# Builds the cAdvisor peer into a folder: build.sh FOLDER makes FOLDER/cadvisor. What was built from the same sources is kept.
# A module of its own, so that cAdvisor's dependencies stay out of ours. Both its modules are named at v0.60.6 in go.mod: the
# published root module asks for a lib v0.0.0 that does not exist.
set -euo pipefail
out=$1
mkdir -p "$out"
exec 9> "$out/lock"
flock 9 # another run may be building it
cd "$(dirname "$0")"
sources=$(cat main.go go.mod go.sum | sha256sum)
if [ -x "$out/cadvisor" ] && [ "$(cat "$out/sources" 2> /dev/null)" = "$sources" ]; then exit 0; fi
echo "building cadvisor v0.60.6"
CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=local go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$out/cadvisor.new" .
mv "$out/cadvisor.new" "$out/cadvisor"
echo "$sources" > "$out/sources"
