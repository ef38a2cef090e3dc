package projectmap

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with a file.
type Fault struct {
	File string
	Line int // from 1
	Text string
}

// Error is "file:line: what is wrong".
func (f Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Faults are all things wrong with a file, at least one, in the order of its lines where it could be read that far.
type Faults []Fault

// Error is a line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// mostFaults is how many are collected; a file with more is not read on.
const mostFaults = 50
