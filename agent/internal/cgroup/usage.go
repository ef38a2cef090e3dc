package cgroup

import (
	"path/filepath"
	"time"
)

// Usage is the file with one cgroup's CPU usage, held open. Not for concurrent use.
type Usage struct {
	file *File
	v2   bool
}

// OpenUsage opens the file that Group.CPUAbove names.
func OpenUsage(path string) (*Usage, error) {
	file, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	return &Usage{file: file, v2: filepath.Base(path) == cpuUsageV2}, nil
}

// Read tells the usage. An error is ErrGone or one whose text is a reason for Faults.
func (u *Usage) Read(buf []byte) (time.Duration, error) {
	b, err := u.file.Read(buf)
	if err == nil {
		b, err = endedLines(b)
	}
	if err != nil {
		return 0, err
	}
	if u.v2 {
		return parseCPUUsageUsec(b)
	}
	return parseCPUAcctUsage(b)
}

// Grain is what the kernel rounds the usage down to: cpu.stat has microseconds, cpuacct.usage all nanoseconds, of which those of a cgroup
// are exactly the sum of those below it.
func (u *Usage) Grain() time.Duration {
	if u.v2 {
		return time.Microsecond
	}
	return time.Nanosecond
}

// Close closes the file.
func (u *Usage) Close() { u.file.Close() }
