// Package exits answers which containers ended, when, why, and what they had used.
//
// An agent writes each exit as one sample of every container_exit_* metric at the time of the exit, with the container's labels and
// the reason; so the records are kept, replicated and expired with everything else, by any engine that answers
// the Prometheus query API. This package asks for the raw samples and puts those of one exit together.
package exits

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Exit is one container's end. A field nobody could tell is left out.
type Exit struct {
	Project   string `json:"project,omitempty"`
	IDC       string `json:"idc,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Node      string `json:"node,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Workload  string `json:"workload,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	Image     string `json:"image,omitempty"`
	Name      string `json:"name,omitempty"`
	ID        string `json:"id,omitempty"` // path of its cgroup

	Start  *time.Time `json:"start,omitempty"`
	End    time.Time  `json:"end"`
	Reason string     `json:"reason"`              // completed, stopped, error, signalled, oom_killed or unknown
	Code   *int       `json:"exit_code,omitempty"` // 128 + number for a signal
	Signal int        `json:"signal,omitempty"`    // that number
	// Crashed is an end nobody asked for: an error, a kill for want of memory, or a signal that is none of those by which a stop is asked for.
	Crashed bool `json:"crashed"`

	RuntimeSeconds  *float64 `json:"runtime_seconds,omitempty"`
	CPUSeconds      *float64 `json:"cpu_seconds,omitempty"`
	MemoryPeakBytes *float64 `json:"memory_peak_bytes,omitempty"`
}

// The metrics of a record, as the agent's catalogue names them.
const (
	codeMetric    = "container_exit_code"
	cpuMetric     = "container_exit_cpu_seconds"
	memoryMetric  = "container_exit_memory_peak_bytes"
	runtimeMetric = "container_exit_runtime_seconds"
)

// filters are the labels a request may ask for.
func filters() []string {
	return []string{"project", "idc", "cluster", "node", "namespace", "workload", "pod", "container", "reason"}
}

// Bounds of a request.
const (
	defaultSince = time.Hour
	defaultLimit = 100
	mostLimit    = 10_000
)

// Handler answers GET /api/exits?since=1h&limit=100&kind=crashed&project=…; newest first.
type Handler struct {
	query http.Handler
	now   func() time.Time
}

// New returns the handler; query answers /api/v1/query as Prometheus does. now nil is the clock.
func New(query http.Handler, now func() time.Time) *Handler {
	if now == nil {
		now = time.Now
	}
	return &Handler{query, now}
}

// ServeHTTP answers as the Prometheus API does, data being the list of exits. truncated tells that there were more than limit, counts
// how many there are of each kind, whatever the limit and the kind asked for.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ask, err := parse(r, h.now())
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"status": "error", "errorType": "bad_data", "error": err.Error()})
		return
	}
	series, code, err := h.samples(r, ask)
	if err != nil {
		answer(w, code, map[string]any{"status": "error", "errorType": "execution", "error": err.Error()})
		return
	}
	list := join(series)
	counts := map[kind]int{}
	for _, k := range kinds() {
		counts[k] = 0
		for i := range list {
			if list[i].is(k) {
				counts[k]++
			}
		}
	}
	list = slices.DeleteFunc(list, func(e Exit) bool { return !e.is(ask.kind) })
	truncated := len(list) > ask.limit
	answer(w, http.StatusOK, map[string]any{"status": "success", "data": list[:min(len(list), ask.limit)], "truncated": truncated, "counts": counts})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

// join puts the samples of each exit together: same labels, same time.
func join(all []series) []Exit {
	type key struct {
		labels string
		millis int64
	}
	found := map[key]*Exit{}
	for _, s := range all {
		metric := s.Metric["__name__"]
		labels := fingerprint(s.Metric)
		for _, p := range s.Values {
			if math.IsNaN(p.value) {
				continue // a staleness marker
			}
			k := key{labels, p.millis}
			e := found[k]
			if e == nil {
				e = exitOf(s.Metric, p.millis)
				found[k] = e
			}
			e.set(metric, p.value)
		}
	}
	list := make([]Exit, 0, len(found))
	for _, e := range found {
		e.Crashed = e.crashed()
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Exit) int { return cmp.Or(b.End.Compare(a.End), cmp.Compare(a.ID, b.ID)) })
	return list
}

func exitOf(labels map[string]string, millis int64) *Exit {
	return &Exit{
		Project: labels["project"], IDC: labels["idc"], Cluster: labels["cluster"], Node: labels["node"], Namespace: labels["namespace"],
		Workload: labels["workload"], Pod: labels["pod"], Container: labels["container"], Image: labels["image"], Name: labels["name"], ID: labels["id"],
		Reason: labels["reason"], End: time.UnixMilli(millis).UTC(),
	}
}

func (e *Exit) set(metric string, value float64) {
	switch metric {
	case codeMetric:
		code := int(value)
		e.Code = &code
		if (e.Reason == "signalled" || e.Reason == "stopped" || e.Reason == "oom_killed") && code > 128 {
			e.Signal = code - 128
		}
	case cpuMetric:
		e.CPUSeconds = &value
	case memoryMetric:
		e.MemoryPeakBytes = &value
	case runtimeMetric:
		start := e.End.Add(-time.Duration(value * float64(time.Second))).Round(time.Millisecond)
		e.RuntimeSeconds, e.Start = &value, &start
	}
}

// fingerprint tells label sets apart, without the metric's name.
func fingerprint(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for name, value := range labels {
		if name != "__name__" {
			pairs = append(pairs, strconv.Quote(name)+"="+strconv.Quote(value))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

func selector(matches map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{__name__=~"%s|%s|%s|%s"`, codeMetric, cpuMetric, memoryMetric, runtimeMetric)
	for _, name := range filters() {
		if value := matches[name]; value != "" {
			fmt.Fprintf(&b, `,%s=%s`, name, strconv.Quote(value))
		}
	}
	b.WriteString("}")
	return b.String()
}
