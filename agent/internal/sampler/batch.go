package sampler

import (
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// batch collects encoded samples and hands them out when it is full or flushed.
type batch struct {
	payload []byte
	samples int
	limit   int
	out     func(payload []byte, samples int)
}

func (b *batch) add(s *series.Set, atMillis int64) {
	var n int
	b.payload, n = s.AppendWire(b.payload, atMillis)
	b.count(n)
}

func (b *batch) end(s *series.Set, atMillis int64) {
	var n int
	b.payload, n = s.AppendStale(b.payload, atMillis)
	b.count(n)
}

func (b *batch) endSlow(s *series.Set, atMillis int64) {
	var n int
	b.payload, n = s.EndSlow(b.payload, atMillis)
	b.count(n)
}

func (b *batch) relabel(s *series.Set, labels []wire.Label, atMillis int64) {
	var n int
	b.payload, n = s.Relabel(b.payload, labels, atMillis)
	b.count(n)
}

func (b *batch) count(n int) {
	b.samples += n
	if len(b.payload) >= b.limit {
		b.flush()
	}
}

func (b *batch) flush() {
	if b.samples > 0 {
		b.out(b.payload, b.samples)
	}
	b.payload, b.samples = b.payload[:0], 0
}
