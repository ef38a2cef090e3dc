package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

// condition is what /-/ready says: ok or degraded, then a line for the spool and one for each receiver. An agent whose receivers are away
// is ok, as keeping what they miss is its task; one whose spool takes no writes is not.
func condition(store spool.Status, receivers []ship.State) string {
	var text strings.Builder
	if store.Err == nil {
		fmt.Fprintf(&text, "ok\nspool %s: %d bytes in %d segments\n", store.Dir, store.Bytes, store.Segments)
	} else {
		fmt.Fprintf(&text, "degraded\nspool %s: refuses writes since %s, %d bytes wait in memory: %s\n",
			store.Dir, store.Since.UTC().Format(time.RFC3339), store.MemoryBytes, store.Err)
	}
	for _, r := range receivers {
		fmt.Fprintf(&text, "receiver %s: %s, %d samples wait", r.Name, r.Phase, r.BacklogSamples)
		if r.LastError != "" {
			fmt.Fprintf(&text, ", last error %s: %s", r.LastErrorAt.UTC().Format(time.RFC3339), r.LastError)
		}
		text.WriteByte('\n')
	}
	return text.String()
}
