package main

import (
	"context"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/grafana"
	"github.com/plimsoll/plimsoll/collector/internal/grafana/moments"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// happened asks the engine what is to be annotated in Grafana.
func happened(e store) grafana.MomentsFunc {
	return moments.Sources{
		Range: func(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]moments.Series, error) {
			found, err := e.QueryRange(ctx, expr, from, to, step)
			all := make([]moments.Series, len(found))
			for i, s := range found {
				all[i] = moments.Series{Labels: map[string]string{}, Values: s.Values}
				for _, l := range s.Labels {
					all[i].Labels[l.Name] = l.Value
				}
				for _, ms := range s.TimestampsMillis {
					all[i].Times = append(all[i].Times, time.UnixMilli(ms).UTC())
				}
			}
			return all, err
		},
		Releases: func(ctx context.Context, from, to time.Time) ([]releases.Release, error) {
			return releases.Find(ctx, samples(e), nil, from, to)
		},
	}.Find
}
