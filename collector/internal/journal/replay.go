package journal

import (
	"context"
	"fmt"
	"os"
	"time"
)

// progressEvery is how often a long replay says how far it is.
const progressEvery = 5 * time.Second

// Replay gives back, oldest first, every batch that an earlier run left, then lets Append work. A segment that can not be
// read, or in part, is counted and stepped over. apply's error ends the replay; the segments stay for the next start.
func (j *Journal) Replay(ctx context.Context, apply func(Batch) error) error {
	j.mu.Lock()
	segments := j.segments
	j.mu.Unlock()
	began, told := time.Now(), time.Now()
	batches, samples := 0, 0
	total := j.replayTotal.Load()
	if total > 0 {
		j.log.Info("replaying the journal of the last run", "segments", len(segments), "bytes", total)
	}
	one := func(b Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := apply(b); err != nil {
			return err
		}
		batches, samples = batches+1, samples+b.Samples
		j.m.replayed.Add(float64(b.Samples))
		if time.Since(told) >= progressEvery {
			told = time.Now()
			j.log.Info("replaying the journal", "done_bytes", j.replayDone.Load(), "of_bytes", total, "samples", samples)
		}
		return nil
	}
	for _, g := range segments {
		if err := j.replaySegment(g, one); err != nil {
			return fmt.Errorf("replay the journal: %w", err)
		}
		j.replayDone.Add(g.size)
	}
	j.mu.Lock()
	j.replayed = true
	j.mu.Unlock()
	if total > 0 {
		j.log.Info("the journal is replayed", "batches", batches, "samples", samples, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

func (j *Journal) replaySegment(g *segment, apply func(Batch) error) error {
	text, err := os.ReadFile(g.path)
	if err != nil {
		j.m.errors.WithLabelValues("read").Inc()
		j.m.damagedBytes.Add(float64(g.size))
		j.log.Error("a segment of the journal can not be read, stepped over", "segment", g.path, "error", err)
		return nil
	}
	lost, err := walk(text, apply)
	if lost.bytes > 0 {
		j.m.damagedBytes.Add(float64(lost.bytes))
		j.m.damagedSamples.Add(float64(lost.samples))
		j.log.Warn("a segment of the journal is damaged or ends in a write that was cut short, stepped over", "segment", g.path, "bytes", lost.bytes, "samples_at_least", lost.samples)
	}
	return err
}

// Remaining is how much of the replay is left, bytes; 0 once it is through.
func (j *Journal) Remaining() int64 { return max(0, j.replayTotal.Load()-j.replayDone.Load()) }
