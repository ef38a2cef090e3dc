package ship

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

// reasonRejected is the reason under which the spool counts samples that the
// receiver refused for good.
const reasonRejected = "rejected"

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
	for hard.Err() == nil {
		rec, err := s.source.Next(ctx, s.payload)
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, spool.ErrClosed):
			return nil
		default:
			return err
		}
		s.payload = rec.Payload
		if !s.deliver(ctx, hard, rec) {
			return nil
		}
	}
	return nil
}

// deliver sends one batch until the receiver has taken or rejected it. It
// reports false when it gave up because ctx ended.
func (s *Shipper) deliver(ctx, hard context.Context, rec spool.Record) bool {
	for failures := 1; ; failures++ {
		s.refreshAuth()
		s.mu.Lock()
		using := s.negotiate.choose(time.Now())
		s.mu.Unlock()
		a := s.post(hard, rec, using)
		if refusesEncoding(a.status) && s.encodingRefused(using) {
			failures--
			continue
		}
		switch a.verdict {
		case accepted:
			s.source.Ack(rec.Seq)
			s.succeeded(rec, using, a)
			return true
		case rejected:
			s.source.Reject(rec.Seq, reasonRejected)
			s.setAside(rec, a)
			return true
		}
		s.failed(a)
		if ctx.Err() != nil {
			return false
		}
		pause := time.NewTimer(s.backoff.delay(failures, a.retryAfter, rand.Float64()))
		select {
		case <-pause.C:
		case <-ctx.Done(): // one last try
		}
		pause.Stop()
	}
}

func (s *Shipper) encodingRefused(using Compression) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.negotiate.refused(using)
}

// refreshAuth follows changed credential files; a fault is logged once per
// change of its text.
func (s *Shipper) refreshAuth() {
	err := s.auth.refresh()
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

// succeeded notes a delivered batch.
func (s *Shipper) succeeded(rec spool.Record, using Compression, a answer) {
	now := time.Now()
	s.metrics.shipped.Add(float64(rec.Samples))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.negotiate.took(using, now) {
		s.log.Info("receiver does not take zstd, snappy is used", "try_again_after", snappyFor)
	}
	if s.cfg.Order == AutoOrder && a.anyOrder != s.anyOrder {
		s.anyOrder = a.anyOrder
		if a.anyOrder {
			s.source.SetOrder(spool.FreshFirst)
		} else {
			s.source.SetOrder(spool.InOrder)
		}
	}
	s.enter(Delivering, now, "")
	s.state.LastSuccess = now
	s.state.SamplesShipped += uint64(rec.Samples)
}

// setAside notes a rejected batch.
func (s *Shipper) setAside(rec spool.Record, a answer) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(Delivering, now, "")
	s.state.LastError, s.state.LastErrorAt = "rejected: "+a.reason, now
	s.rejected.add(s.log, now, rec, a.reason)
}

// failed notes a request that is to be made again.
func (s *Shipper) failed(a answer) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
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

// enter changes the phase and logs the change. The caller holds s.mu.
func (s *Shipper) enter(p Phase, now time.Time, reason string) {
	was := s.state.Phase
	s.state.Phase = p
	if p == was || p == Delivering && was == Starting {
		return
	}
	if p == Delivering {
		s.log.Info("receiver takes batches again", "url", s.state.URL, "after", now.Sub(s.failingSince).Round(time.Millisecond))
		return
	}
	if was == Delivering || was == Starting {
		s.failingSince = now
	}
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

func (l *rejectLog) add(log *slog.Logger, now time.Time, rec spool.Record, reason string) {
	l.batches++
	l.samples += rec.Samples
	if !l.last.IsZero() && now.Sub(l.last) < rejectEvery {
		return
	}
	log.Error("receiver rejects batches for good, their samples are counted as dropped",
		"batches", l.batches, "samples", l.samples, "reason", reason)
	*l = rejectLog{last: now}
}
