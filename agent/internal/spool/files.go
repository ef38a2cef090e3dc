package spool

import (
	"io"
	"os"
)

// fileSystem is what the spool asks of the operating system. Tests replace it
// to make writes fail at chosen moments.
type fileSystem interface {
	MkdirAll(path string) error
	OpenFile(path string, flag int) (file, error)
	Remove(path string) error
	ReadDirNames(path string) ([]string, error)
	SyncDir(path string) error
}

// file is an open regular file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
	Stat() (os.FileInfo, error)
	Fd() uintptr
}

// osFiles is the real file system. Files are private to the agent's user:
// labels tell who runs what.
type osFiles struct{}

func (osFiles) MkdirAll(path string) error { return os.MkdirAll(path, 0o700) }

func (osFiles) OpenFile(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFiles) Remove(path string) error { return os.Remove(path) }

func (osFiles) ReadDirNames(path string) ([]string, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// SyncDir makes created and removed names durable.
func (osFiles) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
