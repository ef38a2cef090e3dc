package spool

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Order is in which order a receiver gets what waits for it.
type Order string

const (
	// InOrder gives records by sequence: what a receiver needs that refuses
	// samples older than the newest it has.
	InOrder Order = "in-order"
	// FreshFirst gives new records first once more than freshAfterRecords wait,
	// and the older ones when no new one waits.
	FreshFirst Order = "fresh-first"
)

const (
	// freshAfterRecords is how many records may wait before the newest overtakes
	// the others, in FreshFirst.
	freshAfterRecords = 8
	// maxBacklogSpans bounds how often that can happen before the backlog is
	// through.
	maxBacklogSpans = 16
)

// Record is one batch as it was stored.
type Record struct {
	// Spool is the name of the spool, random and kept in its directory.
	Spool string
	Seq   uint64
	// First is the lowest number that the receiver may still be given: what is
	// below was acknowledged, or dropped and counted.
	First   uint64
	Created time.Time
	Samples int
	// Encoding is how Payload is to be read.
	Encoding Encoding
	// Payload is in the storage that was given to Next.
	Payload []byte
}

// Backlog is what a receiver has not acknowledged.
type Backlog struct {
	Bytes   int64
	Samples uint64
	// WaitingSince is when the oldest new record was appended that the receiver
	// does not have, zero when it has the newest. Older records may wait as
	// well while new ones overtake them.
	WaitingSince time.Time
}

// Reader gives one receiver its records and keeps its position on disk. Next is
// for one goroutine, the other methods are for any; acknowledgements may come
// in any order.
type Reader struct {
	s       *Spool
	name    string
	dropped *prometheus.CounterVec // label reason
	wake    chan struct{}
	cursor  cursor

	// Guarded by s.mu.
	order    Order
	done     spans    // acknowledged, or dropped and counted
	inFlight []header // returned by Next, not acknowledged
	backlog  []span   // to be read, older than live
	live     uint64   // the next record to be read of the newest ones
	rate     rate     // of the backlog
	pending  struct {
		bytes   int64
		samples uint64
	}
	unsaved        bool  // the position on disk is older than done and pending
	behind         bool  // it does not have the newest record
	waitingSinceUp int64 // since when, as Moment.UpMillis

	// Of the goroutine that calls Next.
	backlogLane, liveLane lane
}

// Reader returns the reader of the named receiver, at the position that an
// earlier run left, or at the oldest record. Make all readers before the first
// is read: what the readers at hand are done with is removed.
func (s *Spool) Reader(name string) (*Reader, error) {
	if name == "" || len(name) > maxReceiverNameBytes {
		return nil, fmt.Errorf("spool: receiver name %q: want 1 to %d bytes", name, maxReceiverNameBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	for _, r := range s.readers {
		if r.name == name {
			return nil, fmt.Errorf("spool: two receivers are named %q: give each its own name", name)
		}
	}
	r := &Reader{s: s, name: name, order: InOrder, wake: make(chan struct{}, 1)}
	r.dropped = s.metrics.dropped.MustCurryWith(prometheus.Labels{"receiver": name})
	r.cursor.path = cursorPath(s.cfg.Dir, name)
	kept := r.cursor.open(s)
	r.done = kept.done
	r.start()
	if err := s.metrics.registerReader(r); err != nil {
		r.closeFiles()
		return nil, err
	}
	s.readers = append(s.readers, r)
	if lost := kept.lost(s.samplesWritten, r.pending.samples); lost > 0 {
		s.log.Error("samples that a receiver did not have are not in the spool any more: files were removed or damaged, or it was not configured for a while", "receiver", name, "samples", lost)
		r.dropped.WithLabelValues(reasonLost).Add(float64(lost))
	}
	if s.degraded == nil {
		r.save()
	}
	return r, nil
}

// save writes the position to disk.
func (r *Reader) save() {
	r.unsaved = false
	onDisk := r.pending.samples
	for _, e := range r.s.ring.entries {
		if !r.done.covers(e.seq, e.seq) {
			onDisk -= min(onDisk, uint64(e.samples))
		}
	}
	written := r.s.samplesWritten
	r.cursor.save(r.s, position{done: r.done, written: written, settled: written - min(written, onDisk)})
}

// start works out what waits for the receiver.
func (r *Reader) start() {
	s := r.s
	head := s.nextSeq - 1
	oldest := s.nextSeq
	if len(s.segments) > 0 {
		oldest = s.segments[0].firstSeq
	} else if len(s.ring.entries) > 0 {
		oldest = s.ring.entries[0].seq
	}
	r.done.add(0, oldest-1)
	r.backlog = r.done.appendMissing(nil, oldest, head)
	r.live = s.nextSeq
	for _, g := range s.segments {
		samples, bytes := s.waiting(r, g)
		r.pending.samples += samples
		r.pending.bytes += bytes
	}
	for _, e := range s.ring.entries {
		if r.waits(e.seq) {
			r.pending.samples += uint64(e.samples)
			r.pending.bytes += e.size()
		}
	}
	if next := r.done.max() + 1; next <= head {
		r.behind, r.waitingSinceUp = true, s.newestUp
		if g := s.segmentFrom(next); g != nil {
			r.waitingSinceUp = g.createdUp
		}
	}
}

// SetOrder changes the order from the next record on.
func (r *Reader) SetOrder(order Order) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.order = order
}

// SetBacklogRate bounds how much of the backlog is given, bytes as they are
// stored per second; 0 is no bound. Of records in order, those count of which
// more than freshAfterRecords wait.
func (r *Reader) SetBacklogRate(bytesPerSecond int64) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.rate.bytesPerSecond = bytesPerSecond
}

// Backlog returns what the receiver has not acknowledged.
func (r *Reader) Backlog() Backlog {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	b := Backlog{Bytes: r.pending.bytes, Samples: r.pending.samples}
	if r.behind {
		waits := r.s.cfg.Now().UpMillis - r.waitingSinceUp
		b.WaitingSince = time.Now().Add(-time.Duration(waits) * time.Millisecond)
	}
	return b
}

// Next returns a record that waits for the receiver, with its payload in dst's
// storage, grown if needed. It waits for one to be appended until ctx ends; a
// record that already waits is returned even after that, so an ended context
// asks without waiting. The record is in flight until it is acknowledged or
// rejected; what is in flight when the process ends is given again.
func (r *Reader) Next(ctx context.Context, dst []byte) (Record, error) {
	for {
		rec, state := r.step(dst)
		switch state {
		case stepFound:
			return rec, nil
		case stepAgain:
			dst = rec.Payload[:0] // keep what was grown
			continue
		case stepClosed:
			return Record{}, ErrClosed
		}
		if err := r.pause(ctx); err != nil {
			return Record{}, err
		}
	}
}

// pause waits until something was appended or the backlog is due again.
func (r *Reader) pause(ctx context.Context) error {
	select {
	case <-r.wake:
		return nil
	default:
	}
	r.s.mu.Lock()
	wait := r.rate.wait(time.Now())
	r.s.mu.Unlock()
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-r.wake:
	case <-due:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Ack says that the receiver has the record.
func (r *Reader) Ack(seq uint64) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.settle(seq)
}

// Reject says that the receiver will never take so many samples of the record
// and has the others: they are counted as dropped for the given reason, and the
// record is not given again.
func (r *Reader) Reject(seq uint64, samples int, reason string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.settle(seq) {
		r.dropped.WithLabelValues(reason).Add(float64(samples))
	}
}

// settle ends the flight of a record.
func (r *Reader) settle(seq uint64) bool {
	for i, h := range r.inFlight {
		if h.seq != seq {
			continue
		}
		r.inFlight = append(r.inFlight[:i], r.inFlight[i+1:]...)
		r.pending.samples -= min(r.pending.samples, uint64(h.samples))
		r.pending.bytes -= min(r.pending.bytes, h.size())
		r.waitingSinceUp = max(r.waitingSinceUp, h.upMillis)
		r.finish(seq, seq)
		r.save()
		r.s.trim()
		return true
	}
	return false
}

// finish marks records as done, whatever became of them.
func (r *Reader) finish(lo, hi uint64) {
	r.unsaved = true
	r.done.add(lo, hi)
	head := r.s.nextSeq - 1
	if r.done.max() >= head {
		r.behind = false
	}
	if len(r.inFlight) == 0 && r.done.covers(0, head) {
		r.pending.samples, r.pending.bytes = 0, 0
	}
}

// drop counts records that waited and cannot be delivered any more.
func (r *Reader) drop(samples uint64, bytes int64, reason string) {
	r.unsaved = true
	r.dropped.WithLabelValues(reason).Add(float64(samples))
	r.pending.samples -= min(r.pending.samples, samples)
	r.pending.bytes -= min(r.pending.bytes, bytes)
}

// waits reports whether the record is neither done nor in flight.
func (r *Reader) waits(seq uint64) bool {
	for _, h := range r.inFlight {
		if h.seq == seq {
			return false
		}
	}
	return !r.done.covers(seq, seq)
}

// appended notes a new record.
func (r *Reader) appended(h header) {
	r.pending.samples += uint64(h.samples)
	r.pending.bytes += h.size()
	if !r.behind {
		r.behind, r.waitingSinceUp = true, h.upMillis
	}
	r.wakeUp()
}

func (r *Reader) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Reader) closeFiles() {
	r.backlogLane.close()
	r.liveLane.close()
	r.cursor.close()
}
