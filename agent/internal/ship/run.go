package ship

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

// reasonRejected is the reason under which the spool counts samples that the
// receiver refused for good.
const reasonRejected = "rejected"

// refusedFor is how long a size that the receiver found too large is not sent.
const refusedFor = time.Hour

// Run ships until ctx ends, then for DrainTimeout at most what still waits, up
// to the first failure. What is not delivered stays in the spool. It returns
// nil unless the source fails.
func (s *Shipper) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		drain := time.NewTimer(s.cfg.DrainTimeout)
		defer drain.Stop()
		select {
		case <-drain.C:
			cancel()
		case <-hard.Done():
		}
	})
	defer stop()
	defer s.setPhase(Stopped)
	quit, giveUp := context.WithCancel(hard)
	defer giveUp()
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	done := make(chan *delivery, s.cfg.Concurrency)
	for s.awaitRoom(quit) {
		var d *delivery
		select {
		case d = <-done:
		default:
			d = &delivery{}
		}
		rec, err := s.source.Next(ctx, d.payload)
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, spool.ErrClosed):
			return nil
		default:
			return err
		}
		d.begin(rec)
		s.taken(1)
		deliveries.Go(func() {
			if !s.deliver(ctx, hard, d) {
				giveUp() // of what waits nothing would be taken either
				return
			}
			done <- d
			s.taken(-1)
		})
	}
	return nil
}

// awaitRoom waits until another batch may be taken from the source. It reports
// false when ctx ended before.
func (s *Shipper) awaitRoom(ctx context.Context) bool {
	for {
		s.mu.Lock()
		may, changed := s.window.mayTake(), s.changed
		s.mu.Unlock()
		if may {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// taken changes how many batches are on their way.
func (s *Shipper) taken(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window.taken += by
	s.noteChange()
}

// noteChange lets those look again who wait for the window. The caller holds
// s.mu.
func (s *Shipper) noteChange() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// awaitTurn waits until a request may begin; once ctx has ended it may, for one
// last try.
func (s *Shipper) awaitTurn(ctx context.Context) {
	for {
		s.mu.Lock()
		may, wait := s.window.maySend(time.Now())
		if may || ctx.Err() != nil {
			s.window.sent++
			s.mu.Unlock()
			return
		}
		changed := s.changed
		s.mu.Unlock()
		if wait > 0 {
			pause(ctx, wait)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// deliver sends one batch until the receiver has taken or rejected all of it.
// It reports false when it gave up because ctx ended.
func (s *Shipper) deliver(ctx, hard context.Context, d *delivery) bool {
	for len(d.parts) > 0 {
		s.awaitTurn(ctx)
		began := time.Now()
		a := s.try(hard, d)
		alone := s.settle(d, a, began)
		switch a.verdict {
		case accepted:
			d.took()
		case rejected:
			s.setAside(d, a)
		case tooLarge:
			if !d.split() {
				s.setAside(d, a)
			}
		default:
			if ctx.Err() != nil {
				return false
			}
			if alone {
				pause(ctx, s.backoff.delay(d.failures, a.retryAfter, rand.Float64()))
			}
		}
	}
	if d.rejected > 0 {
		s.source.Reject(d.rec.Seq, d.rejected, reasonRejected)
	} else {
		s.source.Ack(d.rec.Seq)
	}
	return true
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// try sends the next part of a batch once, in the compression that is its turn.
// It is without a request that it learns of what is known to be too large.
func (s *Shipper) try(ctx context.Context, d *delivery) answer {
	for {
		s.mu.Lock()
		using := s.negotiate.choose(d.zstdRefused, time.Now())
		s.mu.Unlock()
		wire, err := d.encode(d.rec, d.parts[0], using)
		if err != nil {
			return answer{verdict: rejected, reason: err.Error()}
		}
		if s.knownTooLarge(len(wire)) && d.divisible() {
			return answer{verdict: tooLarge}
		}
		a := s.post(ctx, d, wire, using)
		switch {
		case a.verdict == accepted:
			s.succeeded(d, using, a)
		case a.verdict == tooLarge:
			s.learnTooLarge(len(wire), d.divisible())
		case refusesEncoding(a.status) && !d.zstdRefused && s.negotiate.worthSnappy(using):
			d.zstdRefused = true
			continue
		}
		if refusesEncoding(a.status) {
			d.zstdRefused = false // it is not the encoding
		}
		return a
	}
}

// settle ends a request and tells the window of it. It reports whether the
// batch fails alone, while the receiver takes others.
func (s *Shipper) settle(d *delivery, a answer, began time.Time) (alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window.sent--
	if d.failures > 0 {
		s.window.failing--
	}
	switch a.verdict {
	case accepted, rejected, tooLarge:
		d.failures = 0
		s.window.succeeded()
	default:
		now := time.Now()
		s.window.failed(began, now, func(failures int) time.Duration { return s.backoff.delay(failures, a.retryAfter, rand.Float64()) })
		s.failed(a, now)
		d.failures++
		s.window.failing++
	}
	s.noteChange()
	return d.failures > s.window.failures
}

// knownTooLarge tells whether the receiver has refused as much before.
func (s *Shipper) knownTooLarge(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes >= s.refusedBytes && time.Now().Before(s.refusedUntil)
}

// learnTooLarge takes note of the size of a request that the receiver found too
// large. One that cannot be split tells nothing: as if it finds everything too
// large, which may change at any time.
func (s *Shipper) learnTooLarge(bytes int, divisible bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !divisible:
		s.refusedUntil = time.Time{}
	case now.Before(s.refusedUntil):
		s.refusedBytes = min(s.refusedBytes, bytes)
	default:
		s.refusedBytes, s.refusedUntil = bytes, now.Add(refusedFor)
		s.log.Info("receiver finds batches too large, they are sent in parts", "bytes", bytes, "try_again_after", refusedFor)
	}
}

// noteFaults logs what is wrong with credential files, once per change of its
// text.
func (s *Shipper) noteFaults(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != s.authFault {
		s.log.Error("credentials cannot be read again, the last good ones stay in use", "error", text)
	}
	s.authFault = text
}

func (s *Shipper) setPhase(p Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Phase = p
}

// succeeded notes a delivered part.
func (s *Shipper) succeeded(d *delivery, using Compression, a answer) {
	now := time.Now()
	samples := d.samples()
	s.metrics.shipped.Add(float64(samples))
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.zstdRefused && using == Snappy {
		s.negotiate.tookSnappy(now)
		d.zstdRefused = false
		s.log.Info("receiver does not take zstd, snappy is used", "try_again_after", snappyFor)
	}
	if s.cfg.Order == AutoOrder && a.anyOrder != s.anyOrder {
		s.anyOrder = a.anyOrder
		if a.anyOrder {
			s.source.SetOrder(spool.FreshFirst)
			s.window.setMost(s.cfg.Concurrency)
		} else {
			s.source.SetOrder(spool.InOrder)
			s.window.setMost(1)
		}
	}
	s.enter(Delivering, now, "")
	s.state.LastSuccess = now
	s.state.SamplesShipped += uint64(samples)
}

// setAside notes a rejected part, or all that is left of a batch of which the
// receiver found even one series too large.
func (s *Shipper) setAside(d *delivery, a answer) {
	now := time.Now()
	samples := d.reject(a.verdict)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(Delivering, now, "")
	s.state.LastError, s.state.LastErrorAt = "rejected: "+a.reason, now
	s.rejected.add(s.log, now, samples, a.reason)
}

// failed notes a request that is to be made again. The caller holds s.mu.
func (s *Shipper) failed(a answer, now time.Time) {
	s.state.LastError, s.state.LastErrorAt = a.reason, now
	switch a.verdict {
	case unauthorised:
		s.enter(Unauthorised, now, a.reason)
	case misdirected:
		s.enter(Misdirected, now, a.reason)
	default:
		s.enter(Retrying, now, a.reason)
	}
}

// tellEvery is how often a receiver that comes and goes is logged at most.
const tellEvery = time.Minute

// enter changes the phase and logs the change. The caller holds s.mu.
func (s *Shipper) enter(p Phase, now time.Time, reason string) {
	was := s.state.Phase
	s.state.Phase = p
	if p == Delivering {
		if s.told {
			s.log.Info("receiver takes batches again", "url", s.state.URL, "after", now.Sub(s.failingSince).Round(time.Millisecond))
		}
		s.told = false
		return
	}
	if was == Delivering || was == Starting {
		s.failingSince = now
	}
	if s.told && p == was || !s.told && now.Sub(s.toldAt) < tellEvery {
		return
	}
	s.told, s.toldAt = true, now
	advice := "batches wait in the spool"
	switch p {
	case Unauthorised:
		advice = "the receiver refuses the credentials; put them right, batches wait in the spool"
	case Misdirected:
		advice = "nothing at --remote-write.url takes such writes; put it right, batches wait in the spool"
	}
	s.log.Warn("receiver does not take batches", "url", s.state.URL, "phase", string(p), "error", reason, "then", advice)
}

// rejectEvery is how often a rejected batch is logged at most.
const rejectEvery = time.Minute

// rejectLog logs the first rejection of a minute with its reason and counts the
// others.
type rejectLog struct {
	last             time.Time
	batches, samples int
}

func (l *rejectLog) add(log *slog.Logger, now time.Time, samples int, reason string) {
	l.batches++
	l.samples += samples
	if !l.last.IsZero() && now.Sub(l.last) < rejectEvery {
		return
	}
	log.Error("receiver rejects batches for good, their samples are counted as dropped",
		"batches", l.batches, "samples", l.samples, "reason", reason)
	*l = rejectLog{last: now}
}
