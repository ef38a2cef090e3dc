package layers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

var (
	errNoOverlay = errors.New("its root is no overlay with an upper directory")
	errTooMany   = errors.New("more files than the limit")
)

// volumeSource tells the source of a named volume of Docker, Podman or nerdctl, and of a pod's, from any other mount: what else is bound into a
// container is not its own.
var volumeSource = regexp.MustCompile(`/volumes/([^/]+/_data|kubernetes\.io~[^/]+/[^/]+)$`)

// place is a directory to walk.
type place struct {
	path  string
	point string // "" of the writable layer
}

// measure walks the writable layer and the volumes of the container that pid is in.
func (w *Walker) measure(ctx context.Context, pid int) (Sizes, error) {
	places, err := w.places(pid)
	if err != nil {
		return Sizes{}, err
	}
	var s Sizes
	p := pace{ctx: ctx, left: w.cfg.MostFiles, began: time.Now()}
	for _, where := range places {
		var st unix.Stat_t
		if err := unix.Stat(where.path, &st); err != nil {
			return Sizes{}, fmt.Errorf("look at %s: %w", where.path, err)
		}
		sum := sum{device: st.Dev, links: map[uint64]bool{}}
		if err := sum.add(&p, where.path); err != nil {
			return Sizes{}, fmt.Errorf("walk %s: %w", where.path, err)
		}
		if where.point != "" {
			s.Volumes = append(s.Volumes, Volume{Point: where.point, Bytes: sum.bytes})
			continue
		}
		s.Major, s.Minor, s.Bytes, s.Inodes = unix.Major(st.Dev), unix.Minor(st.Dev), sum.bytes, sum.inodes
	}
	return s, nil
}

// places finds the directories by the mounts of the process: the upper directory of its overlay, as a path of the host, and its volumes,
// through its own root.
func (w *Walker) places(pid int) ([]place, error) {
	base := filepath.Join(w.cfg.Proc, strconv.Itoa(pid))
	b, err := os.ReadFile(filepath.Join(base, "mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("list the container's mounts: %w", err)
	}
	var places []place
	found := false
	scanner := bufio.NewScanner(bytes.NewReader(b))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		source, point, upper, ok := parseMount(scanner.Bytes())
		switch {
		case !ok:
		case point == "/" && upper != "":
			found = true
			places = append(places, place{path: w.hostPath(upper)})
		case volumeSource.MatchString(source):
			places = append(places, place{path: filepath.Join(base, "root", point), point: point})
		}
	}
	if !found {
		return nil, errNoOverlay
	}
	return places, nil
}

// hostPath is a path of the host as the agent can reach it: through the root of process 1 and, where that is denied, as it stands, which is
// right outside a container.
func (w *Walker) hostPath(path string) string {
	through := filepath.Join(w.cfg.Proc, "1/root", path)
	if _, err := os.Lstat(through); err == nil {
		return through
	}
	return path
}

// parseMount reads a line of mountinfo: the directory of the file system that is mounted, where, and an overlay's upper directory.
func parseMount(line []byte) (source, point, upper string, ok bool) {
	before, after, found := bytes.Cut(line, []byte(" - "))
	left, right := bytes.Fields(before), bytes.Fields(after)
	if !found || len(left) < 5 || len(right) < 3 {
		return "", "", "", false
	}
	if string(right[0]) == "overlay" {
		for option := range bytes.SplitSeq(right[2], []byte(",")) {
			if dir, is := bytes.CutPrefix(option, []byte("upperdir=")); is {
				upper = string(dir)
			}
		}
	}
	return string(left[3]), string(left[4]), upper, true
}

// sum adds up a tree within one file system.
type sum struct {
	device        uint64
	bytes, inodes uint64
	links         map[uint64]bool // inodes with several links that are counted
}

func (s *sum) add(p *pace, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed while we walk
		}
		return err
	}
	for _, e := range entries {
		if err := p.step(); err != nil {
			return err
		}
		path := filepath.Join(dir, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Dev != s.device {
			continue
		}
		directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
		if st.Nlink > 1 && !directory {
			if s.links[st.Ino] {
				continue
			}
			s.links[st.Ino] = true
		}
		const block = 512 // the unit of st_blocks whatever the file system
		s.bytes += uint64(st.Blocks) * block
		s.inodes++
		if directory {
			if err := s.add(p, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// pace holds a walk to its share of a CPU and to its limit of files.
type pace struct {
	ctx   context.Context
	left  int
	began time.Time // of the present stretch
}

func (p *pace) step() error {
	if p.left--; p.left < 0 {
		return errTooMany
	}
	const stretch = 5 * time.Millisecond
	worked := time.Since(p.began)
	if worked < stretch {
		return nil
	}
	select {
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-time.After(time.Duration(float64(worked) * (1/share - 1))):
	}
	p.began = time.Now()
	return nil
}
