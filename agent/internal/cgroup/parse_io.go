package cgroup

import (
	"bytes"
	"time"
)

// device returns the entry of a block device in st.IO, made if need be; nil past the limit.
func (st *Stats) device(major, minor uint32) *IODevice {
	for i := range st.IO {
		if d := &st.IO[i]; d.Major == major && d.Minor == minor {
			return d
		}
	}
	if len(st.IO) == maxIODevices {
		return nil
	}
	st.IO = append(st.IO, IODevice{Major: major, Minor: minor})
	return &st.IO[len(st.IO)-1]
}

// majorMinor reads "8:16" at the head of b.
func majorMinor(b []byte) (major, minor uint32, rest []byte, ok bool) {
	ma, rest, ok := digits(b)
	if !ok || len(rest) == 0 || rest[0] != ':' {
		return 0, 0, rest, false
	}
	mi, rest, ok := digits(rest[1:])
	return uint32(ma), uint32(mi), rest, ok && ma == uint64(uint32(ma)) && mi == uint64(uint32(mi))
}

// parseBlkio reads a v1 blkio file of one figure by device and operation, lines "8:0 Read 4096", and adds to the fields given for
// Read and Write. Sync, Async, Discard and Total are other sums of the same. A bad line costs the figure for all devices: one device
// with a false 0 would be worse.
func parseBlkio(b []byte, st *Stats, read, write func(*IODevice) *uint64) error {
	var bad error
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		if len(l) == 0 || bytes.HasPrefix(l, []byte("Total ")) {
			continue
		}
		major, minor, op, ok := majorMinor(l)
		if !ok || len(op) == 0 || op[0] != ' ' {
			bad = errMalformed
			continue
		}
		var field func(*IODevice) *uint64
		value, found := bytes.CutPrefix(op, []byte(" Read "))
		if found {
			field = read
		} else if value, found = bytes.CutPrefix(op, []byte(" Write ")); found {
			field = write
		} else {
			continue
		}
		v, err := parseNumber(value)
		if err != nil || !isCount(v) {
			bad = errMalformed
			continue
		}
		d := st.device(major, minor)
		if d == nil {
			if bad == nil {
				bad = errLimit
			}
			continue
		}
		*field(d) = v
	}
	return bad
}

func readBytes(d *IODevice) *uint64  { return &d.ReadBytes }
func writeBytes(d *IODevice) *uint64 { return &d.WriteBytes }
func reads(d *IODevice) *uint64      { return &d.Reads }
func writes(d *IODevice) *uint64     { return &d.Writes }

func parseBlkioBytes(b []byte, st *Stats) error {
	err := parseBlkio(b, st, readBytes, writeBytes)
	st.mark(HasIOBytes, err != errMalformed)
	return err
}

func parseBlkioOps(b []byte, st *Stats) error {
	err := parseBlkio(b, st, reads, writes)
	st.mark(HasIOOps, err != errMalformed)
	return err
}

// parseIOStat reads v2 io.stat: "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" for each device. Some kernels print a
// device without figures, and without a line end, before the next one ("7:0 254:0 rbytes=…"): it is passed over.
func parseIOStat(b []byte, st *Stats) error {
	var bad error
	var dev *IODevice
	var major, minor uint32
	named := false // the last device word could be read
	for len(b) > 0 {
		if b[0] == ' ' || b[0] == '\n' {
			b = b[1:]
			continue
		}
		i := 0
		for i < len(b) && b[i] != ' ' && b[i] != '\n' {
			i++
		}
		word := b[:i]
		b = b[i:]
		eq := bytes.IndexByte(word, '=')
		if eq < 0 {
			dev = nil
			var rest []byte
			major, minor, rest, named = majorMinor(word)
			if named = named && len(rest) == 0; !named {
				bad = errMalformed
			}
			continue
		}
		var field func(*IODevice) *uint64
		cost := -1
		switch string(word[:eq]) {
		case "cost.usage":
			cost = 0
		case "cost.wait":
			cost = 1
		case "cost.indebt":
			cost = 2
		case "cost.indelay":
			cost = 3
		case "rbytes":
			field = readBytes
		case "wbytes":
			field = writeBytes
		case "rios":
			field = reads
		case "wios":
			field = writes
		default:
			continue
		}
		v, err := parseNumber(word[eq+1:])
		if err != nil || !isCount(v) || !named {
			bad = errMalformed
			continue
		}
		if dev == nil {
			if dev = st.device(major, minor); dev == nil {
				if bad == nil {
					bad = errLimit
				}
				continue
			}
		}
		if cost < 0 {
			*field(dev) = v
		} else if d, fits := duration(v, time.Microsecond); fits {
			dev.Cost[cost], dev.HasCost = d, true
		} else {
			bad = errMalformed
		}
	}
	st.mark(HasIOBytes|HasIOOps, bad != errMalformed)
	return bad
}
