package cgroup

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reading. Files are opened with unix.Open: os.Open would add calls to fcntl and epoll for each.

// File is one kernel file held open, to be read again and again from its start. Not for concurrent use.
type File struct {
	fd int
}

// OpenFile opens the file at path for reading.
func OpenFile(path string) (*File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &File{fd: fd}, nil
}

// Read reads the whole file into buf. The result aliases buf. An error is ErrGone or one whose text is a reason for Faults.
func (f *File) Read(buf []byte) ([]byte, error) {
	return preadAll(f.fd, buf)
}

// Close closes the file.
func (f *File) Close() { unix.Close(f.fd) }

// seqFileMore is the length from which a first read may not have been all: seq_file gives a page at a time where a file has
// several records (net/dev), and a page with less than this in it would have had room for one more.
const seqFileMore = 4096 - 512

// preadAll reads a file from its start into buf, with one call for all files shorter than a page.
func preadAll(fd int, buf []byte) ([]byte, error) {
	n := 0
	for {
		m, errno := pread(fd, buf[n:], n)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return nil, reason(errno)
		}
		n += m
		if m == 0 || n < seqFileMore {
			return buf[:n], nil
		}
		if n == len(buf) {
			return nil, errTruncated
		}
	}
}

// pread is pread(2) without telling Go's scheduler, which would otherwise start another thread whenever a cold read takes more than
// 20 µs. The kernel makes up these files in memory and waits for no device.
func pread(fd int, buf []byte, offset int) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), uintptr(offset), 0, 0)
	return int(n), errno
}

// openReadClose reads dir/name as preadAll does, for groups that hold no descriptors. The path is put together in buf, which the contents
// then overwrite: unix.Open would allocate it.
func openReadClose(dir, name string, buf []byte) ([]byte, error) {
	n := len(dir) + 1 + len(name)
	if n >= len(buf) {
		return nil, errTruncated
	}
	copy(buf, dir)
	buf[len(dir)] = '/'
	copy(buf[len(dir)+1:], name)
	buf[n] = 0
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(&buf[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return nil, reason(errno)
	}
	b, err := preadAll(int(fd), buf)
	unix.Close(int(fd))
	return b, err
}

// reason maps an errno to ErrGone or to one of the reasons given to Faults.
func reason(err error) error {
	errno, _ := err.(syscall.Errno)
	switch errno {
	case unix.ENODEV, unix.ENOENT, unix.ESRCH: // a removed cgroup's held file, its path, its process
		return ErrGone
	case unix.EACCES, unix.EPERM:
		return errPermission
	case unix.EOPNOTSUPP: // PSI switched off
		return errUnsupported
	case unix.EMFILE, unix.ENFILE:
		return errDescriptors
	}
	return errIO
}
