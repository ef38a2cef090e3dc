package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const lockName = "lock"

// errNoLockFile says that the directory holds no lock file and none can be
// made: it is read-only or full, so nobody can write to it, us included.
var errNoLockFile = errors.New("lock file cannot be made")

// lock takes the directory for this process. The kernel gives it back when the
// process ends, however it ends.
func (s *Spool) takeLock() error {
	path := filepath.Join(s.cfg.Dir, lockName)
	f, err := s.files.OpenFile(path, os.O_RDWR|os.O_CREATE)
	writable := err == nil
	if !writable {
		readOnly, readErr := s.files.OpenFile(path, os.O_RDONLY)
		if readErr != nil {
			return fmt.Errorf("%w: %w", errNoLockFile, err)
		}
		f = readOnly
	}
	if lockErr := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); lockErr != nil {
		holder := lockHolder(f)
		f.Close()
		if errors.Is(lockErr, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s is held by %s: stop it, or give this agent its own --data-dir", ErrLocked, s.cfg.Dir, holder)
		}
		return fmt.Errorf("lock spool directory %s: %w", s.cfg.Dir, lockErr)
	}
	s.lock = f
	if !writable {
		return fmt.Errorf("open %s: %w", path, err)
	}
	// The process id is only for the other agent's error message.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	return nil
}

// lockHolder names the process that holds the lock, as far as it can be known.
func lockHolder(f file) string {
	var buf [20]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid := bytes.TrimSpace(buf[:n])
	if len(pid) == 0 {
		return "another agent"
	}
	return "another agent, process " + string(pid)
}
