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
	encoded  map[string][]byte // labels as wire.AppendLabels writes them, by series
	key      []byte            // of encoded
}

// mostOwn bounds what is kept encoded; the registry's vectors are bounded far below.
const mostOwn = 4096

func newOwnSeries(g prometheus.Gatherer, labels []wire.Label) *ownSeries {
	return &ownSeries{gatherer: g, labels: ownLabels(labels), encoded: map[string][]byte{}}
}

func ownLabels(node []wire.Label) []wire.Label {
	return append(node[:len(node):len(node)], wire.Label{Name: "job", Value: "plimsoll-agent"})
}

// relabel ends the series under the old labels; the next append writes them under the new ones.
func (o *ownSeries) relabel(b *batch, node []wire.Label, atMillis int64) {
	o.end(b, atMillis)
	o.labels = ownLabels(node)
	clear(o.encoded)
}

// end ends all series.
func (o *ownSeries) end(b *batch, atMillis int64) {
	families, _ := o.gatherer.Gather() // what can not be gathered was not shown either
	for _, f := range families {
		for _, one := range f.GetMetric() {
			o.each(f.GetName(), one, func(name, le string, _ float64) { o.add(b, name, one, le, wire.Stale(), atMillis) })
		}
	}
}

func (o *ownSeries) append(b *batch, atMillis int64, m *metrics) {
	families, err := o.gatherer.Gather()
	if err != nil {
		m.ownErrors.Inc() // what could be gathered is still there
	}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			o.each(f.GetName(), one, func(name, le string, value float64) { o.add(b, name, one, le, value, atMillis) })
		}
	}
}

// each calls f for every sample of one metric; le is the bucket's bound, empty elsewhere.
func (o *ownSeries) each(name string, one *dto.Metric, f func(name, le string, value float64)) {
	switch {
	case one.Counter != nil:
		f(name, "", one.Counter.GetValue())
	case one.Gauge != nil:
		f(name, "", one.Gauge.GetValue())
	case one.Untyped != nil:
		f(name, "", one.Untyped.GetValue())
	case one.Histogram != nil:
		h := one.Histogram
		for _, bucket := range h.GetBucket() {
			f(name+"_bucket", strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64), float64(bucket.GetCumulativeCount()))
		}
		f(name+"_bucket", "+Inf", float64(h.GetSampleCount()))
		f(name+"_sum", "", h.GetSampleSum())
		f(name+"_count", "", float64(h.GetSampleCount()))
	}
}

func (o *ownSeries) add(b *batch, name string, one *dto.Metric, le string, value float64, atMillis int64) {
	o.key = append(o.key[:0], name...)
	for _, l := range one.Label {
		o.key = append(append(append(append(o.key, 0xff), l.GetName()...), 0xff), l.GetValue()...)
	}
	o.key = append(append(o.key, 0xff), le...)
	encoded, known := o.encoded[string(o.key)]
	if !known {
		encoded = o.encode(name, one, le)
		if len(o.encoded) >= mostOwn {
			clear(o.encoded)
		}
		o.encoded[string(o.key)] = encoded
	}
	b.payload = wire.AppendSeries(b.payload, encoded, value, atMillis)
	b.count(1)
}

func (o *ownSeries) encode(name string, one *dto.Metric, le string) []byte {
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
	return wire.AppendLabels(nil, labels)
}
