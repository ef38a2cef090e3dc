package ingest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/agent/wire"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
)

// faults is what was left out of a request.
type faults struct {
	series  int            // with at least one sample left out, so that the sender must be told
	first   string         // the first of them and why
	samples map[reason]int // left out, by reason
	// beyondReplay is set when a replay, which knows nothing of tokens, caps and what time it was, would store other samples of the message.
	beyondReplay bool
}

func (f *faults) add(why reason, samples int) {
	if f.samples == nil {
		f.samples = map[reason]int{}
	}
	f.samples[why] += samples
}

// leaveOut notes a whole series.
func (f *faults) leaveOut(why reason, ts prompb.TimeSeries, problem string) {
	f.add(why, len(ts.Samples))
	f.beyondReplay = true
	if f.series++; f.first == "" {
		f.first = fmt.Sprintf("series %s: %s", abbreviate(ts.Labels), problem)
	}
}

// admit moves what can be stored to the front of tss and returns it. What can not is noted in out.
func (l Limits) admit(tss []prompb.TimeSeries, taken period, out *faults) []prompb.TimeSeries {
	valid := tss[:0]
	for i := range tss {
		ts := tss[i]
		why, problem := l.checkLabels(ts.Labels)
		if why != "" {
			out.add(why, len(ts.Samples))
		} else {
			ts.Samples, problem = admitSamples(ts.Samples, taken, out)
		}
		if problem != "" {
			if out.series++; out.first == "" {
				out.first = fmt.Sprintf("series %d %s: %s", i, abbreviate(ts.Labels), problem)
			}
		}
		if why == "" && len(ts.Samples) > 0 {
			valid = append(valid, ts)
		}
	}
	return valid
}

// checkLabels returns why a series can not be stored and the problem in words, or neither.
func (l Limits) checkLabels(labels []prompb.Label) (reason, string) {
	if len(labels) > l.Labels {
		return reasonLabelCount, fmt.Sprintf("%d labels, the most is %d (--limit.labels)", len(labels), l.Labels)
	}
	named, sorted, total := false, true, 0
	for i, label := range labels {
		if why, problem := l.checkLabel(label); why != "" {
			return why, problem
		}
		// Senders sort labels; only where the order is broken can a name come again.
		sorted = sorted && (i == 0 || labels[i-1].Name < label.Name)
		if !sorted && slices.ContainsFunc(labels[:i], func(earlier prompb.Label) bool { return earlier.Name == label.Name }) {
			return reasonDuplicateLabel, fmt.Sprintf("label %q comes twice", label.Name)
		}
		named = named || label.Name == "__name__" && label.Value != ""
		total += len(label.Name) + len(label.Value)
	}
	if !named {
		return reasonMetricName, "no label __name__"
	}
	if total > engine.MaxSeriesLabelBytes {
		return reasonLabelLength, fmt.Sprintf("%d bytes of labels, the most is %d", total, engine.MaxSeriesLabelBytes)
	}
	return "", ""
}

func (l Limits) checkLabel(label prompb.Label) (reason, string) {
	switch {
	case len(label.Name) > l.NameBytes:
		return reasonLabelLength, fmt.Sprintf("label name %.40q… has %d bytes, the most is %d (--limit.label-name)", label.Name, len(label.Name), l.NameBytes)
	case len(label.Value) > l.ValueBytes:
		return reasonLabelLength, fmt.Sprintf("the value of label %q has %d bytes, the most is %d (--limit.label-value)", label.Name, len(label.Value), l.ValueBytes)
	case !isName(label.Name, false):
		return reasonLabelName, fmt.Sprintf("label name %q is not of the form [a-zA-Z_][a-zA-Z0-9_]*", label.Name)
	case !utf8.ValidString(label.Value):
		return reasonLabelValue, fmt.Sprintf("the value of label %q is not UTF-8", label.Name)
	case label.Name == "__name__" && label.Value != "" && !isName(label.Value, true):
		return reasonMetricName, fmt.Sprintf("metric name %.80q is not of the form [a-zA-Z_:][a-zA-Z0-9_:]*", label.Value)
	}
	return "", ""
}

func isName(s string, colons bool) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || colons && c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// admitSamples moves the samples that can be stored to the front. A NaN that is no stale marker is legal and yet nothing
// the engine can keep: it is counted, and no reason for the sender to hear an error.
func admitSamples(samples []prompb.Sample, taken period, out *faults) (valid []prompb.Sample, problem string) {
	valid = samples[:0]
	for _, s := range samples {
		switch {
		case s.Timestamp > taken.newest:
			out.add(reasonFuture, 1)
			out.beyondReplay = true
			problem = fmt.Sprintf("timestamp %s is ahead of the collector's clock by more than --limit.future", stamp(s.Timestamp))
		case s.Timestamp < taken.oldest:
			out.add(reasonRetention, 1)
			out.beyondReplay = true
			problem = fmt.Sprintf("timestamp %s is older than --retention", stamp(s.Timestamp))
		case math.IsNaN(s.Value) && !wire.IsStale(s.Value):
			out.add(reasonNaN, 1)
		default:
			valid = append(valid, s)
		}
	}
	return valid, problem
}

func stamp(millis int64) string {
	const year9999 = 253402300799999
	if millis < 0 || millis > year9999 {
		return fmt.Sprint(millis, " ms")
	}
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z")
}

// abbreviate writes labels for a message.
func abbreviate(labels []prompb.Label) string {
	const mostLabels, mostBytes = 12, 300
	more := ""
	if len(labels) > mostLabels {
		labels, more = labels[:mostLabels], "…"
	}
	s := prompb.LabelsToString(labels)
	if len(s) > mostBytes {
		s, more = strings.ToValidUTF8(s[:mostBytes], ""), "…"
	}
	return s + more
}

// admitMetadata leaves out what no metric can be called and texts without end.
func (l Limits) admitMetadata(metadata []prompb.MetricMetadata) []prompb.MetricMetadata {
	valid := metadata[:0]
	for _, m := range metadata {
		if isName(m.MetricFamilyName, true) && len(m.MetricFamilyName) <= l.ValueBytes && len(m.Help)+len(m.Unit) <= l.ValueBytes {
			valid = append(valid, m)
		}
	}
	return valid
}
