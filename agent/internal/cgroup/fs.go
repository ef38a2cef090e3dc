package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Version is the way the kernel's cgroup hierarchies are mounted.
type Version uint8

const (
	V1     Version = iota + 1 // a hierarchy for each controller
	Hybrid                    // v1, and a v2 tree without controllers beside it, in "unified"
	V2                        // one tree with all controllers
)

func (v Version) String() string {
	switch v {
	case V1:
		return "v1"
	case Hybrid:
		return "hybrid"
	case V2:
		return "v2"
	}
	return "unknown"
}

// hierarchy is one tree of cgroups; unified is the v2 one, all others are v1 controllers.
type hierarchy uint8

const (
	cpu hierarchy = iota
	cpuacct
	memory
	pids
	blkio
	hugetlb
	unified
	hierarchies // their number
)

func (h hierarchy) String() string {
	switch h {
	case cpu:
		return "cpu"
	case cpuacct:
		return "cpuacct"
	case memory:
		return "memory"
	case pids:
		return "pids"
	case blkio:
		return "blkio"
	case hugetlb:
		return "hugetlb"
	case unified:
		return "unified"
	}
	return ""
}

func hierarchyNamed(name string) (hierarchy, bool) {
	for h := range unified {
		if h.String() == name {
			return h, true
		}
	}
	return 0, false
}

// FS is a mounted cgroup file system with the proc that belongs to it. It is a value: copy it freely, use it from any goroutine.
type FS struct {
	root, proc string
	version    Version
	nested     bool
	own        bool                // nested, and this process is in the root itself
	foreign    bool                // process 1 of proc is that of a container
	peaks      bool                // memory.peak may be written to: it is the kernel's tree and not a copy of one
	mounts     [hierarchies]string // directory of each hierarchy; "" where there is none
	files      []file              // what Group reads, in order; shared, never changed
}

// Detect looks at the tree under rootCgroup and decides which version it is. It goes by the files it finds and not by /proc/mounts:
// a container may have the host's tree mounted at another place.
func Detect(rootCgroup, rootProc string) (FS, error) {
	f := FS{root: filepath.Clean(rootCgroup), proc: filepath.Clean(rootProc)}
	if err := f.isDir(); err != nil {
		return FS{}, err
	}
	if exists(filepath.Join(f.root, "cgroup.controllers")) {
		f.version, f.mounts[unified], f.files = V2, f.root, filesV2()
		f.nested = exists(filepath.Join(f.root, "cgroup.type")) // every cgroup has it but the root
		var mounted unix.Statfs_t
		f.peaks = unix.Statfs(f.root, &mounted) == nil && mounted.Type == unix.CGROUP2_SUPER_MAGIC
		f.locateSelf()
		return f, nil
	}
	entries, err := os.ReadDir(f.root)
	if err != nil {
		return FS{}, fmt.Errorf("list cgroup root %s: %w", f.root, err)
	}
	for _, e := range entries {
		dir := filepath.Join(f.root, e.Name())
		for name := range strings.SplitSeq(e.Name(), ",") { // "cpu,cpuacct" holds both; "cpu" may be a link to it
			h, ok := hierarchyNamed(name)
			if ok && f.mounts[h] == "" && exists(filepath.Join(dir, "cgroup.procs")) {
				f.mounts[h] = dir
			}
		}
	}
	if len(f.Hierarchies()) == 0 {
		return FS{}, fmt.Errorf("cgroup root %s: neither cgroup.controllers (cgroup v2) nor a mounted directory cpu, cpuacct, memory, pids or blkio (cgroup v1) is in it; "+
			"it must be the directory where the host's cgroups are mounted, as a rule /sys/fs/cgroup", f.root)
	}
	f.version, f.files = V1, filesV1()
	if dir := filepath.Join(f.root, "unified"); exists(filepath.Join(dir, "cgroup.controllers")) {
		f.version, f.mounts[unified], f.files = Hybrid, dir, append(f.files, filesPressure()...)
	}
	for h, dir := range f.mounts {
		f.nested = f.nested || hierarchy(h) != unified && isChildV1(dir)
	}
	f.locateSelf()
	return f, nil
}

// isChildV1 tells a cgroup from the root of its hierarchy, the only one with a cgroup.sane_behavior (Linux 3.12). A copy of a tree may lack
// that too.
func isChildV1(dir string) bool {
	var mounted unix.Statfs_t
	return dir != "" && unix.Statfs(dir, &mounted) == nil && mounted.Type == unix.CGROUP_SUPER_MAGIC && !exists(filepath.Join(dir, "cgroup.sane_behavior"))
}

func (f FS) isDir() error {
	info, err := os.Stat(f.root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cgroup root %s: no such directory; it must be where the host's cgroups are mounted, as a rule /sys/fs/cgroup", f.root)
	case err != nil:
		return fmt.Errorf("cgroup root %s: %w", f.root, err)
	case !info.IsDir():
		return fmt.Errorf("cgroup root %s: not a directory; it must be where the host's cgroups are mounted, as a rule /sys/fs/cgroup", f.root)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Version tells how the hierarchies are mounted.
func (f FS) Version() Version { return f.version }

// Only is the same tree for a reader who wants these figures: groups opened through it leave out the files that give none of them. A file that
// is read for one figure still gives all its others.
func (f FS) Only(wanted Has) FS {
	if wanted&(HasIOBytes|HasIOOps) != 0 {
		wanted |= HasIOBytes | HasIOOps // the sources of block I/O are chosen by both
	}
	var files []file
	for i := range f.files {
		if f.files[i].gives&wanted != 0 {
			files = append(files, f.files[i])
		}
	}
	f.files = files
	return f
}

// Root is the directory given to Detect.
func (f FS) Root() string { return f.root }

// Nested reports a root that is itself a child cgroup: the tree of a container that has not got the host's, where the host's other containers
// cannot be seen and the figures of the node are the container's.
func (f FS) Nested() bool { return f.nested }

// Own reports a nested root in which this process itself is: its figures are those of the agent's own container, and of no node. A node that is a
// container itself, as of kind or LXC, has its agent in a cgroup below.
func (f FS) Own() bool { return f.own }

// ForeignInit reports that process 1 of proc is no node's but a container's: what is read through it, such as the network, is that one's.
func (f FS) ForeignInit() bool { return f.foreign }

// Hierarchies names what is mounted: of "cpu", "cpuacct", "memory", "pids", "blkio", "hugetlb", "unified".
func (f FS) Hierarchies() []string {
	var names []string
	for h, dir := range f.mounts {
		if dir != "" {
			names = append(names, hierarchy(h).String())
		}
	}
	return names
}
