package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is one of the two binaries, built from this checkout and running.
type program struct {
	name string
	url  string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// binaries builds both programs once for all tests of this package, where PLIMSOLL_BINARIES does not say where they are.
var binaries = sync.OnceValues(func() (dir string, err error) {
	if dir = os.Getenv("PLIMSOLL_BINARIES"); dir != "" {
		return dir, nil
	}
	if dir, err = os.MkdirTemp("", "plimsoll-e2e-"); err != nil {
		return "", err
	}
	for _, name := range []string{"agent", "collector"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, "plimsoll-"+name), "./"+name)
		build.Dir = "../.."
		if text, err := build.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("go build ./%s: %w\n%s", name, err, text)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if os.Getenv(attackVariable) != "" {
		besiege()
		return
	}
	code := m.Run()
	if dir, _ := binaries(); dir != "" && os.Getenv("PLIMSOLL_BINARIES") == "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// buildPrograms returns the paths of both binaries.
func buildPrograms(t *testing.T) (agent, collector string) {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "plimsoll-agent"), filepath.Join(dir, "plimsoll-collector")
}

// start runs a binary until the test ends; its log is shown when the test fails.
func start(t *testing.T, name, url, binary string, args ...string) *program {
	t.Helper()
	p := &program{name: name, url: url, log: filepath.Join(t.TempDir(), name+".log"), done: make(chan struct{})}
	logFile, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		logFile.Close()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("last lines of %s:\n%s", name, tail(p.log, 40))
		}
	})
	return p
}

// stop asks the program to end and returns how long that took and its exit code.
func (p *program) stop() (time.Duration, int) {
	began := time.Now()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
	return time.Since(began), p.cmd.ProcessState.ExitCode()
}

// rssBytes is the resident set of the program.
func (p *program) rssBytes(t *testing.T) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmRSS line")
	return 0
}

// waitReady waits for /-/ready.
func (p *program) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, p.name+" is ready", func() error {
		select {
		case <-p.done:
			t.Fatalf("%s ended before it was ready:\n%s", p.name, tail(p.log, 40))
		default:
		}
		_, err := get(p.url + "/-/ready")
		return err
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get returns the body of a 200 answer.
func get(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", url, resp.Status, body)
	}
	return string(body), err
}

// eventually retries until f returns nil; its last error is the failure.
func eventually(t *testing.T, limit time.Duration, what string, f func() error) time.Duration {
	t.Helper()
	began := time.Now()
	err := errors.New("not tried")
	for time.Since(began) < limit {
		if err = f(); err == nil {
			return time.Since(began)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s: not within %s: %v", what, limit, err)
	return 0
}

func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// require skips the test with the reason when something it needs is absent; in CI absence is a failure.
func require(t *testing.T, ok bool, reason string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") == "true":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}
