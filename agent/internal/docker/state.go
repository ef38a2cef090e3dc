package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"
)

// State says whether the engine delivers.
type State struct {
	Up bool
	// Absent tells that there has been no engine since the agent's start, and that there need be none.
	Absent bool
	// Reason says in one line why it does not, and what to do about it. "" when Up.
	Reason string
	// Since is when Up or Reason last changed. Zero before the first attempt.
	Since time.Time
}

// State tells the state of the source.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

// Info tells what engine the last connection found; false before the first.
func (e *Engine) Info() (Info, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.info == nil {
		return Info{}, false
	}
	return *e.info, true
}

func (e *Engine) setUp(info Info, running int, now time.Time) {
	e.mu.Lock()
	was := e.state
	e.info = &info
	if !was.Up {
		e.state = State{Up: true, Since: now}
	}
	e.mu.Unlock()
	if !was.Up {
		e.log.Info("docker engine connected", "host", e.cfg.Host, "version", info.Version, "api", info.APIVersion,
			"cgroup_driver", info.CgroupDriver, "running", running)
	}
}

// setDown logs a reason once, however often the attempt is repeated.
func (e *Engine) setDown(err error, now time.Time) {
	why := e.explain(err).Error()
	e.mu.Lock()
	was := e.state
	next := State{Reason: why, Since: now, Absent: e.info == nil && e.absent(err)}
	if was.Up || was.Reason != why {
		e.state = next
	}
	e.mu.Unlock()
	switch {
	case !was.Up && was.Reason == why:
	case next.Absent:
		e.log.Info("no Docker engine here; the API server tells the pods", "host", e.cfg.Host)
	default:
		e.log.Warn("docker engine unavailable, containers keep their last known identity", "host", e.cfg.Host, "reason", why)
	}
}

// reason puts a failure into one line that names the address and what to do. The same fault gives the same line.
func reason(host string, timeout time.Duration, err error) string {
	at := strings.TrimPrefix(host, "unix://")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return at + " does not exist: start the Docker engine, or name its socket with --docker.host"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied on " + at + ": add the agent's user to group docker, or run as root"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens on " + at + ": start the Docker engine"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer from %s within %s: the Docker engine hangs or is overloaded", at, timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the Docker engine at " + at + " closed the connection: it stops or restarts"
	case err == nil:
		return "the Docker engine at " + at + " ended the event stream"
	default:
		text := strings.Join(strings.Fields(err.Error()), " ")
		return "Docker engine at " + at + ": " + text[:min(len(text), 300)]
	}
}
