package shed

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Meter tells what this process has used. The zero value works; not for concurrent use.
type Meter struct {
	rusage unix.Rusage
	statm  *os.File
	buf    [256]byte
}

// Used asks the kernel: getrusage(2) and the second field of /proc/self/statm, proc(5).
func (m *Meter) Used() (Use, error) {
	if err := unix.Getrusage(unix.RUSAGE_SELF, &m.rusage); err != nil {
		return Use{}, fmt.Errorf("getrusage: %w", err)
	}
	u := Use{CPU: time.Duration(m.rusage.Utime.Nano() + m.rusage.Stime.Nano())}
	if m.statm == nil {
		f, err := os.Open("/proc/self/statm")
		if err != nil {
			return u, fmt.Errorf("resident memory: %w", err)
		}
		m.statm = f
	}
	n, err := m.statm.ReadAt(m.buf[:], 0)
	if n == 0 {
		return u, fmt.Errorf("resident memory: %w", err)
	}
	_, rest, _ := bytes.Cut(m.buf[:n], []byte(" "))
	resident, _, _ := bytes.Cut(rest, []byte(" "))
	pages, err := strconv.ParseInt(string(resident), 10, 64)
	if err != nil {
		return u, fmt.Errorf("resident memory: /proc/self/statm: %w", err)
	}
	u.ResidentBytes = pages * int64(os.Getpagesize())
	return u, nil
}
