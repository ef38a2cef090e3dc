#!/bin/bash
# Builds Kubernetes commands from the Go module proxy into a folder: build.sh FOLDER COMMAND...
# What is already there is kept. Kubernetes is a peer of the tests only; nothing of it is committed or shipped.
set -euo pipefail
out=$1; shift
mkdir -p "$out"
exec 9> "$out/lock"
flock 9 # another run may be building them
version=${PLIMSOLL_KUBERNETES_VERSION:-v1.34.4}
staging=v0.${version#v1.}
missing=()
for command in "$@"; do [ -x "$out/$command" ] || missing+=("$command"); done
[ ${#missing[@]} -gt 0 ] || exit 0

export GOTOOLCHAIN=local GOFLAGS=-mod=mod CGO_ENABLED=0
mkdir -p "$out/src"; cd "$out/src"
if [ ! -f done.mod ]; then
  # k8s.io/kubernetes replaces its libraries by folders of its own repository; the published ones of the same
  # version take their place, every other dependency at the version Kubernetes itself asks for.
  rm -f go.mod go.sum
  go mod init example.invalid/kubernetes 2>/dev/null
  upstream=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  sed -n 's/^\tk8s.io\/\([a-z0-9-]*\) => .\/staging.*/\1/p' "$upstream" |
    while read -r module; do echo "replace k8s.io/$module => k8s.io/$module $staging"; done >> go.mod
  sed -n '/^require (/,/^)/p' "$upstream" | grep -v 'k8s.io/.* v0.0.0' >> go.mod
  go mod edit -require="k8s.io/kubernetes@$version"
  cat > tools.go <<'GO'
//go:build tools

package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
GO
  go mod tidy
  touch done.mod
fi
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  minor=${version#v1.}
  flags="$flags -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean -X $package.gitCommit=unknown"
done
for command in "${missing[@]}"; do
  echo "building $command $version"
  go build -trimpath -ldflags "$flags" -o "$command" "k8s.io/kubernetes/cmd/$command"
  mv "$command" "$out/$command"
done
