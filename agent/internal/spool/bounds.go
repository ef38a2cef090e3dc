package spool

import "os"

// Why samples were dropped: the reason label of
// plimsoll_agent_samples_dropped_total.
const (
	reasonFull       = "spool_full"    // at MaxBytes
	reasonAge        = "spool_age"     // waited longer than MaxAge
	reasonCorrupt    = "spool_corrupt" // bytes on disk were damaged
	reasonLost       = "spool_lost"    // not in the directory any more at the start
	reasonMemoryFull = "memory_full"   // degraded and at MemoryBytes
	reasonTooLarge   = "too_large"     // a batch that cannot be spooled
)

// makeRoom frees need bytes on disk under the policy and reports whether it
// could.
func (s *Spool) makeRoom(need int64) bool {
	need += headerBytes // a new segment may be due
	if s.bytes+need <= s.cfg.MaxBytes {
		return true
	}
	if s.active != nil {
		// What every receiver has need not stay because its segment is young.
		if g := s.activeSegment(); s.doneByAll(g.firstSeq, g.lastSeq) {
			s.seal()
			s.trim()
		}
	}
	for s.bytes+need > s.cfg.MaxBytes {
		if s.cfg.WhenFull == DropNewest || len(s.segments) == 0 {
			return false
		}
		s.dropOldest(reasonFull)
	}
	return true
}

// makeRoomInMemory frees need bytes in the ring under the policy and reports
// whether it could.
func (s *Spool) makeRoomInMemory(need int64) bool {
	if need > s.ring.maxBytes {
		return false
	}
	for s.ring.bytes+need > s.ring.maxBytes {
		if s.cfg.WhenFull == DropNewest {
			return false
		}
		e := s.ring.entries[0]
		s.ring.removeFront()
		if len(s.readers) == 0 {
			s.metrics.dropped.WithLabelValues("", reasonMemoryFull).Add(float64(e.samples))
		}
		for _, r := range s.readers {
			if r.waits(e.seq) {
				r.drop(uint64(e.samples), e.size(), reasonMemoryFull)
			}
		}
	}
	return true
}

// refuse counts a batch that was never stored, for every receiver.
func (s *Spool) refuse(h header, reason string) {
	if len(s.readers) == 0 {
		s.metrics.dropped.WithLabelValues("", reason).Add(float64(h.samples))
	}
	for _, r := range s.readers {
		r.dropped.WithLabelValues(reason).Add(float64(h.samples))
	}
}

// doneByAll reports whether every receiver is done with the given records. It
// is false while there are no receivers.
func (s *Spool) doneByAll(lo, hi uint64) bool {
	for _, r := range s.readers {
		if !r.done.covers(lo, hi) {
			return false
		}
	}
	return len(s.readers) > 0
}

// trim removes the oldest segments that every receiver is done with, and what
// is done in memory. Segments go in order only: recovery tells by neighbours
// what one of them holds.
func (s *Spool) trim() {
	for len(s.segments) > 0 {
		g := s.segments[0]
		if g == s.activeSegment() || !s.doneByAll(g.firstSeq, g.lastSeq) {
			break
		}
		s.removeSegment(0)
	}
	for len(s.ring.entries) > 0 {
		seq := s.ring.entries[0].seq
		if !s.doneByAll(seq, seq) {
			break
		}
		s.ring.removeFront()
	}
}

// dropOldest removes the oldest segment and counts what a receiver still waited
// for. Records in flight are with their shipper, which goes on with them.
func (s *Spool) dropOldest(reason string) {
	g := s.segments[0]
	if len(s.readers) == 0 {
		s.metrics.dropped.WithLabelValues("", reason).Add(float64(g.samplesEnd - g.samplesBefore))
	}
	for _, r := range s.readers {
		samples, bytes := s.waiting(r, g)
		r.drop(samples, bytes, reason)
	}
	s.removeSegment(0)
}

// waiting sums up what r has not been given of g.
func (s *Spool) waiting(r *Reader, g *segment) (samples uint64, bytes int64) {
	if r.done.covers(g.firstSeq, g.lastSeq) {
		return 0, 0
	}
	if len(r.inFlight) == 0 && r.done.max() < g.firstSeq {
		return g.samplesEnd - g.samplesBefore, g.size - headerBytes
	}
	f, err := s.files.OpenFile(g.path, os.O_RDONLY)
	if err != nil {
		s.metrics.errors.WithLabelValues("read").Inc()
		return g.samplesEnd - g.samplesBefore, g.size - headerBytes
	}
	defer f.Close()
	c := scan{f: f, off: headerBytes, end: g.size}
	total, seq := g.samplesBefore, g.firstSeq
	for {
		h, damaged, err := c.header()
		if err != nil {
			if g.samplesEnd > total && r.waits(max(seq, g.lastSeq)) {
				samples += g.samplesEnd - total
				bytes += damaged
			}
			return samples, bytes
		}
		if h.samplesBefore > total && r.waits(h.seq-1) {
			samples += h.samplesBefore - total
			bytes += damaged
		}
		if r.waits(h.seq) {
			samples += uint64(h.samples)
			bytes += h.size()
		}
		c.skip(h)
		total, seq = h.samplesAfter(), h.seq+1
	}
}

// enforceAge drops segments whose newest record is older than MaxAge.
func (s *Spool) enforceAge() {
	oldest := s.oldestUp()
	for len(s.segments) > 0 && s.segments[0].newestUp < oldest {
		if s.segments[0].empty() {
			return
		}
		s.dropOldest(reasonAge)
	}
}

// oldestUp is when a record was appended that is as old as MaxAge, as
// Moment.UpMillis.
func (s *Spool) oldestUp() int64 { return s.cfg.Now().UpMillis - s.cfg.MaxAge.Milliseconds() }
