package main

import (
	"errors"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

func TestReadyTellsOfTheSpoolAndTheReceivers(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	well := condition(spool.Status{Dir: "/data/spool", Bytes: 1000, Segments: 2}, []ship.State{{Name: "a:9750", Phase: ship.Delivering}})
	if want := "ok\nspool /data/spool: 1000 bytes in 2 segments\nreceiver a:9750: delivering, 0 samples wait\n"; well != want {
		t.Errorf("got\n%swant\n%s", well, want)
	}
	ill := condition(spool.Status{Dir: "/data/spool", MemoryBytes: 70, Err: errors.New("no space left on device"), Since: at},
		[]ship.State{{Name: "a:9750", Phase: ship.Retrying, BacklogSamples: 12, LastError: "503 Service Unavailable", LastErrorAt: at}})
	if want := "degraded\nspool /data/spool: refuses writes since 2026-01-02T03:04:05Z, 70 bytes wait in memory: no space left on device\n" +
		"receiver a:9750: retrying, 12 samples wait, last error 2026-01-02T03:04:05Z: 503 Service Unavailable\n"; ill != want {
		t.Errorf("got\n%swant\n%s", ill, want)
	}
}
