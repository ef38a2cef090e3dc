package bench_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The cadences of the agent's default configuration.
const (
	interval     = 15 * time.Second
	peakInterval = time.Second
)

// readsOf lists the kernel files that a process holds open, the agent's or our own: what it reads, for every container, the other
// cgroups and the node. Left out is what is held for containers with block I/O only and not read of idle ones.
func readsOf(pid string) ([]string, error) {
	dir := "/proc/" + pid + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		path, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		name := filepath.Base(path)
		kernel := strings.HasPrefix(path, "/sys/fs/cgroup/") || strings.HasPrefix(path, "/proc/")
		if kernel && path != dir && !strings.Contains(name, "serviced") {
			files = append(files, path)
		}
	}
	return files, nil
}

// everySecond tells the files of the one-second pass: those with the CPU usage.
func everySecond(path string) bool {
	if filepath.Base(path) == "cpu.stat" {
		_, err := os.Stat(filepath.Join(filepath.Dir(path), "cgroup.controllers")) // v2
		return err == nil
	}
	return filepath.Base(path) == "cpuacct.usage"
}

// ifMoved tells the files read in it of containers whose CPU time has grown: those with the memory in use.
func ifMoved(path string) bool {
	name := filepath.Base(path)
	return name == "memory.usage_in_bytes" || name == "memory.current"
}

// watched is the files of the one-second pass of one cgroup.
type watched struct {
	cpu, memory int // descriptors, -1 where there is none
	last        []byte
}

// floor is the least that reading the same files at the same two cadences can cost: it opens the files named on in once and reads
// them by bare pread, into one buffer, from one loop, and does nothing with what it read but to look whether the CPU usage has grown.
func floor(in io.Reader) error {
	var all []int
	fast := map[string]*watched{} // by the cgroup's own name, which is the same in all hierarchies
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		path := lines.Text()
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // a container that ended meanwhile
		}
		all = append(all, fd)
		name := filepath.Base(filepath.Dir(path))
		if fast[name] == nil {
			fast[name] = &watched{cpu: -1, memory: -1}
		}
		if everySecond(path) {
			fast[name].cpu = fd
		} else if ifMoved(path) {
			fast[name].memory = fd
		}
	}
	maps.DeleteFunc(fast, func(_ string, w *watched) bool { return w.cpu < 0 })
	pass := slices.Collect(maps.Values(fast))
	fmt.Println("ready:", len(all), "files,", len(pass), "of them every second, memory of what ran")
	buf := make([]byte, 64<<10)
	for tick := 1; ; tick++ {
		time.Sleep(peakInterval)
		if tick%int(interval/peakInterval) == 0 {
			for _, fd := range all {
				unix.Pread(fd, buf, 0) // a container that is gone answers an error
			}
			continue
		}
		for _, w := range pass {
			n, _ := unix.Pread(w.cpu, buf, 0)
			if usage := buf[:max(n, 0)]; !bytes.Equal(usage, w.last) {
				w.last = append(w.last[:0], usage...)
				if w.memory >= 0 {
					unix.Pread(w.memory, buf, 0)
				}
			}
		}
	}
}
