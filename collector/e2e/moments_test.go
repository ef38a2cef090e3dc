package e2e_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// moments are when something happened to a container, by id.
type moments struct {
	mu sync.Mutex
	of map[string]time.Time
	// told are the engine's events of each container, in order.
	told map[string][]engineEvent
}

type engineEvent struct {
	what string
	at   time.Time
}

// watchMoments notes when the kernel logs an OOM kill, by the container its cgroup belongs to, from /dev/kmsg
// (https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg), and the engine's events.
func watchMoments(t *testing.T) *moments {
	t.Helper()
	m := &moments{of: map[string]time.Time{}, told: map[string][]engineEvent{}}
	m.watchEngine(t)
	kmsg, err := os.Open("/dev/kmsg")
	if err != nil {
		t.Logf("no kernel log (%v): the engine's time of death stands in", err)
		return m
	}
	t.Cleanup(func() { kmsg.Close() })
	if _, err := kmsg.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	kill := regexp.MustCompile(`oom-kill:.*task_memcg=\S*/(?:docker-)?([0-9a-f]{64})`)
	go func() {
		record := make([]byte, 8192)
		for {
			n, err := kmsg.Read(record) // one record; blocks for the next
			if errors.Is(err, syscall.EPIPE) {
				continue // some were overwritten before they were read
			}
			if err != nil {
				return
			}
			if found := kill.FindSubmatch(record[:n]); found != nil {
				m.mu.Lock()
				m.of[string(found[1])] = time.Now()
				m.mu.Unlock()
			}
		}
	}()
	return m
}

func (m *moments) watchEngine(t *testing.T) {
	events := exec.Command("docker", "events", "--filter=type=container", "--format={{.TimeNano}} {{.ID}} {{.Status}}")
	out, err := events.StdoutPipe()
	if err == nil {
		err = events.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Process.Kill(); events.Wait() })
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fields := strings.SplitN(lines.Text(), " ", 3)
			nanos, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil || len(fields) < 3 {
				continue
			}
			m.mu.Lock()
			m.told[fields[1]] = append(m.told[fields[1]], engineEvent{fields[2], time.Unix(0, nanos)})
			m.mu.Unlock()
		}
	}()
}

// killed is the kernel's moment or, where it has none, the moment the engine was told of the exit.
func (m *moments) killed(t *testing.T, c container) (time.Time, string) {
	t.Helper()
	m.mu.Lock()
	at, ok := m.of[c.id]
	m.mu.Unlock()
	if ok {
		return at, "kernel log"
	}
	at, err := time.Parse(time.RFC3339Nano, docker(t, "inspect", "--format={{.State.FinishedAt}}", c.id))
	if err != nil {
		t.Fatal(err)
	}
	return at, "exit time "
}

// nth is the moment of the nth event of a kind, counted from 0.
func (m *moments) nth(what string, n int) func(*testing.T, container) (time.Time, string) {
	return func(t *testing.T, c container) (time.Time, string) {
		t.Helper()
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, e := range m.told[c.id] {
			if e.what != what {
				continue
			}
			if n == 0 {
				return e.at, "engine event"
			}
			n--
		}
		t.Fatalf("%s: the engine told no such %q: %v", c.name, what, m.told[c.id])
		return time.Time{}, ""
	}
}
