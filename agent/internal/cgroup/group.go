package cgroup

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options of Open; the zero value holds all files, ignores faults and reads no network.
type Options struct {
	Budget *Budget // descriptors allowed; nil: no limit
	Faults Faults  // told of values that could not be used; nil: nobody
	NetPID int     // a process whose network namespace is read through <proc>/NetPID/net/dev; 0: none
}

// Group is one cgroup with its files held open. Not for concurrent use.
type Group struct {
	// What the one-second pass looks at comes first.
	fds                                []int32 // of files: a descriptor, or absent, or unheld
	cpuFile, memoryFile, bandwidthFile int     // index into files, -1 where absent
	v2, closed                         bool
	partial                            bool // it was not in every hierarchy

	id            string
	dirs          [hierarchies]string // absolute; "" where the cgroup is not in that hierarchy
	files         []file
	pressureFiles [3]int // cpu, memory, io

	depth  uint8 // of its CPU file's cgroup: 1 is below the root
	held   bool
	budget *Budget
	faults Faults

	peaks  bool  // FS.peaks
	peakFD int32 // memory.peak open for writing too, or absent

	proc    string
	netPID  int
	netFile string // "PID/net/dev" below proc
	netFD   int32
	names   []string // of the interfaces seen
}

const (
	absent int32 = -1 // the kernel has no such file
	unheld int32 = -2 // it is there, to be opened at each reading
)

// Open finds the files of a cgroup and, as far as the budget goes, opens them. ErrGone where no hierarchy has such a cgroup.
func (f FS) Open(p Paths, o Options) (*Group, error) {
	g := &Group{
		id: p.ID(), files: f.files, fds: make([]int32, len(f.files)), v2: f.version == V2,
		budget: o.Budget, faults: o.Faults, proc: f.proc, netFD: absent, peaks: f.peaks, peakFD: absent,
	}
	found := false
	for h, rel := range p.rel {
		if rel == "" || f.mounts[h] == "" {
			continue
		}
		dir := filepath.Join(f.mounts[h], rel)
		if exists(dir) {
			g.dirs[h], found = dir, true
		} else if hierarchy(h) != hugetlb {
			g.partial = true
		}
	}
	if !found {
		return nil, fmt.Errorf("open cgroup %q below %s: %w", g.id, f.root, ErrGone)
	}
	for i := range g.fds {
		g.fds[i] = unheld
	}
	if !g.hold() {
		g.budget.countFallback(1)
		g.probe()
	}
	g.cpuFile, g.memoryFile = g.find(cpuacct, cpuUsageV1), g.find(memory, memoryUsageV1)
	if g.v2 {
		g.cpuFile, g.memoryFile = g.find(unified, cpuUsageV2), g.find(unified, memoryUsageV2)
	}
	if g.cpuFile >= 0 {
		in := g.files[g.cpuFile].in
		g.depth = uint8(min(strings.Count(strings.Trim(p.rel[in], "/"), "/")+1, math.MaxUint8))
	}
	g.bandwidthFile = g.giving(HasCPUThrottledPeriods)
	for i, bit := range [...]Has{HasCPUPressure, HasMemoryPressure, HasIOPressure} {
		g.pressureFiles[i] = g.giving(bit)
	}
	g.SetNetPID(o.NetPID)
	g.holdPeak()
	return g, nil
}

// find is the index of a file that is there, or -1.
func (g *Group) find(in hierarchy, name string) int {
	for i, f := range g.files {
		if f.in == in && f.name == name && g.fds[i] != absent {
			return i
		}
	}
	return -1
}

// giving is the index of the file that gives a figure, or -1.
func (g *Group) giving(bit Has) int {
	for i, f := range g.files {
		if f.gives&bit != 0 && g.fds[i] != absent {
			return i
		}
	}
	return -1
}

// CPUAbove is the path of the file with the CPU usage of the topmost cgroup above, which holds that of all below it; "" where that is
// the root, which never rests, or there is no such file.
func (g *Group) CPUAbove() string {
	if g.cpuFile < 0 || g.depth < 2 {
		return ""
	}
	f := &g.files[g.cpuFile]
	dir := g.dirs[f.in]
	for range g.depth - 1 {
		dir = filepath.Dir(dir)
	}
	return filepath.Join(dir, f.name)
}

// ID is the cgroup's path, "/docker/<id>".
func (g *Group) ID() string { return g.id }

// Gives are the figures whose files were there when it was opened.
func (g *Group) Gives() (bits Has) {
	for i, f := range g.files {
		if g.fds[i] != absent {
			bits |= f.gives
		}
	}
	return bits
}

// Partial reports that the cgroup was not in every hierarchy when it was opened: who makes it does so in one after the other.
func (g *Group) Partial() bool { return g.partial }

// Held reports whether the files are held open; false means that the budget was reached and each reading opens them anew.
func (g *Group) Held() bool { return g.held }

// Read takes one full reading. st is overwritten; its slices are reused and stay valid until the next Read into it. buf should have BufferSize
// bytes. A figure that cannot be had is left out of st.Has. The only errors are ErrGone, after which the group should be closed
// (st then has what was read before the cgroup went), and a buffer too small to be of use.
func (g *Group) Read(st *Stats, buf []byte) error { return g.read(st, buf, whole) }

// ReadLast takes the last reading of a cgroup that is being removed: of v1 one hierarchy is gone before the other. What is gone is left out;
// ErrGone where nothing of it is left.
func (g *Group) ReadLast(st *Stats, buf []byte) error {
	err := g.read(st, buf, remains)
	if err == nil && st.Has&^HasNet == 0 { // the network is its process's
		return ErrGone
	}
	return err
}

// extent is what a reading is content with.
type extent uint8

const (
	whole extent = iota
	remains
)

func (g *Group) read(st *Stats, buf []byte, wanted extent) error {
	st.reset()
	if err := g.ready(buf); err != nil {
		return err
	}
	if !g.held && g.hold() {
		g.budget.countFallback(-1)
		g.SetNetPID(g.netPID)
		g.holdPeak()
	}
	var source uint8 // of block I/O
	for i := range g.files {
		f := &g.files[i]
		if g.fds[i] == absent || f.source != 0 && (source != f.source && (f.ops || source != 0)) {
			continue
		}
		b, err := g.load(i, buf)
		if err == nil {
			err = f.understand(b, st)
		}
		if err != nil {
			if err == ErrGone && wanted == whole {
				if !g.livesWithout(i, buf) {
					return ErrGone
				}
				g.drop(i)
				err = errVanished
			}
			g.fault(f.name, err)
		}
		if f.source != 0 && len(st.IO) > 0 {
			source = f.source
		}
	}
	if st.Has&(HasIOBytes|HasIOOps) == 0 {
		st.IO = st.IO[:0] // devices of a file that could not be used
	}
	g.readNet(st, buf)
	g.readPeak(st, buf)
	if st.Has.All(HasMemoryUsage | HasMemoryInactiveFile) {
		st.put(HasMemoryWorkingSet, &st.MemoryWorkingSetBytes, floorSub(st.MemoryUsageBytes, st.MemoryInactiveFileBytes), true)
	}
	return nil
}

// livesWithout tells whether file i alone is gone, because its controller was taken from the cgroup or the cgroup moved in one hierarchy of v1:
// another of the files is still there, and processes are in its cgroup, or in one below.
func (g *Group) livesWithout(i int, buf []byte) bool {
	for j := range g.files {
		if j == i || g.fds[j] == absent {
			continue
		}
		if _, err := g.load(j, buf); err != nil {
			continue
		}
		dir := g.dirs[g.files[j].in]
		b, err := openReadClose(dir, "cgroup.procs", buf)
		return err == nil && (len(b) > 0 || HasChildren(dir))
	}
	return false
}

// drop gives a file back that is gone for now; each reading looks whether it has come again.
func (g *Group) drop(i int) {
	if g.fds[i] >= 0 {
		unix.Close(int(g.fds[i]))
		g.budget.give(1)
	}
	g.fds[i] = unheld
}

// readNet reads the network; a process that is gone is no fault and leaves the rest valid.
func (g *Group) readNet(st *Stats, buf []byte) {
	var b []byte
	var err error
	switch {
	case g.netFD == absent:
		return
	case g.netFD >= 0:
		b, err = preadAll(int(g.netFD), buf)
	default:
		b, err = openReadClose(g.proc, g.netFile, buf)
	}
	if err == nil {
		err = parseNetDev(b, st, &g.names)
	}
	if err != nil {
		g.fault("net/dev", err)
	}
}

// ReadCPU takes the CPU usage alone, with one read: the one-second pass. ok is false where the kernel does not give it.
func (g *Group) ReadCPU(buf []byte) (usage time.Duration, ok bool, err error) {
	b, err := g.loadOne(g.cpuFile, buf)
	if b == nil {
		return 0, false, err
	}
	if g.v2 {
		usage, err = parseCPUUsageUsec(b)
	} else {
		usage, err = parseCPUAcctUsage(b)
	}
	if err != nil {
		g.fault(g.files[g.cpuFile].name, err)
		return 0, false, nil
	}
	return usage, true, nil
}

// ReadMemory takes the current memory usage alone, with one read: the one-second pass where the kernel keeps no peak that can be reset.
func (g *Group) ReadMemory(buf []byte) (usageBytes uint64, ok bool, err error) {
	b, err := g.loadOne(g.memoryFile, buf)
	if b == nil {
		return 0, false, err
	}
	if usageBytes, err = parseNumber(b); err != nil {
		g.fault(g.files[g.memoryFile].name, err)
		return 0, false, nil
	}
	return usageBytes, true, nil
}

// ReadBandwidth takes CPUPeriods and CPUThrottledPeriods into st alone, with one read: the one-second pass of a cgroup with a quota.
func (g *Group) ReadBandwidth(st *Stats, buf []byte) error {
	return g.readInto(g.bandwidthFile, st, buf)
}

// ReadPressure takes the three pressures into st alone, with a read each.
func (g *Group) ReadPressure(st *Stats, buf []byte) error {
	for _, i := range g.pressureFiles {
		if err := g.readInto(i, st, buf); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) readInto(i int, st *Stats, buf []byte) error {
	b, err := g.loadOne(i, buf)
	if b == nil {
		return err
	}
	if err := g.files[i].understand(b, st); err != nil {
		g.fault(g.files[i].name, err)
	}
	return nil
}

// loadOne reads file i for the one-second pass: nil where there is none or it cannot be read now.
func (g *Group) loadOne(i int, buf []byte) ([]byte, error) {
	if err := g.ready(buf); err != nil || i < 0 {
		return nil, err
	}
	b, err := g.load(i, buf)
	if err == ErrGone {
		return nil, ErrGone
	}
	if err == nil {
		b, err = endedLines(b)
	}
	if err != nil {
		g.fault(g.files[i].name, err)
		return nil, nil
	}
	return b, nil
}

func (g *Group) ready(buf []byte) error {
	if g.closed {
		return ErrGone
	}
	if len(buf) < minBuffer {
		return errSmallBuffer
	}
	return nil
}

// load reads the contents of file i; the result aliases buf.
func (g *Group) load(i int, buf []byte) ([]byte, error) {
	if fd := g.fds[i]; fd >= 0 {
		return preadAll(int(fd), buf)
	}
	f := &g.files[i]
	return openReadClose(g.dirs[f.in], f.name, buf)
}

// fault tells of a value that was there and could not be used; what the kernel does not have, or no longer has, is none.
func (g *Group) fault(name string, err error) {
	if g.faults != nil && err != ErrGone && err != errUnsupported {
		g.faults.ReadFault(name, err.Error())
	}
}
