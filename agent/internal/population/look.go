package population

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// look finds out whether processes are in c's cgroup and tells when the last one has left.
func (w *Watcher) look(c *container) {
	if w.populated {
		w.lookAtEvents(c)
	} else if w.cfg.Processes != nil {
		w.lookAtProcesses(c)
	}
}

// lookAtEvents reads cgroup.events: "populated 0" once no process is in the cgroup or below it.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#un-populated-notification
func (w *Watcher) lookAtEvents(c *container) {
	b, err := os.ReadFile(filepath.Join(w.root, c.path, "cgroup.events"))
	switch {
	case err != nil: // gone: the parent's notice follows
	case bytes.Contains(b, []byte("populated 1")):
		c.filled = true
	case c.filled:
		c.filled = false
		w.emptied(c)
	}
}

// lookAtProcesses reads cgroup.procs and has its first process watched. When that one ends there may be another: the first seen in
// a new container is the runtime's own intermediate process, which leaves before the container's.
func (w *Watcher) lookAtProcesses(c *container) {
	for range 16 { // each time round a process has ended between the reading and the watching
		pid := firstProcess(filepath.Join(w.root, c.path, "cgroup.procs"))
		if pid == 0 {
			if c.filled {
				c.filled = false
				w.emptied(c)
			}
			return
		}
		c.filled = true
		if ended, err := w.cfg.Processes.Watch(c.path, pid); err != nil {
			w.metrics.refused.WithLabelValues("process").Inc()
			return
		} else if !ended {
			return
		}
	}
}

// Ended tells that the watched process of a container has ended.
func (w *Watcher) Ended(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.containers[path]; c != nil {
		w.lookAtProcesses(c)
	}
}

func (w *Watcher) emptied(c *container) {
	w.metrics.notices.WithLabelValues("emptied").Inc()
	w.sink.Emptied(c.id)
}

// firstProcess is the first line of cgroup.procs; 0 where there is none.
func firstProcess(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	pid, _ := strconv.Atoi(string(line))
	return pid
}

// reasonOf is the label of a watch the kernel refused.
func reasonOf(err error) string {
	if errors.Is(err, unix.ENOSPC) {
		return "max_user_watches"
	}
	return "kernel"
}
