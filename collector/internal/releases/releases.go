// Package releases answers which workloads began to run another image, from which to which, and when.
//
// Nobody announces a release: it is read from when each container was first and last seen. A container with an image of which no
// other container of its workload lives begins one. So rolling back is a release, and scaling, restarting or moving is none; nor is
// an image that was pushed anew under the same name.
package releases

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Sample is one series of an instant query's answer.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// QueryFunc evaluates a MetricsQL expression at a moment.
type QueryFunc func(ctx context.Context, expr string, at time.Time) ([]Sample, error)

// Release is one change of the image of one container of a workload.
type Release struct {
	Project   string    `json:"project,omitempty"`
	IDC       string    `json:"idc,omitempty"`
	Cluster   string    `json:"cluster,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	Workload  string    `json:"workload,omitempty"`
	Container string    `json:"container,omitempty"`
	OldImage  string    `json:"old_image"`
	NewImage  string    `json:"new_image"`
	At        time.Time `json:"at"` // when a container with the new image was first seen
}

const (
	// lead is how far before the window it is looked for what ran before.
	lead = 5 * time.Minute
	// together are the first containers of a workload that appear within so long: all were there before anybody looked.
	together = time.Minute
	// gone is how long after its last sample a container still counts as living: its agent may be late.
	gone = 2 * time.Minute
)

// filters are the labels a request may ask for.
func filters() []string {
	return []string{"project", "idc", "cluster", "namespace", "workload", "container"}
}

// Find lists the releases after from up to to, newest first, of the containers with the given labels; an empty value asks for any.
func Find(ctx context.Context, query QueryFunc, matches map[string]string, from, to time.Time) ([]Release, error) {
	var selector strings.Builder
	selector.WriteString(`container_start_time_seconds{container!="",image!=""`)
	for _, name := range filters() {
		if value := matches[name]; value != "" {
			fmt.Fprintf(&selector, ",%s=%s", name, strconv.Quote(value))
		}
	}
	fmt.Fprintf(&selector, "}[%dms]", (to.Sub(from) + lead).Milliseconds())
	expr := fmt.Sprintf(`union(label_set(tfirst_over_time(%[1]s), "edge", "first"), label_set(tlast_over_time(%[1]s), "edge", "last"))`, selector.String())
	samples, err := query(ctx, expr, to)
	if err != nil {
		return nil, fmt.Errorf("releases: %w", err)
	}
	list := []Release{}
	for _, lives := range workloads(samples) {
		for _, r := range changes(lives) {
			if r.At.After(from) {
				list = append(list, r)
			}
		}
	}
	slices.SortFunc(list, func(a, b Release) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(place(a), place(b)))
	})
	return list, nil
}

func place(r Release) string {
	return strings.Join([]string{r.Project, r.IDC, r.Cluster, r.Namespace, r.Workload, r.Container}, "\xff")
}

// life is when one container was seen.
type life struct {
	labels      map[string]string
	first, last time.Time
}

// workloads puts the lives of each container of a workload together.
func workloads(samples []Sample) map[string][]*life {
	lives := map[string]*life{}
	found := map[string][]*life{}
	for _, s := range samples {
		edge := s.Labels["edge"]
		var id strings.Builder
		for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
			if name != "edge" {
				id.WriteString(name + "\xff" + s.Labels[name] + "\xff")
			}
		}
		l := lives[id.String()]
		if l == nil {
			l = &life{labels: s.Labels}
			lives[id.String()] = l
			key := place(releaseOf(s.Labels))
			found[key] = append(found[key], l)
		}
		at := time.UnixMilli(int64(s.Value*1000 + 0.5)).UTC()
		if edge == "first" {
			l.first = at
		} else {
			l.last = at
		}
	}
	return found
}

func releaseOf(labels map[string]string) Release {
	return Release{
		Project: labels["project"], IDC: labels["idc"], Cluster: labels["cluster"],
		Namespace: labels["namespace"], Workload: labels["workload"], Container: labels["container"], NewImage: labels["image"],
	}
}

// changes goes through the containers in the order they appeared.
func changes(lives []*life) []Release {
	slices.SortFunc(lives, func(a, b *life) int {
		return cmp.Or(a.first.Compare(b.first), strings.Compare(a.labels["image"], b.labels["image"]))
	})
	var list []Release
	current, lastSeen := lives[0].labels["image"], map[string]time.Time{}
	for _, l := range lives {
		image := l.labels["image"]
		initial := l.first.Sub(lives[0].first) < together
		living := l.first.Sub(lastSeen[image]) < gone
		if image != current && !living {
			if !initial {
				r := releaseOf(l.labels)
				r.OldImage, r.At = current, l.first
				list = append(list, r)
			}
			current = image
		}
		if l.last.After(lastSeen[image]) {
			lastSeen[image] = l.last
		}
	}
	return list
}

// Bounds of a request.
const (
	usual        = 24 * time.Hour
	longest      = 31 * 24 * time.Hour
	usualLimit   = 100
	mostLimit    = 10_000
	requestLimit = time.Minute
)

// Handler answers GET /api/releases?since=24h&limit=100&project=…; newest first.
func Handler(query QueryFunc, now func() time.Time) http.Handler {
	if now == nil {
		now = time.Now
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		since, limit, matches, err := parse(r)
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"status": "error", "errorType": "bad_data", "error": err.Error()})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestLimit)
		defer cancel()
		to := now()
		list, err := Find(ctx, query, matches, to.Add(-since), to)
		if err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]any{"status": "error", "errorType": "execution", "error": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]any{"status": "success", "data": list[:min(len(list), limit)], "truncated": len(list) > limit})
	})
}

// parse reads the request; an error names the parameter and what would be right.
func parse(r *http.Request) (since time.Duration, limit int, matches map[string]string, err error) {
	since, limit, matches = usual, usualLimit, map[string]string{}
	for name, values := range r.URL.Query() {
		value := values[0]
		switch {
		case len(values) > 1:
			err = fmt.Errorf("given %d times", len(values))
		case name == "since":
			d, wrong := model.ParseDuration(value)
			if since = time.Duration(d); wrong != nil || since < time.Minute || since > longest {
				err = fmt.Errorf("%q is no time between 1m and 31d", value)
			}
		case name == "limit":
			n, wrong := strconv.Atoi(value)
			if limit = n; wrong != nil || n < 1 || n > mostLimit {
				err = fmt.Errorf("%q is no number from 1 to %d", value, mostLimit)
			}
		case slices.Contains(filters(), name):
			matches[name] = value
		default:
			err = fmt.Errorf("unknown; known are since, limit, %s", strings.Join(filters(), ", "))
		}
		if err != nil {
			return 0, 0, nil, fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	return since, limit, matches, nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}
