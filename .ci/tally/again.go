package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// againOf takes -again=N from the front of the arguments; without it no test has a second try.
func againOf(args []string) (int, []string, error) {
	if len(args) == 0 || !strings.HasPrefix(args[0], "-again=") {
		return 0, args, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(args[0], "-again="))
	if err != nil || n < 0 {
		return 0, nil, fmt.Errorf("%s: want a number of tests, 0 or more", args[0])
	}
	return n, args[1:], nil
}

// secondTry lets each failed test run once more with its subtests, where there are at most `limit` of them and nothing else failed, no
// package and no build. The tests talk to live servers on machines that others share; one that is alone and fails is wrong. It tells
// whether nothing failed any more.
func (t *tally) secondTry(limit int, passes func(failure) bool) bool {
	var tests []failure
	for _, f := range t.failures {
		if f.test == "" {
			return false
		}
		f.test, _, _ = strings.Cut(f.test, "/")
		if !slices.Contains(tests, f) {
			tests = append(tests, f)
		}
	}
	if len(tests) == 0 || len(tests) > limit {
		return false
	}
	for _, again := range tests {
		if !passes(again) {
			continue
		}
		t.unsteady = append(t.unsteady, again.String()+": failed beside the other tests, passed alone")
		t.failures = slices.DeleteFunc(t.failures, func(f failure) bool {
			of := f.packagePath == again.packagePath && (f.test == again.test || strings.HasPrefix(f.test, again.test+"/"))
			if of {
				t.failed--
				t.passed++
			}
			return of
		})
	}
	return len(t.failures) == 0
}
