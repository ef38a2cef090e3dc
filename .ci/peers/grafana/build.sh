#!/bin/bash
# Builds a Grafana 10 server (API only, no web front end) from the Go module proxy: build.sh FOLDER
# FOLDER/grafana is the server, FOLDER/homepath names the folder of its module, which holds its defaults. What is there
# is kept; a module that has gone from the module cache is downloaded again. 5 CPU-minutes with empty caches; needs gcc
# (sqlite). Grafana is AGPL: it is a peer of the tests only, nothing of it is committed or shipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
mkdir -p "$out"
exec 9> "$out/lock"
flock 9 # another run may be building it
export GOTOOLCHAIN=local GOFLAGS=-mod=mod CGO_ENABLED=1
if [ ! -x "$out/grafana" ]; then
  mkdir -p "$out/src"; cd "$out/src"
  "$here/prepare.sh"
  go run github.com/google/wire/cmd/wire@v0.7.0 gen -tags oss ./server
  go build -tags oss -ldflags '-s -w' -o grafana .
  cp homepath "$out/homepath"
  mv grafana "$out/grafana"
elif [ ! -d "$(cat "$out/homepath")" ]; then
  mkdir -p "$out/src"; cd "$out/src"
  "$here/prepare.sh"
  cp homepath "$out/homepath"
fi
