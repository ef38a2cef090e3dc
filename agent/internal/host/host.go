// Package host gives the node's own figures: its size (Machine) and, in the same cgroup.Stats as any container, its use, the cgroup "/".
//
// The root cgroup lacks much of what other cgroups have; what is missing comes from /proc. The whole node's figures are taken wherever
// the root cgroup's would mean something else: limits, kernel memory, pressure, processes and OOM kills.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// Node is the machine with its files held open. Not for concurrent use.
type Node struct {
	root    *cgroup.Group
	files   []heldFile
	faults  cgroup.Faults
	proc    string
	sys     string
	machine Machine
	names   map[device]string // of block devices
	whole   map[device]bool   // block devices that are no partition, loop or ram disk
	disks   diskSource
	mem     meminfo
}

type device struct{ major, minor uint32 }

// heldFile is a file of /proc and how it is understood.
type heldFile struct {
	name  string
	file  *cgroup.File
	parse func(n *Node, b []byte, st *cgroup.Stats) error
}

// Open opens the root cgroup, and what is read beside it under proc, the mounted proc of the host. Files the kernel does not have are left
// out; o.NetPID is ignored, for the node's network is that of process 1.
func Open(tree cgroup.FS, proc, sys string, o cgroup.Options) (*Node, error) {
	n := &Node{proc: proc, sys: sys, faults: o.Faults, names: map[device]string{}, whole: map[device]bool{}}
	if err := n.Refresh(); err != nil {
		return nil, err
	}
	if o.NetPID = 1; tree.ForeignInit() {
		o.NetPID = 0
	}
	if tree.Own() {
		tree = tree.Only(0) // none of its files is the node's
	}
	root, err := tree.Open(tree.PathsFor("/"), o)
	if err != nil {
		return nil, fmt.Errorf("open the node's cgroup: %w", err)
	}
	n.root = root
	for _, h := range []heldFile{
		{name: "meminfo", parse: (*Node).parseMeminfo},
		{name: "vmstat", parse: parseVmstat},
		{name: "loadavg", parse: parseLoadavg},
		{name: "sys/kernel/threads-max", parse: parseThreadsMax},
		{name: "sys/kernel/pid_max", parse: parsePIDMax},
		{name: "pressure/cpu", parse: parseCPUPressure},
		{name: "pressure/memory", parse: parseMemoryPressure},
		{name: "pressure/io", parse: parseIOPressure},
		{name: "diskstats", parse: (*Node).parseDiskstats},
	} {
		h.file, err = cgroup.OpenFile(filepath.Join(proc, h.name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) { // PSI not built in, or switched off
			continue
		}
		if err != nil {
			n.Close()
			return nil, err
		}
		n.files = append(n.files, h)
	}
	return n, nil
}

// Read takes one full reading of the node; see cgroup.Group.Read for st and buf.
//
// What differs from a container's: usage on v2, whose root has no memory.current, is anon + file as on v1; MemoryLimitBytes and
// MemorySwapLimitBytes are the machine's memory and swap; MemoryUnreclaimableBytes is AnonPages + Shmem + SUnreclaim + KernelStack + PageTables +
// Percpu of /proc/meminfo; PIDs are all tasks of the machine, PIDsMax the smaller of threads-max and pid_max; OOMKills is oom_kill of
// /proc/vmstat; pressure is /proc/pressure; IO is /proc/diskstats where the root cgroup counts none. In a container that has its own tree alone
// the root's figures are that container's, and left out: what remains is of /proc. So is the network where process 1 is a container's.
func (n *Node) Read(st *cgroup.Stats, buf []byte) error {
	if err := n.root.Read(st, buf); err != nil {
		return fmt.Errorf("read the node's cgroup: %w", err)
	}
	st.Has &^= cgroup.HasOOMKills | cgroup.HasMemoryUnreclaimable | cgroup.HasMemoryFailcnt | cgroup.HasMemoryReservation |
		cgroup.HasPIDs | cgroup.HasPIDsMax | cgroup.HasCPUShares | cgroup.HasCPUPeriod | cgroup.HasCPUQuota // v1's root has files for some of these, without meaning
	n.disks.choose(len(st.IO) > 0)
	for i := range n.files {
		h := &n.files[i]
		b, err := h.file.Read(buf)
		if err == nil {
			err = h.parse(n, b, st)
		}
		if err != nil && n.faults != nil && !errors.Is(err, cgroup.ErrGone) && !errors.Is(err, errors.ErrUnsupported) {
			n.faults.ReadFault(h.name, err.Error())
		}
	}
	n.mem.complete(st)
	return nil
}

// ReadCPU takes the node's CPU usage alone: the one-second pass.
func (n *Node) ReadCPU(buf []byte) (usage time.Duration, ok bool, err error) {
	return n.root.ReadCPU(buf)
}

// ReadMemory takes the node's memory usage alone; not ok on v2, whose root cgroup has no such file.
func (n *Node) ReadMemory(buf []byte) (usageBytes uint64, ok bool, err error) {
	return n.root.ReadMemory(buf)
}

// Close gives all descriptors back.
func (n *Node) Close() {
	n.root.Close()
	for _, h := range n.files {
		h.file.Close()
	}
	n.files = nil
}
