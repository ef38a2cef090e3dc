// Package selfscrape keeps the collector's own metrics in its engine, so that it is watched by the rules and dashboards it serves.
package selfscrape

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Store takes the samples, and what the metrics mean.
type Store interface {
	Append([]prompb.TimeSeries) error
	AppendMetadata([]prompb.MetricMetadata) error
}

// metadataInterval is how often meanings are stored again: the engine keeps them in memory for an hour.
const metadataInterval = 20 * time.Minute

// Config of the scraper.
type Config struct {
	// Interval between two scrapes. Default 15 s.
	Interval time.Duration
	// Collector is the value of the label of that name on every series, the host's name.
	Collector string
	// Metadata is the meaning of metrics of others that is stored beside that of the collector's own.
	Metadata []prompb.MetricMetadata
}

// Scraper moves metrics from a registry into a store.
type Scraper struct {
	cfg    Config
	from   prometheus.Gatherer
	to     Store
	log    *slog.Logger
	failed prometheus.Counter

	mu    sync.Mutex // one scrape at a time
	meant time.Time  // when meanings were last stored
}

// New returns a scraper; reg gets the counter of its failures.
func New(cfg Config, from prometheus.Gatherer, to Store, log *slog.Logger, reg prometheus.Registerer) *Scraper {
	if cfg.Interval <= 0 {
		cfg.Interval = 15 * time.Second
	}
	s := &Scraper{cfg: cfg, from: from, to: to, log: log, failed: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "plimsoll_collector_self_scrape_failures_total", Help: "Rounds in which own metrics could not be gathered or stored in full."})}
	reg.MustRegister(s.failed)
	return s
}

// Run scrapes at once and then every interval until ctx ends.
func (s *Scraper) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	broken := false // a fault is logged when it begins, and counted each time
	for {
		err := s.Now()
		if err != nil && !broken {
			s.log.Warn("own metrics are not stored", "error", err)
		}
		broken = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Now scrapes between two rounds, for what must not wait for the next.
func (s *Scraper) Now() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.scrape(time.Now())
	if err != nil {
		s.failed.Inc()
	}
	return err
}

// scrape stores what could be gathered, also when one collector failed.
func (s *Scraper) scrape(now time.Time) error {
	families, gatherErr := s.from.Gather()
	if err := s.to.Append(s.series(families, now)); err != nil {
		return fmt.Errorf("store own metrics: %w", err)
	}
	if now.Sub(s.meant) >= metadataInterval {
		if err := s.to.AppendMetadata(append(ownMetadata(families), s.cfg.Metadata...)); err != nil {
			return fmt.Errorf("store the meaning of metrics: %w", err)
		}
		s.meant = now
	}
	if gatherErr != nil {
		return fmt.Errorf("gather own metrics: %w", gatherErr)
	}
	return nil
}

func ownMetadata(families []*dto.MetricFamily) []prompb.MetricMetadata {
	kinds := map[dto.MetricType]prompb.MetricType{dto.MetricType_COUNTER: prompb.MetricTypeCounter, dto.MetricType_GAUGE: prompb.MetricTypeGauge,
		dto.MetricType_HISTOGRAM: prompb.MetricTypeHistogram, dto.MetricType_SUMMARY: prompb.MetricTypeSummary}
	var out []prompb.MetricMetadata
	for _, f := range families {
		out = append(out, prompb.MetricMetadata{MetricFamilyName: f.GetName(), Help: f.GetHelp(), Type: kinds[f.GetType()]})
	}
	return out
}

func (s *Scraper) series(families []*dto.MetricFamily, now time.Time) []prompb.TimeSeries {
	var out []prompb.TimeSeries
	for _, f := range families {
		for _, m := range f.GetMetric() {
			add := func(suffix string, value float64, extra ...prompb.Label) {
				labels := append(make([]prompb.Label, 0, len(m.GetLabel())+3), prompb.Label{Name: "__name__", Value: f.GetName() + suffix}, prompb.Label{Name: "collector", Value: s.cfg.Collector})
				for _, l := range m.GetLabel() {
					labels = append(labels, prompb.Label{Name: l.GetName(), Value: l.GetValue()})
				}
				out = append(out, prompb.TimeSeries{Labels: append(labels, extra...), Samples: []prompb.Sample{{Value: value, Timestamp: now.UnixMilli()}}})
			}
			addMetric(m, add)
		}
	}
	return out
}

// addMetric splits one metric into its series as the text format does.
func addMetric(m *dto.Metric, add func(suffix string, value float64, extra ...prompb.Label)) {
	switch {
	case m.Counter != nil:
		add("", m.Counter.GetValue())
	case m.Gauge != nil:
		add("", m.Gauge.GetValue())
	case m.Untyped != nil:
		add("", m.Untyped.GetValue())
	case m.Summary != nil:
		for _, q := range m.Summary.GetQuantile() {
			add("", q.GetValue(), prompb.Label{Name: "quantile", Value: number(q.GetQuantile())})
		}
		add("_sum", m.Summary.GetSampleSum())
		add("_count", float64(m.Summary.GetSampleCount()))
	case m.Histogram != nil:
		h, infinite := m.Histogram, false
		for _, b := range h.GetBucket() {
			infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
			add("_bucket", float64(b.GetCumulativeCount()), prompb.Label{Name: "le", Value: number(b.GetUpperBound())})
		}
		if !infinite {
			add("_bucket", float64(h.GetSampleCount()), prompb.Label{Name: "le", Value: "+Inf"})
		}
		add("_sum", h.GetSampleSum())
		add("_count", float64(h.GetSampleCount()))
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
