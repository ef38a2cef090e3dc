package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// container is one that the test started with the docker command.
type container struct{ name, id string }

const image = "plimsoll-bb:test"

// docker runs the docker command and returns its trimmed output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func requireDocker(t *testing.T) {
	t.Helper()
	err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").Run()
	require(t, err == nil, "needs a running dockerd: docker version fails")
	if exec.Command("docker", "image", "inspect", image).Run() == nil {
		return
	}
	busybox, err := exec.LookPath("busybox")
	require(t, err == nil, "needs busybox (apt busybox-static) for the image "+image)
	root := t.TempDir()
	script := fmt.Sprintf(`set -e; cd %s; mkdir -p bin tmp; cp %s bin/busybox; for a in $(bin/busybox --list); do [ $a = busybox ] || ln -s busybox bin/$a; done; tar -c . | docker import -c 'CMD ["/bin/sh"]' - %s`, root, busybox, image)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("import %s: %v: %s", image, err, out)
	}
}

// run starts a detached container and removes it when the test ends.
func run(t *testing.T, name string, args ...string) container {
	t.Helper()
	said := strings.Fields(docker(t, append([]string{"run", "-d", "--name", name}, args...)...))
	id := said[len(said)-1] // warnings stand before it
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", id).Run() })
	return container{name: name, id: id}
}

// kernelFile finds the container's accounting file under any cgroup version.
func (c container) kernelFile(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		for _, pattern := range []string{"/sys/fs/cgroup/*/docker/" + c.id + "/" + name, "/sys/fs/cgroup/docker/" + c.id + "/" + name,
			"/sys/fs/cgroup/system.slice/docker-" + c.id + ".scope/" + name, "/sys/fs/cgroup/*/system.slice/docker-" + c.id + ".scope/" + name} {
			for _, path := range glob(pattern) {
				if !strings.Contains(path, "/unified/") {
					return path
				}
			}
		}
	}
	t.Fatalf("container %s has none of %v", c.name, names)
	return ""
}

func glob(pattern string) []string {
	paths, _ := filepath.Glob(pattern)
	return paths
}

// cpuSeconds reads the CPU time the kernel counts for the container.
func cpuSeconds(t *testing.T, path string) float64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if strings.HasSuffix(path, "cpu.stat") {
		return number(t, fields[1]) / 1e6
	}
	return number(t, fields[0]) / 1e9
}

// memoryStat reads one number, or the value of one key of memory.stat.
func memoryStat(t *testing.T, path, key string) float64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if key == "" {
		return number(t, strings.TrimSpace(string(text)))
	}
	for _, line := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(line, key+" "); ok {
			return number(t, v)
		}
	}
	t.Fatalf("%s has no %s", path, key)
	return 0
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reading is a kernel counter at a moment.
type reading struct {
	at    time.Time
	value float64
}

// watch reads a figure every 50 ms until stop is called, which returns the readings.
func watch(read func() float64) (stop func() []reading) {
	quit, done := make(chan struct{}), make(chan []reading)
	go func() {
		var all []reading
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			all = append(all, reading{time.Now(), read()})
			select {
			case <-tick.C:
			case <-quit:
				done <- all
				return
			}
		}
	}()
	return func() []reading { close(quit); return <-done }
}

// at interpolates the figure at a moment between two readings.
func at(t *testing.T, all []reading, when time.Time) float64 {
	t.Helper()
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if !when.Before(a.at) && !when.After(b.at) {
			share := float64(when.Sub(a.at)) / float64(b.at.Sub(a.at))
			return a.value + share*(b.value-a.value)
		}
	}
	t.Fatalf("no readings around %s (have %s to %s)", when, all[0].at, all[len(all)-1].at)
	return 0
}
