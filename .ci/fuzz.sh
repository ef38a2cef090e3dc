#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS (60), one after the other, with FUZZ_PARALLEL workers (as many as there are CPUs), and ends with
# a table: inputs tried, inputs of the repository's corpus, inputs that reached new code, what came of it. FUZZ_ONLY is a part of the
# targets' names or folders. With FUZZ_KEEP=n the n smallest inputs that were found are kept in the package's testdata/fuzz. Fails when
# a target does, or has no corpus in the repository; what made it fail is in testdata/fuzz then.
set -u
seconds=${FUZZ_SECONDS:-60}
keep=${FUZZ_KEEP:-0}
parallel=${FUZZ_PARALLEL:-$(getconf _NPROCESSORS_ONLN)}
module=$(go list -m)
cache=$(go env GOCACHE)/fuzz
log=$(mktemp)
table=$(mktemp)
trap 'rm -f "$log" "$table"' EXIT
row() { printf '%-34s %-26s %12s %8s %8s  %s\n' "$@"; }

ran=0
failed=0
for target in $(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' agent collector dashboards alerts deploy | sed -E 's#^(.*)/[^/]*_test.go:[0-9]+:func (Fuzz.*)$#\1:\2#' | sort -u); do
	dir=${target%%:*}
	name=${target##*:}
	case $target in *"${FUZZ_ONLY:-}"*) ;; *) continue ;; esac
	ran=$((ran + 1))
	corpus=0
	[ ! -d "$dir/testdata/fuzz/$name" ] || corpus=$(find "$dir/testdata/fuzz/$name" -type f | wc -l)
	for try in first second; do
		result=ok
		go test -run '^$' -fuzz "^$name\$" -fuzztime "${seconds}s" -fuzzminimizetime 2s -parallel "$parallel" "./$dir" >"$log" 2>&1 || result=FAILED
		# When the time is over Go's coordinator can take its own deadline for a failure: no input is written then, and it has a second try.
		grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log" && [ $try = first ] || break
	done
	execs=$(sed -nE 's/.*execs: ([0-9]+) .*/\1/p' "$log" | tail -1)
	new=$(sed -nE 's/.*new interesting: ([0-9]+) .*/\1/p' "$log" | tail -1)
	if [ "$result" = FAILED ]; then
		tail -40 "$log"
		result="FAILED $(sed -nE 's/.*Failing input written to (.*)/\1/p' "$log" | tail -1)"
	elif [ "$corpus" -eq 0 ]; then
		result="FAILED no corpus in $dir/testdata/fuzz/$name"
	fi
	case $result in FAILED*) failed=$((failed + 1)) ;; esac
	printf '%s %s: %s, %s inputs\n' "$dir" "$name" "$result" "${execs:-0}"
	row "$dir" "$name" "${execs:-0}" "$corpus" "${new:-0}" "$result" >>"$table"
	[ "$keep" -gt 0 ] && [ -d "$cache/$module/$dir/$name" ] || continue
	mkdir -p "$dir/testdata/fuzz/$name"
	find "$cache/$module/$dir/$name" -type f -size -4k -printf '%s %p\n' | sort -n | head -n "$keep" | while read -r _ input; do
		cp "$input" "$dir/testdata/fuzz/$name/"
	done
done
echo
row package target inputs corpus "new" result
cat "$table"
echo
echo "$ran targets, $seconds s each, $failed failed"
[ "$failed" -eq 0 ] && [ "$ran" -gt 0 ]
