package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// podman is an engine of Podman's own with its API on a socket.
type podman struct {
	global []string // flags of every command
	socket string
	rootfs string
}

func newPodman(t *testing.T) *podman {
	t.Helper()
	if os.Getenv("PLIMSOLL_SHOW") != "podman" {
		t.Skip("needs the Debian packages podman and conmon: make show-podman")
	}
	for _, program := range []string{"podman", "runc", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("apt-get install podman runc busybox-static: %v", err)
		}
	}
	dir, err := os.MkdirTemp("", "podman-") // t.TempDir is longer than Podman allows
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &podman{socket: filepath.Join(dir, "podman.sock"), rootfs: filepath.Join(dir, "rootfs")}
	p.global = []string{"--root", filepath.Join(dir, "storage"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc"}
	script := fmt.Sprintf("set -e; mkdir -p %[1]s/bin %[1]s/proc %[1]s/sys %[1]s/dev %[1]s/tmp %[1]s/etc; cp $(command -v busybox) %[1]s/bin/; for a in sh sleep tail true; do ln -s busybox %[1]s/bin/$a; done", p.rootfs)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("make a root file system: %v: %s", err, out)
	}
	service := exec.Command("podman", append(p.global, "system", "service", "--time=0", "unix://"+p.socket)...)
	var said bytes.Buffer
	service.Stderr = &said
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("podman", append(p.global, "rm", "--all", "--force", "--time=0")...).Run()
		service.Process.Kill()
		service.Wait()
	})
	eventually(t, 20*time.Second, "podman's service listens", func() error {
		if _, err := os.Stat(p.socket); err != nil {
			return fmt.Errorf("%w; it said %s", err, &said)
		}
		return nil
	})
	return p
}

// command runs podman and returns its exit code.
func (p *podman) command(t *testing.T, args ...string) int {
	t.Helper()
	c := exec.Command("podman", append(p.global, args...)...)
	c.Dir = filepath.Dir(p.rootfs) // its monitor leaves a file "oom" where it is started
	err := c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("podman %s: %v", strings.Join(args, " "), err)
	}
	return 0
}

// run runs a container of the root file system; the limits are those that a container may be given here.
func (p *podman) run(t *testing.T, name, project string, more []string, program ...string) int {
	t.Helper()
	args := append([]string{"run", "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--name=" + name, "--label=project=" + project}, more...)
	return p.command(t, append(append(args, "--rootfs", p.rootfs), program...)...)
}

// TestPodmansContainersAreNamedAndTheirEndsTold: through the API that Podman offers in Docker's words.
func TestPodmansContainersAreNamedAndTheirEndsTold(t *testing.T) {
	engine := newPodman(t)
	p := newPair(t, time.Second)
	p.more = []string{"--docker.host=unix://" + engine.socket}
	p.agent(t)
	project := fmt.Sprintf("pod-%06x", rand.N(1<<24))
	if code := engine.run(t, project+"-fails", project, nil, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3"); code != 3 {
		t.Fatalf("podman run ends with %d", code)
	}
	engine.run(t, project+"-brief", project, []string{"--rm"}, "true")
	if code := engine.run(t, project+"-long", project, []string{"--detach"}, "sh", "-c", "while :; do sleep 0.1; done"); code != 0 {
		t.Fatalf("podman run --detach ends with %d", code)
	}
	eventually(t, 20*time.Second, "the series of the running container", func() error {
		s, err := one(p.collector.url, fmt.Sprintf(`container_memory_working_set_bytes{project=%q}`, project))
		if err == nil && (s.Metric["container"] != project+"-long" || s.Metric["workload"] != project+"-long" || !strings.Contains(s.Metric["id"], "/libpod-") || strings.HasPrefix(s.Metric["image"], "sha256")) {
			err = fmt.Errorf("labels %v", s.Metric)
		}
		return err
	})
	engine.command(t, "kill", project+"-long")
	engine.run(t, project+"-full", project, []string{"--memory=16m", "--memory-swap=16m"}, "sh", "-c", "tail /dev/zero; exit 9")

	want := map[string]string{project + "-fails": "error", project + "-brief": "completed", project + "-long": "stopped"}
	var records []exit
	eventually(t, 20*time.Second, "the exit records", func() (err error) {
		if records, err = exitsOf(p, project); err == nil && len(records) < len(want)+1 {
			err = fmt.Errorf("%d records", len(records))
		}
		return err
	})
	rows := [][]any{{"container", "reason", "code", "runtime s", "CPU s", "memory peak"}}
	for _, r := range records {
		rows = append(rows, []any{r.Container, r.Reason, value(r.Code), value(r.Runtime), value(r.CPU), value(r.Memory)})
		if reason, known := want[r.Container]; known && r.Reason != reason {
			t.Errorf("%s ended as %s, want %s", r.Container, r.Reason, reason)
		}
		if r.CPU == nil || *r.CPU == 0 || r.Memory == nil {
			t.Errorf("the record of %s is not complete: %+v", r.Container, r)
		}
	}
	table(t, rows...)
	eventually(t, 20*time.Second, "the kernel's count of the kill", func() error {
		s, err := one(p.collector.url, fmt.Sprintf(`max(last_over_time(container_oom_events_total{container=%q}[5m]))`, project+"-full"))
		if err == nil && s.Value.value != 1 {
			err = fmt.Errorf("%v kills", s.Value.value)
		}
		return err
	})
}

// value shows what may be absent.
func value[T any](v *T) any {
	if v == nil {
		return "-"
	}
	return *v
}
