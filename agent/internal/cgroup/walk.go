package cgroup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Limits of one walk. The deepest layout known, rootless Podman in a user session, puts a container at depth 5; 20,000 directories
// are 6,000 pods with their slices.
const (
	maxWalkDepth = 8
	maxWalkDirs  = 20_000
)

// WalkLimitError says that a tree was too large to be walked whole.
type WalkLimitError struct {
	Root string
	Dirs int // directories visited
}

func (e *WalkLimitError) Error() string {
	return fmt.Sprintf("walk %s: stopped after %d cgroups", e.Root, e.Dirs)
}

// Found is a cgroup met by Walk.
type Found struct {
	Ref         // ID is "" for a cgroup that is no container
	Path string // relative to the root, "/docker/ID": for PathsFor
}

// Walk yields every container's cgroup, and of the others those right below the root ("/docker", "/kubepods", "/system.slice"). It does
// not look inside containers. On v1 containers are looked for in one hierarchy, the first of cpu, cpuacct, memory, pids, blkio that is mounted;
// the cgroups below the root in all of them. It costs a directory listing for each cgroup: not for every tick.
func (f FS) Walk(yield func(Found)) error {
	w := walker{yield: yield, seen: map[string]bool{}, buf: make([]byte, direntBytes)}
	for h, mount := range f.mounts {
		if mount == "" || hierarchy(h) == unified && f.version != V2 {
			continue
		}
		if w.root == "" {
			w.root = mount
			w.walk("", 1)
			continue
		}
		for _, name := range childDirs(mount, w.buf) {
			if _, ok := ParsePath("/" + name); !ok {
				w.top("/" + name)
			}
		}
	}
	if w.dirs >= maxWalkDirs {
		return &WalkLimitError{Root: w.root, Dirs: w.dirs}
	}
	return nil
}

type walker struct {
	yield func(Found)
	root  string
	dirs  int
	seen  map[string]bool // cgroups below the root
	buf   []byte          // directories are read into it
}

func (w *walker) walk(dir string, depth int) {
	for _, name := range childDirs(filepath.Join(w.root, dir), w.buf) {
		if w.dirs >= maxWalkDirs {
			return
		}
		w.dirs++
		path := dir + "/" + name
		if ref, ok := ParsePath(path); ok {
			w.yield(Found{Ref: ref, Path: path})
			continue
		}
		if depth == 1 {
			w.top(path)
		}
		if depth < maxWalkDepth {
			w.walk(path, depth+1)
		}
	}
}

func (w *walker) top(path string) {
	if !w.seen[path] {
		w.seen[path] = true
		w.yield(Found{Path: path})
	}
}

// direntBytes is room for some hundred directory entries of a container's length a call.
const direntBytes = 16 << 10

// childDirs names the directories in dir; none where it cannot be read, for cgroups come and go during a walk. It reads the directory by system
// calls, which take half of what os.ReadDir does: the tree is walked every few seconds. buf is overwritten.
func childDirs(dir string, buf []byte) []string {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var names []string
	for {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 || err != nil {
			return names
		}
		names = appendDirs(names, buf[:n], dir)
	}
}

// appendDirs takes the directories out of what getdents64(2) gave: records of inode, offset, length, type and name.
func appendDirs(names []string, b []byte, dir string) []string {
	const header = 19
	for len(b) >= header {
		length := int(binary.NativeEndian.Uint16(b[16:]))
		if length < header || length > len(b) {
			return names
		}
		name, _, _ := bytes.Cut(b[header:length], []byte{0})
		kind := b[18]
		b = b[length:]
		if kind == unix.DT_UNKNOWN { // a file system that does not tell
			if info, err := os.Lstat(filepath.Join(dir, string(name))); err == nil && info.IsDir() {
				kind = unix.DT_DIR
			}
		}
		if kind == unix.DT_DIR && string(name) != "." && string(name) != ".." {
			names = append(names, string(name))
		}
	}
	return names
}
