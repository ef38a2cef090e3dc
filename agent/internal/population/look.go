package population

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// look finds out whether processes are in c's cgroup and tells when the last one has left.
func (w *Watcher) look(c *container) processes {
	in := w.inside(c)
	switch in {
	case some:
		c.state = filled
	case none:
		if c.state == filled {
			c.state = over
			w.emptied(c)
		}
	}
	return in
}

// processes are what is known of those in a cgroup and below it.
type processes uint8

const (
	unknown processes = iota // the cgroup is gone, and its parent's notice follows; or processes can not be watched
	none
	some
)

// inside asks cgroup.procs, which lacks a process from its end on and has none of the cgroups below, and cgroup.events, which has those but
// counts a process until its parent has waited for it.
func (w *Watcher) inside(c *container) processes {
	own := unknown
	if c.closer {
		own = w.watchFirst(c)
	}
	if own == some || !w.populated {
		return own
	}
	all := w.readEvents(c)
	if all == some && own == none && !cgroup.HasChildren(filepath.Join(w.root, c.path)) {
		return none
	}
	return all
}

// readEvents reads cgroup.events: "populated 0" once no process is in the cgroup or below it.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#un-populated-notification
func (w *Watcher) readEvents(c *container) processes {
	b, err := os.ReadFile(filepath.Join(w.root, c.path, "cgroup.events"))
	switch {
	case err != nil:
		return unknown
	case bytes.Contains(b, []byte("populated 1")):
		return some
	default:
		return none
	}
}

// watchFirst reads cgroup.procs and has its first process watched. When that one ends there may be another: the first seen in
// a new container is the runtime's own intermediate process, which leaves before the container's.
func (w *Watcher) watchFirst(c *container) processes {
	for range 16 { // each time round a process has ended between the reading and the watching
		pid, err := firstProcess(filepath.Join(w.root, c.path, "cgroup.procs"))
		if err != nil {
			return unknown
		}
		if pid == 0 {
			return none
		}
		if pid == elsewhere {
			return unknown
		}
		if ended, err := w.cfg.Processes.Watch(c.path, pid); err != nil {
			w.metrics.refused.WithLabelValues("process").Inc()
			return some
		} else if !ended {
			return some
		}
	}
	return unknown
}

// Ended tells that the watched process of a container has ended.
func (w *Watcher) Ended(path string) {
	if ref, isContainer := cgroup.ParsePath(path); isContainer {
		w.sink.Ending(ref.ID)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.containers[path]; c != nil && w.look(c) == some {
		w.sink.Continues(c.id)
	}
}

func (w *Watcher) emptied(c *container) {
	w.metrics.notices.WithLabelValues("emptied").Inc()
	w.sink.Emptied(c.id)
}

// elsewhere is a process outside of this one's PID namespace: cgroup.procs has a 0 for it, and nothing here can watch it.
const elsewhere = -1

// firstProcess is the first line of cgroup.procs; 0 where there is none.
func firstProcess(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if len(line) == 0 {
		return 0, nil
	}
	if pid, err := strconv.Atoi(string(line)); err == nil && pid > 0 {
		return pid, nil
	}
	return elsewhere, nil
}

// reasonOf is the label of a watch the kernel refused.
func reasonOf(err error) string {
	if errors.Is(err, unix.ENOSPC) {
		return "max_user_watches"
	}
	return "kernel"
}
