package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// child is one of the two programs, with its output in a log file.
type child struct {
	name    string
	logFile string
	began   time.Time
	command *exec.Cmd
	done    chan struct{} // closed when it has ended; then err is how
	err     error
	stopped bool // we asked for its end
}

// startChild starts a program in a process group of its own, so that Ctrl-C reaches the supervisor alone and the order
// of stopping is ours. Should the supervisor be killed, the kernel sends the child SIGTERM. The log of the run before is
// kept as LOG.1.
func startChild(name, logFile string, environ []string, args ...string) (*child, error) {
	if err := os.Rename(logFile, logFile+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("keep the old log of the %s: %w", name, err)
	}
	log, err := os.Create(logFile)
	if err != nil {
		return nil, fmt.Errorf("log of the %s: %w", name, err)
	}
	defer log.Close()
	c := &child{name: name, logFile: logFile, began: time.Now(), done: make(chan struct{})}
	c.command = exec.Command(args[0], args[1:]...)
	c.command.Env = environ
	c.command.Stdout, c.command.Stderr = log, log
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	begun := make(chan error)
	go func() {
		// Pdeathsig comes when the thread that started the child ends (golang.org/issue/27505): this one stays as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.command.Start()
		begun <- err
		if err == nil {
			c.err = c.command.Wait()
			close(c.done)
		}
	}()
	if err := <-begun; err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("start the %s: %w (`make build` makes it)", name, err)
		}
		return nil, fmt.Errorf("start the %s: %w", name, err)
	}
	return c, nil
}

func (c *child) pid() int { return c.command.Process.Pid }

// death is the report on a child that ended by itself: how, when, and its last words.
func (c *child) death() error {
	c.stopped = true
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("the %s ended by itself after %.1f s (%s); the end of %s:\n%s",
		c.name, time.Since(c.began).Seconds(), how, c.logFile, tail(c.logFile, 15))
}

// stop asks the child to end, kills it when it has not after within, and says so; it is an error when it had to be killed
// or failed while it stopped. A child that has already been reported on is left alone.
func (c *child) stop(within time.Duration, say func(string, ...any)) error {
	if c.stopped {
		return nil
	}
	c.stopped = true
	began := time.Now()
	say("stopping the %s", c.name)
	// An error here means that it has just ended, which is what we want.
	_ = c.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(within):
		_ = c.command.Process.Kill()
		<-c.done
		return fmt.Errorf("the %s did not stop within %s and was killed; the end of %s:\n%s", c.name, within, c.logFile, tail(c.logFile, 15))
	}
	if c.err != nil {
		return fmt.Errorf("the %s stopped with %w; the end of %s:\n%s", c.name, c.err, c.logFile, tail(c.logFile, 15))
	}
	say("%s stopped after %.1f s", c.name, time.Since(began).Seconds())
	return nil
}

// awaitReady polls /-/ready and says every few seconds what it still waits for. It returns nil when the child is ready or
// the caller's context has ended.
func awaitReady(caller context.Context, c *child, url string, within time.Duration, say func(string, ...any)) error {
	ctx, cancel := context.WithTimeout(caller, within)
	defer cancel()
	poll, progress := time.NewTicker(100*time.Millisecond), time.NewTicker(3*time.Second)
	defer poll.Stop()
	defer progress.Stop()
	last := "no answer yet"
	for {
		select {
		case <-c.done:
			return c.death()
		case <-ctx.Done():
			if caller.Err() != nil {
				return nil
			}
			return fmt.Errorf("the %s was not ready within %s (%s); the end of %s:\n%s", c.name, within, last, c.logFile, tail(c.logFile, 15))
		case <-progress.C:
			say("waiting for the %s (%.0f s): %s", c.name, time.Since(c.began).Seconds(), last)
		case <-poll.C:
			ready, answer := askReady(ctx, url)
			if ready {
				say("%s ready after %.1f s", c.name, time.Since(c.began).Seconds())
				return nil
			}
			if ctx.Err() == nil {
				last = answer
			}
		}
	}
}

func askReady(ctx context.Context, url string) (ready bool, answer string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/-/ready", nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, "no answer yet"
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	return response.StatusCode == http.StatusOK, response.Status + " " + strings.TrimSpace(string(body))
}

// tail returns the last n lines of a file, indented; of a large file only its last 64 KiB are read.
func tail(file string, n int) string {
	f, err := os.Open(file)
	if err != nil {
		return "    (" + err.Error() + ")"
	}
	defer f.Close()
	const most = 64 << 10
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	data, _ := io.ReadAll(io.LimitReader(f, most))
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	if len(data) == 0 {
		return "    (empty)"
	}
	return "    " + string(bytes.Join(lines, []byte("\n    ")))
}
