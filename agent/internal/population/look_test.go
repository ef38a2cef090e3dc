package population

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAProcessOfAnotherPIDNamespaceIsNoneThatCouldBeWatched(t *testing.T) {
	f := func(procs string, want int) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "cgroup.procs")
		if err := os.WriteFile(path, []byte(procs), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := firstProcess(path); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", procs, got, err, want)
		}
	}
	f("", 0)
	f("12\n13\n", 12)
	f("0\n0\n", elsewhere)
	f("-1\n", elsewhere)
	f("max\n", elsewhere)
	f("99999999999999999999\n", elsewhere)
	if _, err := firstProcess(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}
