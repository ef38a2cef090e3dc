package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mounted is a file system of its own at a directory.
func mounted(t *testing.T, at, size string) {
	t.Helper()
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
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

// TestReadySaysThatTheJournalsDiskIsFull fills a real disk under the journal and frees it again.
func TestReadySaysThatTheJournalsDiskIsFull(t *testing.T) {
	_, binary := buildPrograms(t)
	dir, address := t.TempDir(), freePort(t)
	mounted(t, filepath.Join(dir, "journal"), "2m")
	c := start(t, "collector", "http://"+address, binary, "--listen="+address, "--data-dir="+dir, "--rules.builtin=false")
	t.Cleanup(func() { c.stop() }) // before the disk goes
	c.waitReady(t)
	ask := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(c.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	write := func() int {
		t.Helper()
		code, err := postTo(http.DefaultClient, c.url, "snappy", batch("full", 0, 1000))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if code := write(); code != http.StatusNoContent {
		t.Fatalf("with an empty disk a write gets %d", code)
	}
	ballast := filepath.Join(dir, "journal", "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	eventually(t, 20*time.Second, "a write is refused", func() error {
		if code := write(); code != http.StatusServiceUnavailable {
			return fmt.Errorf("a write gets %d", code)
		}
		return nil
	})
	if code, text := ask("/-/ready"); code != http.StatusOK || !strings.Contains(text, "degraded: writes are answered 503: the journal can not be written") {
		t.Errorf("/-/ready says %d %q", code, text)
	}
	if code, text := ask("/-/ready?for=writes"); code != http.StatusServiceUnavailable {
		t.Errorf("for writes it says %d %q", code, text)
	}
	if code, text := ask("/metrics"); code != http.StatusOK || !strings.Contains(text, "\nplimsoll_collector_journal_up 0\n") {
		t.Errorf("%d: journal_up is not 0", code)
	}
	if code, text := ask("/api/v1/query?query=1"); code != http.StatusOK {
		t.Errorf("a reader gets %d %s", code, text)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "a write is taken", func() error {
		if code := write(); code != http.StatusNoContent {
			return fmt.Errorf("a write gets %d", code)
		}
		return nil
	})
	if code, text := ask("/-/ready?for=writes"); code != http.StatusOK || text != "ready\n" {
		t.Errorf("with room again it says %d %q", code, text)
	}
}
