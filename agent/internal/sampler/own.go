package sampler

import (
	"sort"
	"strconv"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// ownSeries ships the agent's own metrics with the node's labels, so that the collector needs no scrape to know its agents.
type ownSeries struct {
	gatherer prometheus.Gatherer
	labels   []wire.Label
	encoded  []byte
}

func newOwnSeries(g prometheus.Gatherer, labels []wire.Label) *ownSeries {
	return &ownSeries{gatherer: g, labels: append(labels[:len(labels):len(labels)], wire.Label{Name: "job", Value: "plimsoll-agent"})}
}

func (o *ownSeries) append(b *batch, atMillis int64, m *metrics) {
	families, err := o.gatherer.Gather()
	if err != nil {
		m.ownErrors.Inc() // what could be gathered is still there
	}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			switch {
			case one.Counter != nil:
				o.add(b, f.GetName(), one, "", one.Counter.GetValue(), atMillis)
			case one.Gauge != nil:
				o.add(b, f.GetName(), one, "", one.Gauge.GetValue(), atMillis)
			case one.Untyped != nil:
				o.add(b, f.GetName(), one, "", one.Untyped.GetValue(), atMillis)
			case one.Histogram != nil:
				h := one.Histogram
				for _, bucket := range h.GetBucket() {
					o.add(b, f.GetName()+"_bucket", one, strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64), float64(bucket.GetCumulativeCount()), atMillis)
				}
				o.add(b, f.GetName()+"_bucket", one, "+Inf", float64(h.GetSampleCount()), atMillis)
				o.add(b, f.GetName()+"_sum", one, "", h.GetSampleSum(), atMillis)
				o.add(b, f.GetName()+"_count", one, "", float64(h.GetSampleCount()), atMillis)
			}
		}
	}
}

func (o *ownSeries) add(b *batch, name string, one *dto.Metric, le string, value float64, atMillis int64) {
	labels := append(make([]wire.Label, 0, len(o.labels)+len(one.Label)+2), wire.Label{Name: "__name__", Value: name})
	for _, l := range o.labels {
		if l.Value != "" {
			labels = append(labels, l)
		}
	}
	for _, l := range one.Label {
		labels = append(labels, wire.Label{Name: l.GetName(), Value: l.GetValue()})
	}
	if le != "" {
		labels = append(labels, wire.Label{Name: "le", Value: le})
	}
	sort.Slice(labels, func(i, j int) bool { return labels[i].Name < labels[j].Name })
	o.encoded = wire.AppendLabels(o.encoded[:0], labels)
	b.payload = wire.AppendSeries(b.payload, o.encoded, value, atMillis)
	b.count(1)
}
