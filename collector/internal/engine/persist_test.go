package engine

import (
	"strings"
	"testing"
)

func TestWhatWasJustAppendedIsNotTrustedToBeOnDisk(t *testing.T) {
	e := &Engine{closed: true}
	if persisted := e.Mark(); persisted() {
		t.Error("trusted at once")
	}
}

func TestRowsInMemoryAreThePendingOnesAndThoseInParts(t *testing.T) {
	s := readState(strings.NewReader(`vm_rows{type="storage/inmemory"} 30
vm_rows{type="storage/small"} 1000
vm_rows{type="indexdb/inmemory"} 500
vm_pending_rows{type="storage"} 12
vm_pending_rows{type="indexdb"} 7
`))
	if !s.known || s.memoryRows != 42 {
		t.Errorf("%v rows, known %v", s.memoryRows, s.known)
	}
	if s := readState(strings.NewReader("vm_other 1\n")); s.known {
		t.Error("an engine that tells nothing has nothing in memory")
	}
}
