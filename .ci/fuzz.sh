#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS (60), one after the other, and prints a line for each. FUZZ_ONLY is a part of the targets'
# names or folders. With FUZZ_KEEP=n the n smallest inputs that were found are kept in the package's testdata/fuzz. Fails when a
# target does; what made it fail is in testdata/fuzz then.
set -u
seconds=${FUZZ_SECONDS:-60}
keep=${FUZZ_KEEP:-0}
module=$(go list -m)
cache=$(go env GOCACHE)/fuzz
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in $(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' agent collector dashboards alerts deploy | sed -E 's#^(.*)/[^/]*_test.go:[0-9]+:func (Fuzz.*)$#\1:\2#' | sort -u); do
	dir=${target%%:*}
	name=${target##*:}
	case $target in *"${FUZZ_ONLY:-}"*) ;; *) continue ;; esac
	if go test -run '^$' -fuzz "^$name\$" -fuzztime "${seconds}s" -fuzzminimizetime 2s "./$dir" >"$log" 2>&1; then
		said=$(grep -oE 'execs: [0-9]+.*' "$log" | tail -1)
		printf '%-42s %-26s ok     %s\n' "$dir" "$name" "$said"
	else
		failed=1
		printf '%-42s %-26s FAILED\n' "$dir" "$name"
		tail -40 "$log"
	fi
	[ "$keep" -gt 0 ] && [ -d "$cache/$module/$dir/$name" ] || continue
	mkdir -p "$dir/testdata/fuzz/$name"
	find "$cache/$module/$dir/$name" -type f -size -4k -printf '%s %p\n' | sort -n | head -n "$keep" | while read -r _ input; do
		cp "$input" "$dir/testdata/fuzz/$name/"
	done
done
exit $failed
