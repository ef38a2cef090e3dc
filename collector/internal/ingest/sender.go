package ingest

import (
	"fmt"
	"slices"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
)

// Sender is what is known of who sends a request: its token.
type Sender struct {
	// Name is for messages.
	Name string
	// Missing are labels for those series that lack them.
	Missing []prompb.Label
	// Bounds are the labels that only some values of are the sender's to write.
	Bounds []Bound
}

// Bound is one label and what it may be.
type Bound struct {
	Label string
	// Allows is asked for the value, empty for a series without the label.
	Allows func(value string) bool
	// Instead is written in place of what is not allowed. Empty: the series is rejected.
	Instead string
	// Want says in words what is allowed.
	Want string
}

// apply gives every series the labels it lacks and holds it to the bounds. It returns the series that remain, moved to the
// front of tss; what it changed or left out is noted in out.
func (s Sender) apply(tss []prompb.TimeSeries, out *faults) []prompb.TimeSeries {
	if len(s.Missing) == 0 && len(s.Bounds) == 0 {
		return tss
	}
	valid := tss[:0]
	for _, ts := range tss {
		for _, l := range s.Missing {
			if valueOf(ts.Labels, l.Name) == "" {
				ts.Labels, out.beyondReplay = with(ts.Labels, l), true
			}
		}
		problem := ""
		for _, b := range s.Bounds {
			switch value := valueOf(ts.Labels, b.Label); {
			case b.Allows(value):
			case b.Instead != "":
				ts.Labels, out.beyondReplay = with(ts.Labels, prompb.Label{Name: b.Label, Value: b.Instead}), true
			case problem == "":
				problem = fmt.Sprintf("%s is %q, token %q may write %s", b.Label, value, s.Name, b.Want)
			}
		}
		if problem != "" {
			out.leaveOut(reasonToken, ts, problem)
			continue
		}
		valid = append(valid, ts)
	}
	return valid
}

func valueOf(labels []prompb.Label, name string) string {
	for _, l := range labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// with is labels with one set, in memory of its own: what follows them in theirs belongs to the next series.
func with(labels []prompb.Label, set prompb.Label) []prompb.Label {
	labels = slices.Clone(labels)
	for i := range labels {
		if labels[i].Name == set.Name {
			labels[i].Value = set.Value
			return labels
		}
	}
	return append(labels, set)
}
