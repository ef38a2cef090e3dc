// Package cgroup reads one cgroup's accounting files, v1, hybrid and v2, into one Stats without allocating.
//
// The files of a cgroup are opened once (Open) and read again with pread into the caller's buffer (Group.Read).
// A full reading of a v1 container, 23 files, costs about 30 µs of CPU that way, 1.1 times what the preads alone cost; BenchmarkLive measures it.
//
// Rules that hold throughout: a figure that the kernel does not give is a missing bit in Stats.Has, never a 0;
// a value that cannot be read costs that one figure and is reported to Faults; a cgroup that is gone is ErrGone.
//
// Kernel documentation: https://docs.kernel.org/admin-guide/cgroup-v2.html and
// https://docs.kernel.org/admin-guide/cgroup-v1/.
package cgroup

import "errors"

// ErrGone says that the cgroup (or the process asked about) no longer exists. It is the normal end of every
// container: count it, forget the Group, do not log it as an error.
var ErrGone = errors.New("cgroup is gone")

// BufferSize is the length of buffer that Read needs: 256 KiB holds a host's net/dev with 1,500 interfaces, the
// longest file read here. One buffer serves all groups of a goroutine; only the pages written are ever touched.
const BufferSize = 256 << 10

// minBuffer holds a path, and any file here but the net/dev of a host with a hundred interfaces.
const minBuffer = 16 << 10

// ClockTicksPerSecond is USER_HZ, the unit of cpuacct.stat. The kernel's user interface fixes it at 100 on every
// architecture that runs containers.
const ClockTicksPerSecond = 100

// Faults counts values that were there and could not be used. Both strings come from small fixed sets, so they may
// be metric labels: file is a kernel file name ("memory.stat", "net/dev"), reason one of "malformed", "truncated",
// "permission", "descriptors", "limit", "vanished", "io". ReadFault is called from the hot path: it must not block.
type Faults interface {
	ReadFault(file, reason string)
}

// Reasons a file, or a line of it, was not used; the text is the reason given to Faults.
var (
	errMalformed  = errors.New("malformed")  // not the format the kernel documents
	errTruncated  = errors.New("truncated")  // longer than the buffer, or not ended by a line end
	errPermission = errors.New("permission") // EACCES, EPERM
	errLimit      = errors.New("limit")      // more devices or interfaces than are kept
	errVanished   = errors.New("vanished")   // gone, although the cgroup lives on
	errIO         = errors.New("io")         // any other errno

	errDescriptors = errors.New("descriptors") // EMFILE, ENFILE: the process's or the system's limit
)

// Errors that never reach Faults.
var (
	errUnsupported = errors.New("unsupported by the kernel") // EOPNOTSUPP: PSI switched off
	errSmallBuffer = errors.New("buffer is smaller than 16 KiB")
)
