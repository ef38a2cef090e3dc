package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Paths is one cgroup: its directory, relative to the root, in each hierarchy. It is a value and may be compared.
type Paths struct {
	rel [hierarchies]string // "/docker/ID"; "" where the cgroup is not in that hierarchy
}

// ID is the path that names the cgroup, "/docker/<id>": that of the unified tree on v2, of the first v1 controller it is in otherwise.
func (p Paths) ID() string {
	for _, rel := range p.rel {
		if rel != "" {
			return rel
		}
	}
	return ""
}

// PathsFor is the cgroup with the same relative path in every hierarchy; "/" is the root.
func (f FS) PathsFor(relative string) Paths {
	var p Paths
	for h, mount := range f.mounts {
		if mount != "" {
			p.rel[h] = filepath.Join("/", relative)
		}
	}
	return p
}

// PathsOf is the cgroup of a process, from <proc>/PID/cgroup. Where the process is in a container, hierarchies in which it stands
// outside that container's cgroup are left out: their figures are someone else's.
func (f FS) PathsOf(pid int) (Paths, error) {
	name := filepath.Join(f.proc, strconv.Itoa(pid), "cgroup")
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return Paths{}, fmt.Errorf("read %s: %w", name, ErrGone)
	case err != nil:
		return Paths{}, fmt.Errorf("read %s: %w", name, err)
	}
	p, err := parseProcCgroup(b, f.version == V2)
	if err != nil {
		return Paths{}, fmt.Errorf("parse %s: %w", name, err)
	}
	for h := range p.rel {
		if f.mounts[h] == "" {
			p.rel[h] = ""
		}
		if p.rel[h], err = f.resolve(hierarchy(h), p.rel[h]); err != nil {
			return Paths{}, fmt.Errorf("resolve %s of %s: %w", hierarchy(h), name, err)
		}
	}
	p = p.sameContainer()
	if p.ID() == "" {
		return Paths{}, fmt.Errorf("parse %s: it names none of the hierarchies mounted under %s (%s)", name, f.root, strings.Join(f.Hierarchies(), ", "))
	}
	return p, nil
}

// parseProcCgroup reads /proc/PID/cgroup: lines "4:memory:/docker/ID", "2:cpu,cpuacct:/…" and, for the unified tree, "0::/…".
// https://man7.org/linux/man-pages/man7/cgroups.7.html
func parseProcCgroup(b []byte, v2 bool) (Paths, error) {
	var p Paths
	for n := 1; len(b) > 0; n++ {
		var l []byte
		l, b = line(b)
		number, rest, ok := bytes.Cut(l, []byte(":"))
		controllers, path, ok2 := bytes.Cut(rest, []byte(":"))
		if !ok || !ok2 || len(path) == 0 || path[0] != '/' {
			return Paths{}, &ParseError{Line: n, Err: errMalformed}
		}
		if bytes.HasSuffix(path, []byte(" (deleted)")) {
			return Paths{}, ErrGone
		}
		if string(number) == "0" && len(controllers) == 0 {
			p.rel[unified] = string(path)
			continue
		}
		for name := range strings.SplitSeq(string(controllers), ",") {
			if h, ok := hierarchyNamed(name); ok && !v2 {
				p.rel[h] = string(path)
			}
		}
	}
	return p, nil
}

// ParseError says which line of a kernel file was not understood.
type ParseError struct {
	Line int // from 1
	Err  error
}

func (e *ParseError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *ParseError) Unwrap() error { return e.Err }

// sameContainer cuts every path down to the container it leads into and drops those that lead into none, or another one, if any does.
func (p Paths) sameContainer() Paths {
	var id ContainerID
	for h, rel := range p.rel {
		ref, path, ok := innermost(rel)
		if !ok {
			continue
		}
		if id == "" {
			id = ref.ID
		}
		if ref.ID == id {
			p.rel[h] = path
		}
	}
	if id == "" {
		return p
	}
	for h, rel := range p.rel {
		if ref, _, ok := innermost(rel); !ok || ref.ID != id {
			p.rel[h] = ""
		}
	}
	return p
}

// resolve turns a path that starts with "/.." into one from the root of the hierarchy. A reader in a cgroup namespace of its own sees the
// cgroups outside it that way ("/../ID" beside its own, "/../../docker/ID" from the root), with the number of steps but not
// the names of what they lead to: those are looked up in the tree.
func (f FS) resolve(h hierarchy, rel string) (string, error) {
	if rel != "/.." && !strings.HasPrefix(rel, "/../") {
		return rel, nil
	}
	rest := rel
	for strings.HasPrefix(rest+"/", "/../") {
		rest = rest[len("/.."):]
	}
	if rest == "" {
		return "", fmt.Errorf("%q lies above the agent's cgroup namespace and has no name there; run the agent in the host's cgroup namespace", rel)
	}
	dirs, buf := []string{""}, make([]byte, direntBytes)
	for depth := 0; depth < maxWalkDepth && len(dirs) > 0; depth++ {
		var next []string
		for _, dir := range dirs {
			if exists(filepath.Join(f.mounts[h], dir, rest)) {
				return dir + rest, nil
			}
			for _, name := range childDirs(filepath.Join(f.mounts[h], dir), buf) {
				if len(next) < maxWalkDirs {
					next = append(next, dir+"/"+name)
				}
			}
		}
		dirs = next
	}
	return "", fmt.Errorf("%q: no such directory below %s: %w", rel, f.mounts[h], ErrGone)
}

// InitPID is the oldest process of a cgroup, in the reader's PID namespace: of a container its first process, whose end is the container's.
// It is looked for in one hierarchy after the other. A cgroup without processes of its own is an error, ErrGone if it does not exist.
func (f FS) InitPID(p Paths) (int, error) {
	err := fmt.Errorf("cgroup %q is in no hierarchy: %w", p.ID(), ErrGone)
	for h, rel := range p.rel {
		if rel == "" || f.mounts[h] == "" {
			continue
		}
		name := filepath.Join(f.mounts[h], rel, "cgroup.procs")
		b, readErr := os.ReadFile(name)
		if errors.Is(readErr, fs.ErrNotExist) || errors.Is(readErr, syscall.ENODEV) {
			err = fmt.Errorf("read %s: %w", name, ErrGone)
			continue
		}
		if readErr != nil {
			return 0, fmt.Errorf("read %s: %w", name, readErr)
		}
		if pid := f.oldest(b); pid > 0 {
			return pid, nil
		}
		err = fmt.Errorf("read %s: no process of this PID namespace in it", name)
	}
	return 0, err
}

// maxPID is the largest number a process can have: pid_t.
const maxPID = math.MaxInt32
