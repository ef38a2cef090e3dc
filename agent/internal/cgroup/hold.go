package cgroup

import (
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Holding: which files of a group are open, and giving them back.

// hold opens every file that is not absent; false, with nothing held, where the budget or the process's limit has no room. The files
// found missing are marked absent for good.
func (g *Group) hold() bool {
	if !g.budget.take(len(g.files)) {
		return false
	}
	opened := 0
	for i := range g.files {
		if g.fds[i] == absent {
			continue
		}
		fd, err := g.open(i)
		if err == errDescriptors {
			g.release()
			g.budget.give(len(g.files) - opened)
			return false
		}
		if g.fds[i] = fd; fd >= 0 {
			opened++
		}
	}
	g.budget.give(len(g.files) - opened)
	g.held = true
	return true
}

// open opens file i; absent where that cannot be done, which is a fault unless the kernel simply has no such file.
func (g *Group) open(i int) (int32, error) {
	f := &g.files[i]
	if g.dirs[f.in] == "" || f.spare && g.fds[i-2] != absent {
		return absent, nil
	}
	fd, err := unix.Open(filepath.Join(g.dirs[f.in], f.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		err = reason(err)
		if err == errDescriptors {
			return absent, err
		}
		g.fault(f.name, err)
		return absent, nil
	}
	return int32(fd), nil
}

// probe marks the files that are missing, for a group that holds none.
func (g *Group) probe() {
	for i := range g.files {
		fd, err := g.open(i)
		switch {
		case fd >= 0:
			unix.Close(int(fd))
		case err == nil:
			g.fds[i] = absent
		}
	}
}

// release closes the held files and counts them back; they stay readable by path.
func (g *Group) release() {
	for i, fd := range g.fds {
		if fd >= 0 {
			unix.Close(int(fd))
			g.fds[i] = unheld
			g.budget.give(1)
		}
	}
	g.held = false
}

// SetNetPID makes the group read the network namespace of another process, none where pid is 0. A held net/dev outlives its process and
// pins the namespace: set 0 as soon as the process is known to be gone.
func (g *Group) SetNetPID(pid int) {
	if g.netFD >= 0 {
		unix.Close(int(g.netFD))
		g.budget.give(1)
	}
	g.netFD, g.netPID = absent, max(pid, 0)
	if g.netPID == 0 || g.closed {
		return
	}
	g.netFD, g.netFile = unheld, strconv.Itoa(pid)+"/net/dev"
	if !g.held || !g.budget.take(1) {
		return
	}
	fd, err := unix.Open(filepath.Join(g.proc, g.netFile), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		g.netFD = int32(fd)
		return
	}
	g.budget.give(1)
	if err = reason(err); err != errDescriptors {
		g.fault("net/dev", err)
		g.netFD = absent
	}
}

// CloseNet ends the reading of the network and unpins its namespace.
func (g *Group) CloseNet() { g.SetNetPID(0) }

// Close gives all descriptors back. It may be called twice; reading after it is ErrGone.
func (g *Group) Close() {
	if g.closed {
		return
	}
	g.closed = true
	g.CloseNet()
	g.closePeak()
	if !g.held {
		g.budget.countFallback(-1)
	}
	g.release()
}
