package engine

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// WriteMetrics writes the library's own metrics (vm_*) as Prometheus text, without those of the process.
func (e *Engine) WriteMetrics(w io.Writer) {
	if e.enter() != nil {
		return
	}
	defer e.leave()
	metrics.WritePrometheus(w, false)
}

// IgnoredSamples is how many samples the storage was given and did not keep since the start, by the storage's reason. It
// acknowledges them all the same, so this count is the only trace.
func (e *Engine) IgnoredSamples() map[string]float64 { return e.state().ignored }

// state is what the library tells of itself in the text of its metrics; it has no other way to ask.
type state struct {
	activeSeries  float64 // that got a sample this hour or the one before
	freeDiskBytes float64
	storedBytes   float64 // on disk and not yet there
	memoryRows    float64 // samples not yet on disk
	known         bool    // memoryRows was told: the engine is open
	ignored       map[string]float64
}

func (e *Engine) state() state {
	var text bytes.Buffer
	e.WriteMetrics(&text)
	return readState(&text)
}

func readState(text io.Reader) state {
	s := state{ignored: map[string]float64{}}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
		if err != nil {
			continue
		}
		switch name, label, _ := strings.Cut(lines.Text()[:at], "{"); name {
		case "vm_rows_ignored_total":
			if reason, ok := strings.CutPrefix(label, `reason="`); ok {
				s.ignored[strings.TrimSuffix(reason, `"}`)] = value
			}
		case "vm_cache_entries":
			if label == `type="storage/hour_metric_ids"}` {
				s.activeSeries = value
			}
		case "vm_free_disk_space_bytes":
			s.freeDiskBytes = value
		case "vm_rows", "vm_pending_rows":
			if label == `type="storage/inmemory"}` || label == `type="storage"}` {
				s.memoryRows += value
				s.known = true
			}
		case "vm_data_size_bytes":
			s.storedBytes += value
		}
	}
	return s
}

// Collector offers the few figures of the engine that rules and dashboards need, under names that stay when the engine changes.
func (e *Engine) Collector() prometheus.Collector {
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("plimsoll_collector_"+name, help, nil, nil)
	}
	return collector{e,
		gauge("active_series", "Series that got a sample this hour or the one before."),
		gauge("storage_free_bytes", "Free disk space where the engine keeps its data."),
		gauge("storage_bytes", "Size of samples and index, on disk and in memory."),
		prometheus.NewDesc("plimsoll_collector_queries_refused_total", "Queries that were not answered, or not in full, because of a limit; the label is its flag.", []string{"limit"}, nil),
		prometheus.NewDesc("plimsoll_collector_queries", "Queries of readers, small and large, that are evaluated or wait for their turn.", []string{"size", "state"}, nil),
	}
}

type collector struct {
	engine               *Engine
	series, free, stored *prometheus.Desc
	refused, queries     *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.series, c.free, c.stored, c.refused, c.queries} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.engine.state()
	for d, v := range map[*prometheus.Desc]float64{c.series: s.activeSeries, c.free: s.freeDiskBytes, c.stored: s.storedBytes} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	for size, lane := range map[string]*turns.Turns{"small": c.engine.lanes.light, "large": c.engine.lanes.heavy} {
		taken, waiting := lane.Load()
		ch <- prometheus.MustNewConstMetric(c.queries, prometheus.GaugeValue, float64(taken), size, "evaluated")
		ch <- prometheus.MustNewConstMetric(c.queries, prometheus.GaugeValue, float64(waiting), size, "waiting")
	}
	for limit, n := range c.engine.refused {
		ch <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(n.Load()), "limit."+limit)
	}
}
