package cgroup

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// PIDs appends the processes of the cgroup and of those nested in it to dst: a container's init system may keep its services in cgroups of
// their own. It opens a file for each cgroup: not for every tick. A cgroup tree of another PID namespace shows no process. An error is ErrGone,
// or tells that some process may be missing, which is a fault too.
func (g *Group) PIDs(dst []int, buf []byte) ([]int, error) {
	if err := g.ready(buf); err != nil {
		return dst, err
	}
	for _, dir := range g.dirs {
		if dir == "" {
			continue
		}
		if pids, err := g.pidsBelow(dst, dir, buf, 0); err != ErrGone { // of v1, another hierarchy may still have it
			return pids, err
		}
	}
	return dst, ErrGone
}

// HasChildren tells whether there are cgroups below one: a directory has a link for each directory in it.
func HasChildren(dir string) bool {
	var st unix.Stat_t
	return unix.Stat(dir, &st) == nil && st.Nlink > 2
}

func (g *Group) pidsBelow(dst []int, dir string, buf []byte, depth int) ([]int, error) {
	b, err := openReadClose(dir, "cgroup.procs", buf)
	if err != nil {
		if err == ErrGone {
			return dst, ErrGone
		}
		g.fault("cgroup.procs", err)
		return dst, err
	}
	b, bad := endedLines(b)
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		switch pid, err := parseNumber(l); {
		case err != nil || pid > maxPID:
			bad = errMalformed
		case pid > 0: // 0 is a process that this PID namespace does not see
			dst = append(dst, int(pid))
		}
	}
	if bad != nil {
		g.fault("cgroup.procs", bad)
		return dst, bad
	}
	if depth == maxWalkDepth || !HasChildren(dir) {
		return dst, nil
	}
	for _, name := range childDirs(dir, buf) {
		if dst, err = g.pidsBelow(dst, filepath.Join(dir, name), buf, depth+1); err != nil && err != ErrGone {
			return dst, err
		}
	}
	return dst, nil
}
