package spool

import (
	"errors"
	"os"
	"time"
)

// lane is a reading position in the segment files.
type lane struct {
	seg   *segment
	scan  scan
	total uint64 // the spool's running total of samples at the position
	at    uint64 // records below it have been passed in seg
}

func (l *lane) close() {
	if l.scan.f != nil {
		l.scan.f.Close()
	}
	*l = lane{}
}

// closeIfGone lets the disk have the space of a removed segment back.
func (l *lane) closeIfGone() {
	if l.seg != nil && l.seg.gone {
		l.close()
	}
}

// open puts the lane at a place in a segment.
func (l *lane) open(files fileSystem, p place) error {
	l.close()
	f, err := files.OpenFile(p.seg.path, os.O_RDONLY)
	if err != nil {
		return err
	}
	l.seg, l.at, l.total = p.seg, p.seq, p.samplesBefore
	l.scan = scan{f: f, off: p.off}
	return nil
}

// What one step of Next came to.
type stepState int

const (
	stepFound  stepState = iota // a record
	stepAgain                   // something was passed over
	stepWait                    // nothing waits, or it has to wait for the rate
	stepClosed                  // the spool was closed
)

// backlogged tells whether what l reads next counts against the rate of the
// backlog: older records, and in order also the new ones while many wait.
func (r *Reader) backlogged(l *lane) bool {
	return l == &r.backlogLane || r.order == InOrder && r.s.nextSeq-r.live > freshAfterRecords
}

// want chooses what to read next: a span of sequence numbers and its lane.
func (r *Reader) want() (want span, l *lane, ok bool) {
	head := r.s.nextSeq - 1
	for len(r.backlog) > 0 && r.backlog[0].lo > r.backlog[0].hi {
		r.backlog = r.backlog[1:]
	}
	liveWaits := r.live <= head
	if r.order == FreshFirst && liveWaits {
		if head-r.live >= freshAfterRecords && len(r.backlog) < maxBacklogSpans {
			r.backlog = append(r.backlog, span{r.live, head - 1})
			r.live = head
			// Without the hint the lane finds its way from the segment's start.
			if t := r.s.tail; t.seq == head && t.seg != nil && !t.seg.gone {
				_ = r.liveLane.open(r.s.files, t)
			}
		}
		return span{r.live, head}, &r.liveLane, true
	}
	if len(r.backlog) > 0 {
		return r.backlog[0], &r.backlogLane, true
	}
	if liveWaits {
		return span{r.live, head}, &r.liveLane, true
	}
	return span{}, nil, false
}

// advance moves the span that l reads to begin at seq; what is left behind and
// was neither delivered nor counted does not exist any more.
func (r *Reader) advance(l *lane, seq uint64) {
	if l == &r.liveLane {
		r.live = seq
	} else {
		r.backlog[0].lo = seq
	}
}

// step looks at one record, or moves on by one segment.
func (r *Reader) step(dst []byte) (Record, stepState) {
	s := r.s
	again := Record{Payload: dst}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return again, stepClosed
	}
	want, l, ok := r.want()
	if !ok {
		r.backlogLane.closeIfGone()
		r.liveLane.closeIfGone()
		return again, stepWait
	}
	backlogged := r.backlogged(l)
	if backlogged && r.rate.wait(time.Now()) > 0 {
		return again, stepWait
	}
	g := s.segmentFrom(want.lo)
	if g == nil {
		rec, state := r.stepMemory(want, l, dst)
		if state == stepFound && backlogged {
			r.rate.took(int64(len(rec.Payload)), time.Now())
		}
		return rec, state
	}
	if g.firstSeq > want.hi {
		r.pass(l, want.lo, want.hi)
		return again, stepAgain
	}
	if l.seg != g || l.at > want.lo {
		if err := l.open(s.files, place{seg: g, off: headerBytes, seq: g.firstSeq, samplesBefore: g.samplesBefore}); err != nil {
			s.metrics.errors.WithLabelValues("read").Inc()
			s.log.Error("spool segment cannot be opened, skipped", "segment", g.path, "error", err)
			r.loseSegment(l, g, want, g.samplesBefore, g.size-headerBytes)
			return again, stepAgain
		}
	}
	l.scan.end = g.size
	oldestMillis := s.oldestUp() + g.aheadMillis

	s.mu.Unlock()
	h, damaged, err := l.scan.header()
	inSpan := err == nil && h.seq >= want.lo && h.seq <= want.hi
	young := inSpan && h.createdMillis >= oldestMillis
	intact := false
	if young {
		dst, intact = l.scan.payload(h, dst)
	}
	s.mu.Lock()

	again.Payload = dst
	switch {
	case s.closed:
		return again, stepClosed
	case g.gone:
		// Dropped meanwhile, and counted then.
		l.close()
		return again, stepAgain
	case err != nil:
		if g.size > l.scan.end {
			return again, stepAgain // grew meanwhile; the next header tells what is missing
		}
		r.loseSegment(l, g, want, l.total, damaged)
		return again, stepAgain
	case h.seq > want.hi && damaged == 0:
		// The rest of the span was never written.
		r.pass(l, want.lo, want.hi)
		return again, stepAgain
	}
	if damaged > 0 {
		s.damage(g, damaged, l.scan.readErr)
	}
	if h.samplesBefore > l.total && h.seq > want.lo {
		r.drop(h.samplesBefore-l.total, damaged, reasonCorrupt)
	}
	if h.seq > want.hi {
		l.total = h.samplesBefore
		r.pass(l, want.lo, want.hi)
		return again, stepAgain
	}
	l.scan.skip(h)
	l.total = h.samplesAfter()
	l.at = h.seq + 1
	if h.seq < want.lo {
		return again, stepAgain
	}
	if h.seq > want.lo {
		r.pass(l, want.lo, h.seq-1)
	}
	r.advance(l, h.seq+1)
	switch {
	case !young:
		r.drop(uint64(h.samples), h.size(), reasonAge)
	case !intact:
		s.damage(g, h.size(), l.scan.readErr)
		r.drop(uint64(h.samples), h.size(), reasonCorrupt)
	default:
		h.upMillis = h.createdMillis - g.aheadMillis
		r.inFlight = append(r.inFlight, h)
		if backlogged {
			r.rate.took(h.size(), time.Now())
		}
		return r.record(h, dst), stepFound
	}
	r.finish(h.seq, h.seq)
	s.trim()
	return again, stepAgain
}

// stepMemory is step for what is not on disk.
func (r *Reader) stepMemory(want span, l *lane, dst []byte) (Record, stepState) {
	e, ok := r.s.ring.from(want.lo)
	if !ok || e.seq > want.hi {
		r.pass(l, want.lo, want.hi)
		return Record{Payload: dst}, stepAgain
	}
	if e.seq > want.lo {
		r.pass(l, want.lo, e.seq-1)
	}
	r.advance(l, e.seq+1)
	r.inFlight = append(r.inFlight, e.header)
	return r.record(e.header, append(dst[:0], e.payload...)), stepFound
}

func (r *Reader) record(h header, payload []byte) Record {
	first := h.seq
	if len(r.done) > 0 && r.done[0].lo == 0 {
		first = min(first, r.done[0].hi+1)
	}
	return Record{Spool: r.s.name, Seq: h.seq, First: first, Created: time.UnixMilli(h.createdMillis), Samples: int(h.samples), Encoding: h.encoding, Payload: payload}
}

// pass leaves a range behind that holds nothing to deliver.
func (r *Reader) pass(l *lane, lo, hi uint64) {
	r.advance(l, hi+1)
	r.finish(lo, hi)
	r.s.trim()
}

// loseSegment leaves the rest of a segment behind. What it should have held
// past the running total is counted.
func (r *Reader) loseSegment(l *lane, g *segment, want span, total uint64, damaged int64) {
	if g.samplesEnd > total {
		r.s.damage(g, damaged, l.scan.readErr)
		r.drop(g.samplesEnd-total, damaged, reasonCorrupt)
	}
	l.close()
	r.pass(l, want.lo, min(g.lastSeq, want.hi))
}

// damage counts and logs bytes that had to be stepped over.
func (s *Spool) damage(g *segment, damaged int64, cause error) {
	s.metrics.errors.WithLabelValues("corrupt").Inc()
	if cause == nil {
		cause = errDamaged
	}
	s.log.Error("spool segment is damaged, stepped over", "segment", g.path, "bytes", damaged, "error", cause)
}

var errDamaged = errors.New("checksum or length does not match")

// segmentFrom is the first segment that can hold the record lo or a later one.
func (s *Spool) segmentFrom(lo uint64) *segment {
	for _, g := range s.segments {
		if !g.empty() && g.lastSeq >= lo {
			return g
		}
	}
	return nil
}
