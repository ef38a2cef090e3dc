package bench_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// everySecond tells the files of the one-second pass: those with the CPU usage. Memory is read in it only of containers whose
// CPU time has grown, which idle ones' has not.
func everySecond(path string) bool {
	if filepath.Base(path) == "cpu.stat" {
		_, err := os.Stat(filepath.Join(filepath.Dir(path), "cgroup.controllers")) // v2
		return err == nil
	}
	return filepath.Base(path) == "cpuacct.usage"
}

// floor is the least that reading the same files at the same two cadences can cost: it opens the files named on in once and reads
// them by bare pread, into one buffer, from one loop, and does nothing with what it read.
func floor(in io.Reader) error {
	var all, fast []int
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		path := lines.Text()
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // a container that ended meanwhile
		}
		all = append(all, fd)
		if everySecond(path) {
			fast = append(fast, fd)
		}
	}
	fmt.Println("ready:", len(all), "files,", len(fast), "of them every second")
	buf := make([]byte, 64<<10)
	for tick := 1; ; tick++ {
		time.Sleep(peakInterval)
		fds := fast
		if tick%int(interval/peakInterval) == 0 {
			fds = all
		}
		for _, fd := range fds {
			unix.Pread(fd, buf, 0) // a container that is gone answers an error
		}
	}
}
