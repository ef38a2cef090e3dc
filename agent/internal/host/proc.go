package host

import (
	"bytes"
	"errors"
	"math"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

var errMalformed = errors.New("malformed")

// line cuts the first line off b.
func line(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// word cuts the first word off b.
func word(b []byte) (first, rest []byte) {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n') {
		i++
	}
	b = b[i:]
	for i = 0; i < len(b) && b[i] > ' '; i++ {
	}
	return b[:i], b[i:]
}

// number reads a word that is a number, small enough to count kilobytes or sectors.
func number(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || v > math.MaxUint64/20_000 {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, len(b) > 0
}

// parseVmstat reads oom_kill of /proc/vmstat: processes killed for memory on the whole machine, whatever cgroup; Linux 4.13.
func parseVmstat(_ *Node, b []byte, st *cgroup.Stats) error {
	const key = "\noom_kill "
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return nil
	}
	l, _ := line(b[i+len(key):])
	v, ok := number(l)
	if !ok {
		return errMalformed
	}
	st.OOMKills = v
	st.Has |= cgroup.HasOOMKills
	return nil
}

// parseLoadavg reads the number of tasks out of /proc/loadavg: "0.20 0.18 0.12 1/80 11206", after the slash.
func parseLoadavg(_ *Node, b []byte, st *cgroup.Stats) error {
	_, rest, ok := bytes.Cut(b, []byte("/"))
	total, _ := word(rest)
	v, isNumber := number(total)
	if !ok || !isNumber {
		return errMalformed
	}
	st.PIDs = v
	st.Has |= cgroup.HasPIDs
	return nil
}

// parseThreadsMax reads /proc/sys/kernel/threads-max.
func parseThreadsMax(_ *Node, b []byte, st *cgroup.Stats) error { return lowerPIDsMax(b, st) }

// parsePIDMax reads /proc/sys/kernel/pid_max.
func parsePIDMax(_ *Node, b []byte, st *cgroup.Stats) error { return lowerPIDsMax(b, st) }

func lowerPIDsMax(b []byte, st *cgroup.Stats) error {
	first, _ := word(b)
	v, ok := number(first)
	if !ok {
		return errMalformed
	}
	if st.Has&cgroup.HasPIDsMax == 0 || v < st.PIDsMax {
		st.PIDsMax = v
	}
	st.Has |= cgroup.HasPIDsMax
	return nil
}

func parseCPUPressure(_ *Node, b []byte, st *cgroup.Stats) error {
	return parsePressure(b, st, &st.CPUPressure, cgroup.HasCPUPressure, cgroup.HasCPUPressureFull)
}

func parseMemoryPressure(_ *Node, b []byte, st *cgroup.Stats) error {
	return parsePressure(b, st, &st.MemoryPressure, cgroup.HasMemoryPressure, cgroup.HasMemoryPressureFull)
}

func parseIOPressure(_ *Node, b []byte, st *cgroup.Stats) error {
	return parsePressure(b, st, &st.IOPressure, cgroup.HasIOPressure, cgroup.HasIOPressureFull)
}

// parsePressure reads a file of /proc/pressure in the place of the root cgroup's.
func parsePressure(b []byte, st *cgroup.Stats, p *cgroup.Pressure, someBit, fullBit cgroup.Has) error {
	some, full, err := cgroup.ParsePressure(b, p)
	st.Has &^= someBit | fullBit
	if some {
		st.Has |= someBit
	}
	if full {
		st.Has |= fullBit
	}
	return err
}
