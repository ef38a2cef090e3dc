package chaos_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

// disk is a file system of its own, of so many bytes, mounted at a new directory.
func disk(t *testing.T, at string, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI must provide the right to mount: %v", err)
		}
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
}

// fill takes the last byte of a disk, and returns what gives it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	_ = os.WriteFile(filler, make([]byte, 64<<20), 0o600)
	return func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that is full under the journal costs nothing: writes are refused with a time to come again, agents spool, the
// state is told, and all goes on once there is room.
func TestAFullJournalDiskLosesNothing(t *testing.T) {
	_, long := rounds(t)
	if !long {
		t.Parallel()
	}
	c := newCollector(t)
	dir := filepath.Join(c.dir, "journal")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	disk(t, dir, "2m")
	t.Cleanup(func() {
		if c.cmd != nil {
			c.kill()
		}
	})
	a := newAgent(t, 10*time.Second, c.url+"/api/v1/write")
	c.start()
	c.waitReady()
	a.start()
	time.Sleep(time.Second)
	free := fill(t, dir)
	wait := func(metric string) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			if text, err := c.get("/metrics", nil); err == nil && bytes.Contains(text, []byte("\n"+metric+"\n")) {
				return
			}
			if time.Since(began) > 20*time.Second {
				t.Fatalf("no %s", metric)
			}
		}
	}
	wait("plimsoll_collector_journal_up 0")
	time.Sleep(time.Second)
	free()
	wait("plimsoll_collector_journal_up 1")
	got := c.verifyAtTheEnd(a)
	if long {
		told.count("the journal's disk full and freed", got, "")
	}
	if !got.clean() {
		t.Fatalf("expected, stored, lost, double, wrong, disordered: %v", got)
	}
}

// ill does something to the disk of an agent while its receiver is away, undoes it, and lets everything be delivered.
func ill(t *testing.T, what string, harm func(t *testing.T, a *agent) (undo func())) {
	_, long := rounds(t)
	if !long {
		t.Parallel()
	}
	c := newCollector(t)
	between := newFaulty(t, c.url)
	a := newAgent(t, 10*time.Second, between.URL+"/api/v1/write")
	a.cfg.Dir = filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(a.cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	disk(t, a.cfg.Dir, "8m")
	t.Cleanup(func() {
		if a.cmd != nil {
			a.kill()
		}
	})
	lasts := 700 * time.Millisecond
	if long {
		lasts = 5 * time.Second
	}
	c.start()
	c.waitReady()
	a.start()
	time.Sleep(lasts)
	between.set("down")
	time.Sleep(lasts)
	undo := harm(t, a)
	first := a.newest()
	time.Sleep(lasts + 2*batchEvery)
	if a.newest() == first {
		t.Fatalf("%s: the agent stands still", what)
	}
	undo()
	time.Sleep(lasts)
	between.set("")
	got := c.verifyAtTheEnd(a)
	if long {
		told.count(what, got, "")
	}
	if !got.clean() || len(a.refused) > 0 || total(a.dropped) > 0 {
		t.Fatalf("expected, stored, lost, double, wrong, disordered: %v, refused %v, dropped %v", got, a.refused, a.dropped)
	}
}

func total(dropped map[string]int) (n int) {
	for _, samples := range dropped {
		n += samples
	}
	return n
}

func TestAFullSpoolDiskLosesNothing(t *testing.T) {
	ill(t, "the spool's disk full and freed", func(t *testing.T, a *agent) func() { return fill(t, a.cfg.Dir) })
}

func TestAReadOnlySpoolDiskLosesNothing(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes a quarter of a minute: make chaos; a test of the spool shows the same without an agent")
	}
	ill(t, "the spool's disk read-only and back", func(t *testing.T, a *agent) func() {
		// A mount becomes read-only for those who open files from then on: the agent starts anew on it.
		if err := syscall.Mount(a.cfg.Dir, a.cfg.Dir, "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("", a.cfg.Dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		a.kill()
		a.start()
		return func() {
			if err := syscall.Unmount(a.cfg.Dir, syscall.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A spool with a torn end and damage in its middle: what was hit is counted, to the sample, the rest is delivered.
func TestADamagedSpoolLosesWhatWasHitAndCountsIt(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes a quarter of a minute: make chaos; tests of the spool show the same without an agent")
	}
	c := newCollector(t)
	between := newFaulty(t, c.url)
	a := newAgent(t, 10*time.Second, between.URL+"/api/v1/write")
	a.cfg.MaxBytes = 256 << 10 // segments of 32 KiB
	const lasts = 12 * time.Second
	c.start()
	c.waitReady()
	between.set("down")
	a.start()
	time.Sleep(lasts)
	a.kill()
	segments, err := filepath.Glob(filepath.Join(a.cfg.Dir, "*.seg"))
	if err != nil || len(segments) < 1 {
		t.Fatalf("segments: %v, %v", segments, err)
	}
	damage(t, segments[0], 3000, 2000)
	damage(t, segments[len(segments)/2], 9000, 1)
	last, err := os.OpenFile(segments[len(segments)-1], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	last.Write([]byte("PLR1 half a record")) // a torn write
	last.Close()
	between.set("")
	a.start()
	time.Sleep(time.Second)
	got := c.verifyAtTheEnd(a)
	counted := a.dropped[strings.TrimPrefix(between.URL, "http://")+" spool_corrupt"]
	told.count(fmt.Sprintf("a spool of %d segments, 2 damaged, 1 torn", len(segments)), got, "the agent counts %d as spool_corrupt, %d of them of its presence series", counted, counted-got.lost)
	batches := got.lost / series
	if got.lost == 0 || counted != batches*(series+1) || got.double+got.wrong+got.disordered > 0 {
		t.Fatalf("expected, stored, lost, double, wrong, disordered: %v, but the agent counted %v", got, a.dropped)
	}
}

// damage overwrites bytes of a file.
func damage(t *testing.T, path string, at int64, bytes int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(slices.Repeat([]byte{0xa5}, bytes), at); err != nil {
		t.Fatal(err)
	}
}

// Beyond the spool's bound exactly what the policy says is dropped, and the counters equal the loss.
func TestBeyondTheBoundThePolicyDropsAndCounts(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes half a minute: make chaos; tests of the spool show the same without an agent")
	}
	for _, policy := range []spool.Policy{spool.DropOldest, spool.DropNewest} {
		t.Run(string(policy), func(t *testing.T) {
			c := newCollector(t)
			between := newFaulty(t, c.url)
			a := newAgent(t, 10*time.Second, between.URL+"/api/v1/write")
			a.cfg.MaxBytes, a.cfg.WhenFull, a.cfg.Plain = 512<<10, policy, true
			const lasts = 15 * time.Second
			c.start()
			c.waitReady()
			between.set("down")
			a.start()
			time.Sleep(lasts)
			between.set("")
			got := c.verifyAtTheEnd(a)
			receiver := strings.TrimPrefix(between.URL, "http://")
			counted, dropped := a.dropped[receiver+" spool_full"], got.lost/series+len(a.refused)
			told.count(fmt.Sprintf("a spool of 512 KiB full, %s", policy), got, "%d batches dropped with %d samples, the agent counts %d", dropped, dropped*(series+1), counted)
			if dropped == 0 || counted != dropped*(series+1) || total(a.dropped) != counted || got.double+got.wrong+got.disordered > 0 {
				t.Fatalf("%d batches dropped, the agent counted %v; expected, stored, lost, double, wrong, disordered: %v", dropped, a.dropped, got)
			}
			// The dropped ones are the oldest, or the newest before there was room again.
			missing := c.missing(a)
			for k := range a.refused {
				missing = append(missing, k)
			}
			slices.Sort(missing)
			if missing[len(missing)-1]-missing[0]+1 != len(missing) {
				t.Errorf("the dropped batches are not neighbours: %v", missing)
			}
			if first := slices.Min(slices.Collect(maps.Keys(a.spooled))); policy == spool.DropOldest && missing[0] > first+1 { // the first is with its shipper
				t.Errorf("batch %d was dropped first, the oldest is %d", missing[0], first)
			} else if policy == spool.DropNewest && (got.lost > 0 || missing[0] == first) {
				t.Errorf("%d samples lost of batches that were in the spool", got.lost)
			}
		})
	}
}
