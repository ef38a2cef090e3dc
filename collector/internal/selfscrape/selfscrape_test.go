package selfscrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
)

// store keeps what was appended, as text.
type store struct {
	lines    []string
	metadata []prompb.MetricMetadata
	err      error
}

func (s *store) AppendMetadata(m []prompb.MetricMetadata) error {
	s.metadata = append(s.metadata, m...)
	return s.err
}

func (s *store) Append(tss []prompb.TimeSeries) error {
	for _, ts := range tss {
		s.lines = append(s.lines, fmt.Sprintf("%s%s %v @%d", ts.Labels[0].Value, prompb.LabelsToString(ts.Labels[1:]), ts.Samples[0].Value, ts.Samples[0].Timestamp))
	}
	return s.err
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestEveryKindOfMetricBecomesItsSeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"reason"})
	c.WithLabelValues("x").Add(2)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h_seconds", Buckets: []float64{0.5}})
	h.Observe(0.1)
	h.Observe(3)
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s", Objectives: map[float64]float64{0.5: 0.1}})
	s.Observe(4)
	reg.MustRegister(c, h, s)
	to := &store{}
	if err := New(Config{Collector: "host-1"}, reg, to, quiet(), prometheus.NewRegistry()).scrape(time.UnixMilli(5)); err != nil {
		t.Fatal(err)
	}
	sort.Strings(to.lines)
	want := `c_total{collector="host-1",reason="x"} 2 @5
h_seconds_bucket{collector="host-1",le="+Inf"} 2 @5
h_seconds_bucket{collector="host-1",le="0.5"} 1 @5
h_seconds_count{collector="host-1"} 2 @5
h_seconds_sum{collector="host-1"} 3.1 @5
s_count{collector="host-1"} 1 @5
s_sum{collector="host-1"} 4 @5
s{collector="host-1",quantile="0.5"} 4 @5`
	if got := strings.Join(to.lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestItScrapesEveryIntervalAndCountsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, to := prometheus.NewRegistry(), &store{err: errors.New("full")}
		s := New(Config{Collector: "h"}, reg, to, quiet(), reg)
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if len(to.lines) != 3 || !strings.HasPrefix(to.lines[2], `plimsoll_collector_self_scrape_failures_total{collector="h"} 2`) {
			t.Errorf("got %q", to.lines)
		}
	})
}

func TestMeaningsAreStoredAgainBeforeTheEngineForgetsThem(t *testing.T) {
	reg, to := prometheus.NewRegistry(), &store{}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "Things."})
	reg.MustRegister(c)
	agents := prompb.MetricMetadata{MetricFamilyName: "container_threads", Help: "Threads.", Type: prompb.MetricTypeGauge}
	s := New(Config{Metadata: []prompb.MetricMetadata{agents}}, reg, to, quiet(), prometheus.NewRegistry())
	start := time.Unix(1_700_000_000, 0)
	for _, at := range []time.Duration{0, time.Minute, 19 * time.Minute, 21 * time.Minute} {
		if err := s.scrape(start.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	own := prompb.MetricMetadata{MetricFamilyName: "c_total", Help: "Things.", Type: prompb.MetricTypeCounter}
	if want := []prompb.MetricMetadata{own, agents, own, agents}; !slices.Equal(to.metadata, want) {
		t.Errorf("got %v", to.metadata)
	}
}
