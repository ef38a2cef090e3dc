package ledger_test

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/internal/ledger"
)

func open(t *testing.T, path string) (*ledger.Ledger, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	l, err := ledger.Open(path, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, reg
}

// killed is a copy of the file as a kill -9 of its owner leaves it.
func killed(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(t.TempDir(), "left")
	if err := os.WriteFile(left, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return left
}

func contents(l *ledger.Ledger) map[string]string {
	all := map[string]string{}
	for key, value := range l.All() {
		all[key] = string(value)
	}
	return all
}

func wantContents(t *testing.T, l *ledger.Ledger, want map[string]string) {
	t.Helper()
	if got := contents(l); !maps.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}

func wantDamaged(t *testing.T, reg *prometheus.Registry, want int) {
	t.Helper()
	text := fmt.Sprintf(`
# HELP plimsoll_agent_ledger_damaged_total Lines of the ledger of slot counters, or whole files, that were damaged and left out.
# TYPE plimsoll_agent_ledger_damaged_total counter
plimsoll_agent_ledger_damaged_total %d
`, want)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "plimsoll_agent_ledger_damaged_total"); err != nil {
		t.Error(err)
	}
}

func TestWhatWasPutIsThereWithoutAnyoneClosing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "slots")
	l, _ := open(t, path)
	l.Put("a", []byte(`1`))
	l.Put("b", []byte(`{"x":2}`))
	l.Put("a", []byte(`3`))
	l.Put("c", []byte(`4`))
	l.Delete("c")
	again, reg := open(t, killed(t, path))
	wantContents(t, again, map[string]string{"a": "3", "b": `{"x":2}`})
	wantDamaged(t, reg, 0)
}

func TestAHalfWrittenLineCostsThatChangeOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slots")
	l, _ := open(t, path)
	l.Put("a", []byte(`1`))
	l.Put("b", []byte(`1`))
	l.Put("a", []byte(`2`))
	text, _ := os.ReadFile(path)
	path = filepath.Join(t.TempDir(), "half")
	os.WriteFile(path, text[:len(text)-4], 0o600)
	again, reg := open(t, path)
	wantContents(t, again, map[string]string{"a": "1", "b": "1"})
	wantDamaged(t, reg, 1)
	again.Put("a", []byte(`5`)) // not glued to the half line
	third, reg := open(t, killed(t, path))
	wantContents(t, third, map[string]string{"a": "5", "b": "1"})
	wantDamaged(t, reg, 0)
}

func TestAFlippedBitCostsThatChangeOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slots")
	l, _ := open(t, path)
	l.Put("a", []byte(`111`))
	l.Put("b", []byte(`1`))
	text, _ := os.ReadFile(path)
	path = filepath.Join(t.TempDir(), "flipped")
	os.WriteFile(path, []byte(strings.Replace(string(text), "111", "911", 1)), 0o600)
	again, reg := open(t, path)
	wantContents(t, again, map[string]string{"b": "1"})
	wantDamaged(t, reg, 1)
}

func TestAFileThatIsNoLedgerIsSetAside(t *testing.T) {
	for _, text := range []string{"", "something else\n", strings.Repeat("x", 3<<20)} {
		path := filepath.Join(t.TempDir(), "slots")
		os.WriteFile(path, []byte(text), 0o600)
		l, reg := open(t, path)
		wantContents(t, l, map[string]string{})
		wantDamaged(t, reg, 1)
		if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != text {
			t.Errorf("set aside: %d bytes, %v", len(kept), err)
		}
	}
}

func TestTheFileDoesNotGrowWithoutBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slots")
	l, _ := open(t, path)
	for i := range 20_000 {
		l.Put("a", fmt.Appendf(nil, "%d", i))
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 200<<10 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	again, _ := open(t, killed(t, path))
	wantContents(t, again, map[string]string{"a": "19999"})
}

func TestADirectoryThatCanNotBeWrittenIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := ledger.Open(filepath.Join(file, "slots"), slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

// An agent that was killed while its disk was full, or read-only, did not start again: it saw nothing until somebody came.
func TestAFullOrReadOnlyDiskCostsNoStart(t *testing.T) {
	for _, ill := range []string{"full", "read-only"} {
		t.Run(ill, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("CI must provide the right to mount: %v", err)
				}
				t.Skipf("needs the right to mount: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			remount := func(flags uintptr) {
				if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
					t.Fatal(err)
				}
			}
			path, filler := filepath.Join(dir, "slots"), filepath.Join(dir, "filler")
			before, _ := open(t, path)
			before.Put("a", []byte(`1`))
			before.Close()
			if ill == "full" {
				_ = os.WriteFile(filler, make([]byte, 1<<20), 0o600)
			} else {
				remount(syscall.MS_RDONLY)
			}
			l, _ := open(t, path)
			l.Put("b", []byte(`2`))
			wantContents(t, l, map[string]string{"a": "1", "b": "2"})
			if ill == "full" {
				os.Remove(filler)
			} else {
				remount(0)
			}
			l.Put("c", []byte(`3`))
			again, _ := open(t, killed(t, path))
			wantContents(t, again, map[string]string{"a": "1", "b": "2", "c": "3"})
			l.Close()
		})
	}
}

func TestTwoAgentsDoNotShareALedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slots")
	l, _ := open(t, path)
	if _, err := ledger.Open(path, slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another agent uses it, process %d", os.Getpid())) {
		t.Error(err)
	}
	l.Close()
	open(t, path)
}

func FuzzAnyFileOpens(f *testing.F) {
	f.Add([]byte("plimsoll ledger 1\n00000000 {}\n"))
	f.Add([]byte("plimsoll ledger 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "slots")
		os.WriteFile(path, text, 0o600)
		l, err := ledger.Open(path, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.Put("k", []byte(`1`))
	})
}
