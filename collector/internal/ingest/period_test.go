package ingest

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

// A collector whose clock was set back by more than --limit.future answered 400 to all agents, which gave up what they had.
func TestAClockThatIsSetMakesNoPeriodNarrower(t *testing.T) {
	limits := Limits{}.withDefaults()
	right := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what           string
		by             time.Duration // the clock was set
		oldest, newest time.Duration // from the right time
	}{
		{"not set", 0, -limits.Retention, limits.Future},
		{"forward by an hour", time.Hour, -limits.Retention, time.Hour + limits.Future},
		{"forward by a day", 24 * time.Hour, -limits.Retention, 24*time.Hour + limits.Future},
		{"forward by the retention", limits.Retention, -limits.Retention, limits.Retention + limits.Future},
		{"back by an hour", -time.Hour, -time.Hour - limits.Retention, limits.Future},
		{"back by a day", -24 * time.Hour, -24*time.Hour - limits.Retention, limits.Future},
		{"back by two days, of which the engine would drop what is new", -48 * time.Hour, -48*time.Hour - limits.Retention, -24*time.Hour + limits.Future},
	} {
		p := limits.period(right.Add(c.by), right)
		oldest, newest := time.UnixMilli(p.oldest).Sub(right), time.UnixMilli(p.newest).Sub(right)
		if oldest != c.oldest || newest != c.newest || p.back != -c.by {
			t.Errorf("%s: from %s to %s, set back by %s", c.what, oldest, newest, p.back)
		}
	}
}

func TestTheClockKnowsWhatTimeItWouldBe(t *testing.T) {
	began := time.Now()
	c := newClock(func() time.Time { return began }, began.Add(-time.Hour))
	if got := c.unset(began.Add(time.Minute)); !got.Equal(began.Add(time.Minute)) {
		t.Errorf("%s after a minute", got.Sub(began))
	}
	c = newClock(func() time.Time { return began }, began.Add(time.Hour))
	if got := c.unset(began.Add(time.Minute)); !got.Equal(began.Add(time.Hour + time.Minute)) {
		t.Errorf("%s after a minute, of a clock that was behind by an hour", got.Sub(began))
	}
}

// At the start the clock is behind what an earlier run received, as on a machine that forgot the time.
func TestSamplesOfNowWaitWhileTheClockIsBehind(t *testing.T) {
	right := time.Now()
	for _, c := range []struct {
		behind, down time.Duration
		want         int
	}{
		{0, time.Hour, http.StatusNoContent},
		{30 * time.Second, 0, http.StatusNoContent},
		{5 * time.Hour, 5 * time.Minute, http.StatusNoContent},
		{5 * time.Hour, time.Hour, http.StatusServiceUnavailable},
		{25 * time.Hour, 0, http.StatusServiceUnavailable},
		{20_000 * 24 * time.Hour, 0, http.StatusServiceUnavailable},
	} {
		file := filepath.Join(t.TempDir(), "nodes.json")
		before := OpenNodes(NodesConfig{File: file, ForgetAfter: 1 << 62}, quiet(), prometheus.NewRegistry())
		before.note(NodeID{Node: "n"}, "1", "", right.Add(-c.down), right)
		if err := before.save(); err != nil {
			t.Fatal(err)
		}
		reg := prometheus.NewRegistry()
		now := right.Add(-c.behind).Round(0)
		h, err := New(Config{Limits: Limits{Now: func() time.Time { return now }}, Nodes: OpenNodes(NodesConfig{File: file, ForgetAfter: 1 << 62}, quiet(), reg)}, stub{}, quiet(), reg)
		if err != nil {
			t.Fatal(err)
		}
		b := bench{Handler: h, reg: reg}
		w := b.post("snappy", snap(message([]string{"__name__", "w_behind"})))
		if w.Code != c.want || c.want == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
			t.Errorf("behind by %s, down for %s: %d %s", c.behind, c.down, w.Code, w.Body)
		}
		// A sender that is ahead of everybody is refused for good all the same, where the clock is right.
		ahead := wire.AppendSeries(nil, encoded([]string{"__name__", "w_ahead"}), 1, right.Add(c.behind+time.Hour).UnixMilli())
		if w := b.post("snappy", snap(ahead)); c.behind == 0 && w.Code != http.StatusBadRequest {
			t.Errorf("a sender an hour ahead: %d %s", w.Code, w.Body)
		}
	}
}

// The clock that was right when a batch came need not be at the replay.
func TestAReplayTakesWhatWasTakenAndNoMore(t *testing.T) {
	kept := &notebook{}
	b := newBench(t, Limits{}, shared)
	b.journal = kept
	now := time.Now().Truncate(time.Second)
	body := wire.AppendSeries(nil, encoded([]string{"__name__", "w_replayed_in_time"}), 1, now.Add(-time.Second).UnixMilli())
	body = wire.AppendSeries(body, encoded([]string{"__name__", "w_from_the_future"}), 1, now.Add(time.Hour).UnixMilli())
	if w := b.post("snappy", snap(body)); w.Code != http.StatusBadRequest || len(kept.kept) != 1 {
		t.Fatal(w.Code, w.Body, len(kept.kept))
	}
	batch := kept.kept[0]
	for _, received := range []time.Time{batch.Received, batch.Received.Add(-5 * time.Hour)} {
		got := map[string]int{}
		again := newBench(t, Limits{}, named{stub{}, got})
		if err := again.Replay(t.Context(), journal.Batch{Encoding: batch.Encoding, Body: batch.Body, Received: received, Samples: batch.Samples}); err != nil {
			t.Fatal(err)
		}
		if got["w_replayed_in_time"] != 1 || len(got) != 1 {
			t.Errorf("replayed: %v", got)
		}
	}
}

// named is a store that counts samples by metric.
type named struct {
	stub
	samples map[string]int
}

func (n named) Append(tss []prompb.TimeSeries) error {
	for i := range tss {
		n.samples[valueOf(tss[i].Labels, "__name__")] += len(tss[i].Samples)
	}
	return nil
}
