package grafana

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Run publishes until ctx ends, which is the only thing that ends it: a round that fails is tried again, at first
// after a second, at last every five minutes; a round that succeeds is repeated at the interval, so that what changed
// in Grafana is put back.
func (p *Publisher) Run(ctx context.Context) error {
	s := schedule{interval: p.cfg.Interval, jitter: rand.Float64}
	said := ""
	for {
		report, err := p.Publish(ctx)
		if ctx.Err() != nil {
			return nil
		}
		said = p.tell(report, err, said)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.next(err == nil)):
		}
	}
}

// tell logs what is new: a fault once and not at every try, its end, and what was written.
func (p *Publisher) tell(r Report, err error, said string) string {
	now := ""
	if err != nil {
		now = err.Error()
	}
	switch {
	case now != "" && now != said:
		p.log.Warn("Grafana is not as shipped; trying again", "error", oneLine(err), "folder", p.cfg.FolderTitle)
	case now == "" && said != "":
		p.log.Info("Grafana is as shipped again")
	}
	if r.Writes() > 0 {
		p.log.Info("published to Grafana", "created", r.Created, "updated", r.Updated, "repaired", r.Repaired,
			"unchanged", r.Unchanged, "skipped", r.Skipped, "pruned", r.Pruned)
	}
	return now
}

// oneLine writes joined errors behind each other.
func oneLine(err error) string {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err.Error()
	}
	text := ""
	for i, e := range joined.Unwrap() {
		if i > 0 {
			text += "; "
		}
		text += e.Error()
	}
	return text
}

// schedule says when the next round is.
type schedule struct {
	interval time.Duration
	jitter   func() float64 // in [0, 1)
	failures int
}

const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// next is the pause after a round: the interval, give or take a tenth, after a good one; after the n-th bad one in a
// row 1 s * 2^(n-1), give or take a half, never more than five minutes and never more than the interval.
func (s *schedule) next(good bool) time.Duration {
	if good {
		s.failures = 0
		return time.Duration(float64(s.interval) * (0.9 + 0.2*s.jitter()))
	}
	s.failures++
	pause := min(firstRetry<<min(s.failures-1, 20), lastRetry, s.interval)
	return time.Duration(float64(pause) * (0.5 + 0.5*s.jitter()))
}
