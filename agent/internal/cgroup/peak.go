package cgroup

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The highest memory charge between two readings, exact and without a look in between. Since Linux 6.12 whoever writes to an open memory.peak
// reads through that descriptor the peak since then; other readers still see the peak since the cgroup was made. Older kernels refuse to
// open the file for writing, as does a tree that is mounted read-only.

// holdPeak opens memory.peak for both and begins to watch; without it, or without a descriptor left, Stats has no MemoryPeakBytes.
func (g *Group) holdPeak() {
	if !g.peaks || !g.held || g.memoryFile < 0 || g.peakFD >= 0 || !g.budget.take(1) {
		return
	}
	fd, err := unix.Open(filepath.Join(g.dirs[unified], "memory.peak"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		if g.peakFD = int32(fd); g.resetPeak() {
			return
		}
	}
	g.closePeakFile()
	g.budget.give(1)
}

func (g *Group) resetPeak() bool {
	n, err := unix.Pwrite(int(g.peakFD), peakReset[:], 0)
	return err == nil && n == len(peakReset)
}

// peakReset is what is written: anything that is not empty.
var peakReset = [...]byte{'0'}

// readPeak takes the peak since the last call and begins anew.
func (g *Group) readPeak(st *Stats, buf []byte) {
	if g.peakFD < 0 {
		return
	}
	b, err := preadAll(int(g.peakFD), buf)
	if err == nil {
		var peak uint64
		if b, err = endedLines(b); err == nil {
			peak, err = parseNumber(b)
		}
		st.put(HasMemoryPeak, &st.MemoryPeakBytes, peak, err == nil)
	}
	if err != nil {
		g.fault("memory.peak", err)
		return
	}
	if !g.resetPeak() { // what it shows from now on is older than a reading
		g.closePeak()
	}
}

// KeepsPeak tells that each Read gives MemoryPeakBytes.
func (g *Group) KeepsPeak() bool { return g.peakFD >= 0 }

func (g *Group) closePeak() {
	if g.peakFD >= 0 {
		g.closePeakFile()
		g.budget.give(1)
	}
}

func (g *Group) closePeakFile() {
	if g.peakFD >= 0 {
		unix.Close(int(g.peakFD))
		g.peakFD = absent
	}
}
