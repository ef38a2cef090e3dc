package ingest

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

// FuzzMessage: whatever the bytes are, the answer is one of ours and nothing ends the process.
func FuzzMessage(f *testing.F) {
	f.Add(message([]string{"__name__", "a", "b", "c"}, []string{"__name__", "d"}))
	f.Add([]byte{1<<3 | 2, 4, 1<<3 | 2, 2, 1 << 3, 7})
	f.Add([]byte{1<<3 | 2, 6, 4<<3 | 2, 4, 11<<3 | 2, 2, 2 << 3, 9})
	f.Fuzz(func(t *testing.T, body []byte) {
		b := newBench(t, Limits{DecodedBytes: 1 << 20}, stub{})
		for _, encoding := range []string{"snappy", "zstd"} {
			b.post(encoding, body)
		}
		switch code := b.post("snappy", snap(body)).Code; code {
		case 204, 400, 413:
		default:
			t.Errorf("answer %d", code)
		}
	})
}

// BenchmarkWrite is a batch of an agent with 100 containers, 60 series each, 12 labels a series.
func BenchmarkWrite(b *testing.B) {
	var series [][]string
	for c := range 100 {
		for m := range 60 {
			series = append(series, []string{"__name__", fmt.Sprintf("container_metric_%d_total", m), "cluster", "east-1", "container", fmt.Sprint("c", c),
				"id", fmt.Sprintf("/docker/%064d", c), "idc", "east", "image", "registry.example/shop/web:1.2.3", "name", fmt.Sprint("c", c), "namespace", "shop",
				"node", "node-17", "pod", "web.1", "project", "shop", "workload", "web"})
		}
	}
	message := message(series...)
	for _, of := range []struct {
		name, encoding string
		body           []byte
		journal        bool
	}{{"snappy", "snappy", snap(message), false}, {"zstd", "zstd", zstandard(message), false}, {"zstd with journal", "zstd", zstandard(message), true}} {
		b.Run(of.name, func(b *testing.B) {
			h := newBench(&testing.T{}, Limits{}, shared)
			if of.journal {
				h.journal = openJournal(b)
			}
			b.SetBytes(int64(len(of.body)))
			b.ReportAllocs()
			for b.Loop() {
				if w := h.post(of.encoding, of.body); w.Code != 204 {
					b.Fatal(w.Body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(series)), "µs/sample")
		})
	}
}

func openJournal(b *testing.B) *journal.Journal {
	j, err := journal.Open(journal.Config{Dir: b.TempDir(), Mark: shared.Mark, MaxBytes: 1 << 40}, quiet(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
	if err := j.Replay(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	return j
}
