package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	vmfs "github.com/VictoriaMetrics/VictoriaMetrics/lib/fs"
)

// lockFile is ours and held while the engine is open; it carries the holder's process id for the other's message.
const lockFile = "plimsoll.lock"

// lockDataDir creates dir, checks that it and what is in it can be written, and takes the lock. The library would panic
// on each of these.
func lockDataDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := takeLock(f); err != nil {
		f.Close()
		return nil, err
	}
	if err := errors.Join(checkLibraryLock(dir), checkWritable(dir), writeHolder(f)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func takeLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder := make([]byte, 32)
		n, _ := f.ReadAt(holder, 0)
		return fmt.Errorf("%w: %s is held by process %s", ErrLocked, filepath.Dir(f.Name()), strings.TrimSpace(string(holder[:n])))
	}
	if err != nil {
		return fmt.Errorf("%w: lock %s: %w", ErrDataDir, f.Name(), err)
	}
	return nil
}

// checkLibraryLock sees whether a VictoriaMetrics of another kind has the directory open.
func checkLibraryLock(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, vmfs.FlockFilename), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%w: %s is held by another process: %w", ErrLocked, f.Name(), err)
	}
	return nil
}

func checkWritable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if err := unix.Access(path, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("%w: %s: %w (user %d)", ErrDataDir, path, err, syscall.Geteuid())
		}
	}
	return nil
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return nil
}
