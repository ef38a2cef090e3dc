package noise

import (
	"context"
	"errors"
	"time"
)

// Act is what somebody did about alerts.
type Act struct {
	Kind Kind
	At   time.Time
	// Late is how long after the end of an alert it still counts for it.
	Late    time.Duration
	Matches func(alert map[string]string) bool
}

// Kind of an act.
type Kind string

// The kinds that are known.
const (
	Silenced     Kind = "silence"
	Acknowledged Kind = "acknowledgement"
	Released     Kind = "release"
)

// ActsFunc lists the acts that are remembered, at least those between the two moments.
type ActsFunc func(ctx context.Context, from, to time.Time) ([]Act, error)

// Together are the acts of all of them; without one of them the figures would be wrong.
func Together(of ...ActsFunc) ActsFunc {
	return func(ctx context.Context, from, to time.Time) ([]Act, error) {
		var all []Act
		var faults []error
		for _, f := range of {
			acts, err := f(ctx, from, to)
			all, faults = append(all, acts...), append(faults, err)
		}
		return all, errors.Join(faults...)
	}
}

// Release is a change of the image of a workload.
type Release struct {
	At     time.Time
	Labels map[string]string // its project, idc, cluster, namespace and workload
}

// releaseLate is how long after an alert's end a release still counts as the answer to it.
const releaseLate = time.Hour

// Releases makes acts of the releases that find lists. An alert that names no workload is answered by none.
func Releases(find func(ctx context.Context, from, to time.Time) ([]Release, error)) ActsFunc {
	return func(ctx context.Context, from, to time.Time) ([]Act, error) {
		list, err := find(ctx, from, to)
		acts := make([]Act, len(list))
		for i, r := range list {
			acts[i] = Act{Kind: Released, At: r.At, Late: releaseLate, Matches: func(alert map[string]string) bool {
				for name, value := range r.Labels {
					if alert[name] != value {
						return false
					}
				}
				return alert["workload"] != ""
			}}
		}
		return acts, err
	}
}
