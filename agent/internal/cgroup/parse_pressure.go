package cgroup

import (
	"bytes"
	"time"
)

// ParsePressure reads a PSI file: "some avg10=0.00 avg60=0.00 avg300=0.00 total=7322" and the same with "full";
// total is in microseconds. Either line may be missing, and a later kernel may add lines and keys.
// https://docs.kernel.org/accounting/psi.html
func ParsePressure(b []byte, p *Pressure) (some, full bool, err error) {
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		var field *time.Duration
		var has *bool
		switch {
		case bytes.HasPrefix(l, []byte("some ")):
			field, has = &p.Some, &some
		case bytes.HasPrefix(l, []byte("full ")):
			field, has = &p.Full, &full
		case len(l) == 0 || bytes.Contains(l, []byte(" total=")):
			continue // a share of tasks that is new
		default:
			err = errMalformed
			continue
		}
		_, total, found := bytes.Cut(l, []byte(" total="))
		v, after, ok := digits(total)
		d, fits := duration(v, time.Microsecond)
		if !found || !ok || !fits || len(after) > 0 && after[0] != ' ' {
			err = errMalformed
			continue
		}
		*field, *has = d, true
	}
	return some, full, err
}

func parseCPUPressure(b []byte, st *Stats) error {
	some, full, err := ParsePressure(b, &st.CPUPressure)
	st.mark(HasCPUPressure, some)
	st.mark(HasCPUPressureFull, full)
	return err
}

func parseMemoryPressure(b []byte, st *Stats) error {
	some, full, err := ParsePressure(b, &st.MemoryPressure)
	st.mark(HasMemoryPressure, some)
	st.mark(HasMemoryPressureFull, full)
	return err
}

func parseIOPressure(b []byte, st *Stats) error {
	some, full, err := ParsePressure(b, &st.IOPressure)
	st.mark(HasIOPressure, some)
	st.mark(HasIOPressureFull, full)
	return err
}

func (st *Stats) mark(bit Has, ok bool) {
	if ok {
		st.Has |= bit
	}
}
