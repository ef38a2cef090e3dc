package ingest

import (
	"hash/maphash"
	"math"
	"sync"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
)

// events watches a few metrics for changes of value, so that rules over them need not wait for their interval.
type events struct {
	metrics map[string]bool
	tell    func()
	seed    maphash.Seed

	mu   sync.Mutex
	last map[uint64]float64 // by hash of the labels
}

// mostWatched bounds the table. When it is full it starts anew, which costs one call too many.
const mostWatched = 500_000

func newEvents(metrics []string, tell func()) *events {
	e := &events{metrics: map[string]bool{}, tell: tell, seed: maphash.MakeSeed(), last: map[uint64]float64{}}
	for _, name := range metrics {
		e.metrics[name] = tell != nil
	}
	return e
}

// happened is whether a watched series has another value than before. A first value counts unless it is 0: agents ship
// counters as 0 from the discovery of a container on.
func (e *events) happened(tss []prompb.TimeSeries) bool {
	changed := false
	for i := range tss {
		if last := len(tss[i].Samples) - 1; last >= 0 && e.watches(tss[i].Labels) {
			changed = e.note(e.hash(tss[i].Labels), tss[i].Samples[last].Value) || changed
		}
	}
	return changed
}

func (e *events) watches(labels []prompb.Label) bool {
	for _, l := range labels {
		if l.Name == "__name__" {
			return e.metrics[l.Value]
		}
	}
	return false
}

func (e *events) hash(labels []prompb.Label) uint64 {
	var h maphash.Hash
	h.SetSeed(e.seed)
	for _, l := range labels {
		h.WriteString(l.Name)
		h.WriteByte(0)
		h.WriteString(l.Value)
		h.WriteByte(0)
	}
	return h.Sum64()
}

func (e *events) note(series uint64, v float64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before, known := e.last[series]
	if math.IsNaN(v) { // the end of the series
		delete(e.last, series)
		return false
	}
	if !known && len(e.last) >= mostWatched {
		clear(e.last)
	}
	e.last[series] = v
	return known && before != v || !known && v != 0
}
