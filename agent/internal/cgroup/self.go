package cgroup

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Where the agent itself stands: with the tree and the processes of the node before it, or those of its own container.

// locateSelf fills in own and foreign.
func (f *FS) locateSelf() {
	self, init := f.inRoot()
	f.own = f.nested && self
	ofContainer, atRoot := f.initCgroup()
	number, err := os.Readlink(filepath.Join(f.proc, "self"))
	switch {
	case err == nil && number != strconv.Itoa(os.Getpid()): // the proc of another PID namespace, whose process 1 the tree numbers otherwise
		f.foreign = ofContainer
	case f.own:
		f.foreign = init
	default: // one that is at the root by what it says, and is not listed there, is at that of its cgroup namespace
		f.foreign = !init && (ofContainer || atRoot)
	}
}

// inRoot tells whether this process, and process 1, are in the root of the tree itself. The kernel lists both by their numbers in this process's
// PID namespace, which are those of proc unless that is another namespace's.
func (f *FS) inRoot() (self, init bool) {
	for _, dir := range f.mounts {
		if dir == "" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		procs := bytes.Fields(b)
		has := func(pid int) bool {
			return slices.ContainsFunc(procs, func(w []byte) bool { return string(w) == strconv.Itoa(pid) })
		}
		self, init = self || has(os.Getpid()), init || has(1)
	}
	return self, init
}

// initCgroup tells whether process 1 of proc is, by what it says itself, in the cgroup of a container, or in the root.
func (f *FS) initCgroup() (ofContainer, atRoot bool) {
	b, err := os.ReadFile(filepath.Join(f.proc, "1/cgroup"))
	if err != nil {
		return false, false
	}
	for l := range bytes.Lines(b) {
		fields := bytes.SplitN(bytes.TrimSpace(l), []byte(":"), 3)
		if len(fields) < 3 || bytes.HasPrefix(fields[1], []byte("name=")) {
			continue
		}
		if len(fields[1]) == 0 && f.version != V2 {
			continue // of the unified tree of hybrid, which runtimes may leave alone
		}
		_, isContainer := ParsePath(string(fields[2]))
		ofContainer, atRoot = ofContainer || isContainer, atRoot || string(fields[2]) == "/"
	}
	return ofContainer, atRoot
}
