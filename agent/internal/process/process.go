// Package process counts what the processes of a container hold: descriptors and sockets, their limit, time on the CPU, and what TCP says
// of their network namespace.
//
// Everything here opens files anew and some of it costs by the process, descriptor or connection, so it is for a slow cadence. A process that
// ends while it is looked at is left out; a figure that nobody may see is absent.
package process

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Faults counts what was there and could not be used; the reasons are those of cgroup.Faults.
type Faults interface {
	ReadFault(file, reason string)
}

// Proc is a mounted proc. Not for concurrent use.
type Proc struct {
	root   string
	faults Faults
	sized  bool // the size of /proc/PID/fd is the number of descriptors: Linux 6.2
	buf    []byte
}

// Open looks at the proc mounted at root; faults may be nil.
func Open(root string, faults Faults) *Proc {
	p := &Proc{root: root, faults: faults, buf: make([]byte, 64<<10)}
	var st unix.Stat_t
	p.sized = unix.Stat(filepath.Join(root, "self/fd"), &st) == nil && st.Size > 0
	return p
}

// Descriptors are those that a set of processes has open.
type Descriptors struct {
	Processes int // that still ran
	Open      int
	Known     bool // Open could be counted for at least one of them and was denied for none
	// Most is the number in the process that has most, and MostLimit its soft limit (RLIMIT_NOFILE); 0: unlimited or unknown.
	Most, MostLimit int
	// FirstLimit is the soft limit of the container's first process, -1: unlimited, 0: unknown.
	FirstLimit int
}

// Descriptors counts the open descriptors of the processes; first is the one the container began with, 0 where it is not known.
func (p *Proc) Descriptors(pids []int, first int) Descriptors {
	var d Descriptors
	busiest, denied := 0, false
	for _, pid := range pids {
		n, err := p.countDescriptors(pid)
		switch {
		case gone(err):
			continue
		case err != nil:
			denied = true
			p.fault("fd", err)
		}
		d.Processes++
		d.Open += n
		if n > d.Most {
			d.Most, busiest = n, pid
		}
	}
	d.Known = d.Processes > 0 && !denied
	if first > 0 {
		d.FirstLimit, _ = p.openFilesLimit(first)
	}
	switch {
	case busiest == first:
		d.MostLimit = max(0, d.FirstLimit)
	case busiest > 0:
		limit, _ := p.openFilesLimit(busiest)
		d.MostLimit = max(0, limit)
	}
	return d
}

func (p *Proc) countDescriptors(pid int) (int, error) {
	dir := p.path(pid, "fd")
	if p.sized {
		var st unix.Stat_t
		err := unix.Stat(dir, &st)
		return int(st.Size), err
	}
	n := 0
	err := eachName(dir, func(string) { n++ })
	return n, err
}

// Sockets counts the descriptors of the processes that are sockets, with a readlink for each; false where one of them may not be looked at.
func (p *Proc) Sockets(pids []int) (int, bool) {
	n, all := 0, true
	for _, pid := range pids {
		dir := p.path(pid, "fd")
		err := eachName(dir, func(name string) {
			m, err := unix.Readlink(dir+"/"+name, p.buf)
			if err == nil && bytes.HasPrefix(p.buf[:m], []byte("socket:")) {
				n++
			}
		})
		if err != nil && !gone(err) {
			all = false
			p.fault("fd", err)
		}
	}
	return n, all
}

// eachName calls f for every entry of a directory, a thousand at a time.
func eachName(dir string, f func(name string)) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			f(name)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// openFilesLimit is the soft limit of open files out of /proc/PID/limits, -1 for unlimited; false where it can not be had.
func (p *Proc) openFilesLimit(pid int) (int, bool) {
	b, err := p.read(p.path(pid, "limits"))
	if err != nil {
		p.fault("limits", err)
		return 0, false
	}
	_, rest, found := bytes.Cut(b, []byte("\nMax open files"))
	fields := bytes.Fields(firstLine(rest))
	if !found || len(fields) < 2 {
		p.fault("limits", errMalformed)
		return 0, false
	}
	if string(fields[0]) == "unlimited" {
		return -1, true
	}
	limit, err := strconv.Atoi(string(fields[0]))
	if err != nil || limit < 0 {
		p.fault("limits", errMalformed)
		return 0, false
	}
	return limit, true
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

func (p *Proc) path(pid int, name string) string {
	return p.root + "/" + strconv.Itoa(pid) + "/" + name
}

// read reads a file of less than 64 KiB into the reader's buffer, which the next read overwrites. os.Open would add six calls, to fcntl and epoll.
func (p *Proc) read(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n := 0
	for {
		m, err := unix.Read(fd, p.buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, err
		case m == 0:
			return p.buf[:n], nil
		}
		if n += m; n == len(p.buf) {
			return nil, errTruncated
		}
	}
}

var (
	errMalformed = errors.New("malformed")
	errTruncated = errors.New("truncated")
)

// gone tells that the process has ended.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

func (p *Proc) fault(file string, err error) {
	if p.faults == nil || err == nil || gone(err) {
		return
	}
	reason := "io"
	switch {
	case errors.Is(err, errMalformed), errors.Is(err, errTruncated):
		reason = err.Error()
	case errors.Is(err, fs.ErrPermission):
		reason = "permission"
	}
	p.faults.ReadFault(file, reason)
}
