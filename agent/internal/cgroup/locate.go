package cgroup

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// LocatePod finds the cgroup of a container in a pod by the layouts the kubelet makes with either of its cgroup drivers below its default
// root, "" where it is in none of them: Walk finds it there. A handful of stat calls, no listing.
func (f FS) LocatePod(podUID string, id ContainerID) string {
	if podUID == "" || id == "" {
		return ""
	}
	mount := ""
	for h := range f.mounts {
		if mount = f.mounts[h]; mount != "" {
			break
		}
	}
	for _, class := range [...]string{"burstable", "", "besteffort"} {
		for _, name := range [...]string{string(id), "crio-" + string(id)} {
			if path := filepath.Join("/kubepods", class, "pod"+podUID, name); exists(mount + path) {
				return path
			}
		}
		slice, parent := "kubepods", "/kubepods.slice"
		if class != "" {
			slice += "-" + class
			parent += "/" + slice + ".slice"
		}
		parent += "/" + slice + "-pod" + strings.ReplaceAll(podUID, "-", "_") + ".slice"
		if !exists(mount + parent) {
			continue
		}
		for _, prefix := range [...]string{"cri-containerd", "crio", "docker"} {
			if path := parent + "/" + prefix + "-" + string(id) + ".scope"; exists(mount + path) {
				return path
			}
		}
	}
	return ""
}

// mostInspected bounds the processes whose age InitPID compares.
const mostInspected = 512

// oldest compares the processes of a cgroup.procs file; the lower PID is older among those that started in the same clock tick.
func (f FS) oldest(procs []byte) (oldest int) {
	var since uint64
	for n := 0; len(procs) > 0 && n < mostInspected; n++ {
		var l []byte
		l, procs = line(procs)
		number, err := parseNumber(l)
		if err != nil || number == 0 || number > maxPID { // 0: a process of another PID namespace
			continue
		}
		pid := int(number)
		started, ok := f.startTicks(pid)
		if ok && (oldest == 0 || started < since || started == since && pid < oldest) {
			oldest, since = pid, started
		}
	}
	return oldest
}

// startTicks is field 22 of /proc/PID/stat, the start in clock ticks after boot. The name in field 2 may hold blanks and parentheses.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func (f FS) startTicks(pid int) (uint64, bool) {
	b, err := os.ReadFile(filepath.Join(f.proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // from field 3 on
	const start = 22 - 3
	if len(fields) <= start {
		return 0, false
	}
	ticks, err := parseNumber(fields[start])
	return ticks, err == nil
}
