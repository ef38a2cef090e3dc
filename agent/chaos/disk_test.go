package chaos_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A disk that is full under the journal costs nothing: writes are refused with a time to come again, agents spool, the
// state is told, and all goes on once there is room.
func TestAFullJournalDiskLosesNothing(t *testing.T) {
	_, long := rounds(t)
	if !long {
		t.Parallel()
	}
	c := newCollector(t)
	disk := filepath.Join(c.dir, "journal")
	if err := os.Mkdir(disk, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI must provide the right to mount: %v", err)
		}
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if c.cmd != nil {
			c.kill()
		}
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	a := newAgent(t, 10*time.Second, c.url+"/api/v1/write")
	c.start()
	c.waitReady()
	a.start()
	time.Sleep(time.Second)
	filler := filepath.Join(disk, "filler")
	_ = os.WriteFile(filler, make([]byte, 4<<20), 0o600) // up to the last byte
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
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	wait("plimsoll_collector_journal_up 1")
	if err := a.finish(time.Minute); err != nil {
		t.Fatal(err)
	}
	c.killLast()
	got := c.verify(a)
	if long {
		fmt.Printf(tableHead, "")
		row("the journal's disk full and freed", got)
	}
	if !got.clean() {
		t.Fatalf("expected, stored, lost, double, wrong, disordered: %v", got)
	}
}
