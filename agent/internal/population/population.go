// Package population tells at once which containers' cgroups appear, lose their last process, and go.
//
// An engine tells of a start when the container runs and of an end when it has cleaned up; a container that lives 50 ms is over
// before the first and its counters are gone before the second. The kernel is quicker: inotify(7) on the directories that hold
// containers tells of a new cgroup before its first process runs, on its cgroup.procs that a process was put into it, a pidfd of that
// process that it has ended, some 15 ms to 300 ms before the runtime removes the cgroup. cgroup.events tells that the last process has
// left too, also of what was not put in by a write, or went on into a cgroup below; but it is told by a worker of the kernel that a busy
// node lets wait until the cgroup is gone.
package population

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// Sink is told, from two goroutines. What it does holds the next notice back: a millisecond, not more.
type Sink interface {
	// Appeared tells of a new cgroup of a container, relative to the tree's root. Its first process may not be in it yet.
	Appeared(id cgroup.ContainerID, path string)
	// Ending tells that a process of a young container has ended, at once and without a look whether it was the last: on a busy node the
	// cgroup may be gone by the end of that look. Continues tells that it was not.
	Ending(id cgroup.ContainerID)
	Continues(id cgroup.ContainerID)
	// Emptied tells that its last process has ended. The cgroup is there for some milliseconds more. It may come twice.
	Emptied(id cgroup.ContainerID)
	// Removed tells that the cgroup is gone.
	Removed(id cgroup.ContainerID)
}

// Processes watches processes and calls Watcher.Ended when one ends. An exits.Watcher is one.
type Processes interface {
	Watch(path string, pid int) (ended bool, err error)
	Forget(path string)
}

// Config bounds the watcher. The zero value works.
type Config struct {
	// MaxDirs is the most directories without a container (slices, pods) that are watched, MaxContainers the most containers.
	// 0 is 8,192 and 10,000. What is past a limit is counted, and heard of from the runtime alone.
	MaxDirs, MaxContainers int
	// Processes tells of the ends of processes: for the first YoungFor of a container's life where cgroups have a cgroup.events, as long as it
	// lives where they have none. nil: ends are heard of from cgroup.events, or the runtime, alone.
	Processes Processes
	// YoungFor is how long. Who runs longer can wait for its runtime to name its process. 0 is 30 s.
	YoungFor time.Duration
	Metrics  prometheus.Registerer
}

// maxDepth is how deep containers are looked for, as cgroup.FS.Walk does.
const maxDepth = 8

// Watcher follows one cgroup tree.
type Watcher struct {
	cfg       Config
	log       *slog.Logger
	root      string // of the hierarchy watched
	populated bool   // its cgroups have a cgroup.events
	fd        int
	wake      int // eventfd that ends Run
	metrics   *metrics

	mu         sync.Mutex // guards what follows: Ended comes from another goroutine
	sink       Sink
	dirs       map[int32]string // watched directories without a container, by watch; relative, "" is the root
	watchOf    map[string]int32 // the other way round
	containers map[string]*container
	marks      map[int32]mark // by watch of one of their files
	young      []*container   // whose processes are watched for a while, oldest first
}

// container is the cgroup of one.
type container struct {
	id     cgroup.ContainerID
	path   string
	since  time.Time
	marks  [files]int32 // watches of its files; 0 is none, the kernel counts from 1
	closer bool         // its processes are watched
	state  state
}

// state is what is known of a container's processes.
type state uint8

const (
	fresh  state = iota // none was seen
	filled              // some are in it
	over                // the last one's end was told
)

// file is one whose change tells that processes came or went.
type file uint8

const (
	procsFile  file = iota // cgroup.procs: a process was put in
	eventsFile             // cgroup.events: the first came, the last left

	files
)

// mark is a watched file of a container.
type mark struct {
	of *container
	on file
}

// New opens the kernel's notices for the tree of fs and starts nothing.
func New(fs cgroup.FS, cfg Config, log *slog.Logger) (*Watcher, error) {
	if cfg.MaxDirs == 0 {
		cfg.MaxDirs = 8192
	}
	if cfg.MaxContainers == 0 {
		cfg.MaxContainers = 10_000
	}
	if cfg.YoungFor == 0 {
		cfg.YoungFor = 30 * time.Second
	}
	w := &Watcher{cfg: cfg, log: log, metrics: newMetrics(), dirs: map[int32]string{}, watchOf: map[string]int32{}, containers: map[string]*container{}, marks: map[int32]mark{}}
	if w.root, w.populated = fs.NoticeTree(); w.root == "" {
		return nil, errors.New("watch the cgroup tree: no hierarchy is mounted")
	}
	var err error
	if w.fd, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return nil, fmt.Errorf("inotify_init1 (fs.inotify.max_user_instances?): %w", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(w.fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if cfg.Metrics != nil {
		if err := w.register(cfg.Metrics); err != nil {
			w.close()
			return nil, fmt.Errorf("register population metrics: %w", err)
		}
	}
	return w, nil
}

// Run follows the tree until ctx ends. It must be called once; it closes the watcher. Containers that are there at the start are not
// told as Appeared; their ends are told.
func (w *Watcher) Run(ctx context.Context, sink Sink) error {
	stop := context.AfterFunc(ctx, func() { unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer w.close()
	defer stop()
	w.mu.Lock()
	w.sink = sink
	w.scan("", 0, resident)
	w.mu.Unlock()
	buf := make([]byte, 64<<10)
	set := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}, {Fd: int32(w.wake), Events: unix.POLLIN}}
	for ctx.Err() == nil {
		if _, err := unix.Poll(set, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll inotify: %w", err)
		}
		n, err := unix.Read(w.fd, buf)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("read inotify: %w", err)
		}
		w.mu.Lock()
		for rest := buf[:max(n, 0)]; len(rest) > 0; {
			var e notice
			e, rest = nextNotice(rest)
			w.take(e)
		}
		w.mu.Unlock()
	}
	return nil
}

func (w *Watcher) take(e notice) {
	if e.mask&unix.IN_Q_OVERFLOW != 0 {
		w.metrics.overflows.Inc()
		w.log.Warn("the kernel dropped notices of cgroups; the tree is read anew")
		w.rescan()
		return
	}
	if m, known := w.marks[e.watch]; known {
		if e.mask&unix.IN_IGNORED != 0 {
			delete(w.marks, e.watch)
			m.of.marks[m.on] = 0
			return
		}
		if m.on == eventsFile && m.of.state == fresh {
			m.of.state = filled // and may be empty again; a write to cgroup.procs is told before it has put anything in
		}
		w.look(m.of)
		return
	}
	dir, known := w.dirs[e.watch]
	switch {
	case !known:
	case e.mask&unix.IN_IGNORED != 0:
		delete(w.dirs, e.watch)
		delete(w.watchOf, dir)
	case e.mask&unix.IN_ISDIR == 0:
	case e.mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
		w.appeared(dir+"/"+e.name, arrival)
	case e.mask&(unix.IN_DELETE|unix.IN_MOVED_FROM) != 0:
		w.removed(dir + "/" + e.name)
	}
}

// origin tells a cgroup that has just come from one that was there before anyone looked.
type origin uint8

const (
	resident origin = iota
	arrival
)

func (w *Watcher) appeared(path string, from origin) {
	ref, isContainer := cgroup.ParsePath(path)
	if !isContainer {
		w.scan(path, depthOf(path), from)
		return
	}
	if w.containers[path] != nil {
		return
	}
	if len(w.containers) >= w.cfg.MaxContainers {
		w.metrics.refused.WithLabelValues("container").Inc()
		return
	}
	c := &container{id: ref.ID, path: path, since: time.Now()}
	w.containers[path] = c
	if w.cfg.Processes != nil && (from == arrival || !w.populated) {
		c.closer = true
		w.mark(c, procsFile, "cgroup.procs")
	}
	if w.populated {
		w.mark(c, eventsFile, "cgroup.events")
		w.grow(c)
	}
	w.look(c) // first, so that an end between its first reading and here is heard of
	if from == arrival {
		w.metrics.notices.WithLabelValues("appeared").Inc()
		w.sink.Appeared(c.id, path)
	}
}

// mark begins to watch a file of a container.
func (w *Watcher) mark(c *container, on file, name string) {
	watch, err := unix.InotifyAddWatch(w.fd, filepath.Join(w.root, c.path, name), unix.IN_MODIFY)
	switch {
	case err == nil:
		c.marks[on] = int32(watch)
		w.marks[int32(watch)] = mark{c, on}
	case !errors.Is(err, unix.ENOENT): // gone already: the parent's notice follows
		w.metrics.refused.WithLabelValues(reasonOf(err)).Inc()
	}
}

// unmark ends the watch of a file, if there is one.
func (w *Watcher) unmark(c *container, on file) {
	if c.marks[on] != 0 {
		unix.InotifyRmWatch(w.fd, uint32(c.marks[on])) // the kernel may have done so
		delete(w.marks, c.marks[on])
		c.marks[on] = 0
	}
}

// grow notes a container as young, if it is, and leaves those that are not any more to their cgroup.events.
func (w *Watcher) grow(c *container) {
	grown := 0
	for grown < len(w.young) && c.since.Sub(w.young[grown].since) > w.cfg.YoungFor {
		w.leave(w.young[grown])
		grown++
	}
	w.young = append(w.young[:0], w.young[grown:]...)
	if c.closer {
		w.young = append(w.young, c)
	}
}

// leave ends the watch of a container's processes.
func (w *Watcher) leave(c *container) {
	if c.closer && w.containers[c.path] == c {
		w.unmark(c, procsFile)
		w.cfg.Processes.Forget(c.path)
	}
	c.closer = false
}

func (w *Watcher) removed(path string) {
	c := w.containers[path]
	if c == nil {
		return
	}
	w.leave(c)
	w.unmark(c, eventsFile)
	delete(w.containers, path)
	w.metrics.notices.WithLabelValues("removed").Inc()
	w.sink.Removed(c.id)
}

// scan watches a directory without a container and takes what is in it. The watch comes first, so that nothing falls between.
func (w *Watcher) scan(dir string, depth int, from origin) {
	if _, watched := w.watchOf[dir]; !watched {
		if len(w.dirs) >= w.cfg.MaxDirs {
			w.metrics.refused.WithLabelValues("directory").Inc()
			return
		}
		watch, err := unix.InotifyAddWatch(w.fd, filepath.Join(w.root, dir), unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
		if err != nil {
			if !errors.Is(err, unix.ENOENT) {
				w.metrics.refused.WithLabelValues(reasonOf(err)).Inc()
			}
			return
		}
		w.dirs[int32(watch)], w.watchOf[dir] = dir, int32(watch)
	}
	if depth >= maxDepth {
		return
	}
	entries, err := os.ReadDir(filepath.Join(w.root, dir))
	if err != nil {
		return // gone again
	}
	for _, e := range entries {
		if e.IsDir() {
			w.appeared(dir+"/"+e.Name(), from)
		}
	}
}

// rescan makes good what an overflow lost.
func (w *Watcher) rescan() {
	for path := range w.containers {
		if _, err := os.Stat(filepath.Join(w.root, path)); errors.Is(err, os.ErrNotExist) {
			w.removed(path)
		}
	}
	w.scan("", 0, arrival)
	for _, c := range w.containers {
		w.look(c)
	}
}

func (w *Watcher) close() {
	unix.Close(w.fd)
	unix.Close(w.wake)
}
