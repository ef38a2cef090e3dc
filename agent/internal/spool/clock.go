package spool

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// bootIDPath holds a text that is another one after every boot,
// https://docs.kernel.org/admin-guide/sysctl/kernel.html#random.
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// clockStep is by how much the wall clock must part from the machine's uptime
// for the next record to start a segment.
const clockStep = 10 * time.Second

// Moment is two clocks read together. Ages are differences of UpMillis: it
// counts on while the machine is suspended, and setting the wall clock does not
// move it.
type Moment struct {
	WallMillis int64 // Unix milliseconds
	UpMillis   int64 // milliseconds since the machine started, CLOCK_BOOTTIME of clock_gettime(2)
}

func readClocks() Moment {
	now := time.Now()
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return Moment{now.UnixMilli(), now.UnixMilli()} // no Linux that the agent runs on lacks it
	}
	return Moment{now.UnixMilli(), up.Nano() / int64(time.Millisecond)}
}

// readBoot tells this run of the machine from others; 0 when that is not known.
func readBoot() uint32 {
	id, err := os.ReadFile(bootIDPath)
	if err != nil {
		return 0
	}
	return checksum(id)
}

// date finds out how long ago a segment of an earlier run was started whose
// header is h. Since a reboot that is known by the wall clock only, and nothing
// is younger than now.
func (g *segment) date(h header, boot uint32, now Moment) {
	g.createdUp = min(now.UpMillis, h.createdMillis-(now.WallMillis-now.UpMillis))
	if h.boot != 0 && h.boot == boot {
		g.createdUp = min(now.UpMillis, h.upMillis)
	}
	g.aheadMillis = h.createdMillis - g.createdUp
	g.newestUp = g.createdUp
}
