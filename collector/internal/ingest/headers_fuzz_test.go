package ingest

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

// FuzzHeaders: what a sender says of its batches' places and of its clock. The numbers add up whatever it is.
func FuzzHeaders(f *testing.F) {
	f.Add("a1", "3", "1", "1700000000000", uint64(7), uint64(2))
	f.Add("0", "9223372036854775807", "9223372036854775807", "-1", uint64(1), uint64(1))
	f.Add("a", "0", "0", "x", uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, agent, number, first, sent string, number2, first2 uint64) {
		h := http.Header{agentHeader: {agent}, sequenceHeader: {number}, firstHeader: {first}, sentHeader: {sent}}
		nodes := OpenNodes(NodesConfig{Now: func() time.Time { return time.Unix(1, 0) }}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		batch := journal.Batch{Received: time.Unix(1, 0)}
		batch.Agent, batch.Sequence, batch.First = sequence(h)
		batch.Run = run(http.Header{runHeader: {sent}})
		if batch.Agent == "" {
			return
		}
		id := NodeID{Node: "n"}
		nodes.note(id, "v", "", batch.Received, batch.Received)
		nodes.deliver(id, true, batch)
		if number2 >= first2 && first2 >= 1 && number2 < 1<<63 {
			batch.Sequence, batch.First = number2, first2
			nodes.deliver(id, true, batch)
		}
		nodes.compareClock(batch.Agent, h, batch.Received)
		d := nodes.List()[0].Deliveries
		before := uint64(0)
		for _, gap := range d.Gaps {
			if gap[0] <= before || gap[1] < gap[0] || gap[1] >= d.LastSequence {
				t.Errorf("gaps %v below %d", d.Gaps, d.LastSequence)
			}
			before = gap[1]
		}
	})
}

// FuzzNodesFile: the table of the run before, or anything else.
func FuzzNodesFile(f *testing.F) {
	f.Add([]byte(`[{"node":"n","idc":"i","agent_id":"a","last_seq":7,"gaps":[[3,4]],"last_received":"2026-01-02T03:04:05Z"}]`))
	f.Add([]byte(`[{"gaps":[[9,1],[0,18446744073709551615]]}]`))
	path := filepath.Join(f.TempDir(), "nodes.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		nodes := OpenNodes(NodesConfig{File: path, Most: 10}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if n := len(nodes.List()); n > 10 {
			t.Errorf("%d nodes", n)
		}
	})
}
