package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// An agent in a PID namespace of its own took every container for ended: the numbers it is told mean nothing to pidfd_open there.
func TestProcessesAreWatchedOnlyWhereTheirNumbersMeanThem(t *testing.T) {
	f := func(self string, want bool) {
		t.Helper()
		dir := t.TempDir()
		if self != "" {
			if err := os.Symlink(self, filepath.Join(dir, "self")); err != nil {
				t.Fatal(err)
			}
		}
		if got := hasOwnNumber(dir); got != want {
			t.Errorf("proc with self=%q: %v, want %v", self, got, want)
		}
	}
	f(strconv.Itoa(os.Getpid()), true)
	f(strconv.Itoa(os.Getpid()+1), false)
	f("", true)
	if !hasOwnNumber("/proc") {
		t.Error("the own /proc has another number")
	}
	if w, err := openExits[cgroup.ContainerID](1, false); w != nil || !errors.Is(err, errOtherPIDs) {
		t.Errorf("%v, %v", w, err)
	}
}
