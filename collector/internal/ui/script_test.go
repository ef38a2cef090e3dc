package ui

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostile is a label value as bad as they come: markup, quotes, an emoji, and far too long.
var hostile = `<script>document.title="owned"</script><img src=x onerror="document.title='owned'">"'\ 🐳 ` + strings.Repeat("long ", 200)

// scriptedAPI answers as a collector would, from a script: what an expression contains decides its answer.
type scriptedAPI struct {
	mu      sync.Mutex
	queries []url.Values // of query and query_range, in order of arrival
	alerts  string
	fail    map[string]int // path to status
	since   time.Time      // no samples before

	silences  []silence
	lastExits url.Values // what /api/exits was last asked
	noExits   bool
}

// set makes a path answer with an error status, or as usual again with 0.
func (s *scriptedAPI) set(path string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[path] = status
}

func (s *scriptedAPI) asked() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries)
}

// expressions of all queries that contain part.
func (s *scriptedAPI) expressions(part string) []string {
	var found []string
	for _, q := range s.asked() {
		if strings.Contains(q.Get("query"), part) {
			found = append(found, q.Get("query"))
		}
	}
	return found
}

func (s *scriptedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	status := s.fail[r.URL.Path]
	if strings.HasPrefix(r.URL.Path, "/api/v1/query") {
		s.queries = append(s.queries, r.Form)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if status != 0 {
		w.WriteHeader(status)
		fmt.Fprint(w, `{"status":"error","errorType":"scripted","error":"the script says no"}`)
		return
	}
	switch r.URL.Path {
	case "/api/v2/silences", "/api/v2/alerts", "/api/exits":
		s.more(w, r)
	case "/api/v1/query":
		s.instant(w, r.Form.Get("query"))
	case "/api/v1/query_range":
		s.series(w, r.Form)
	case "/api/v1/series":
		found := []map[string]string{}
		if !strings.Contains(r.Form.Get("match[]"), "absent") {
			found = append(found, map[string]string{"__name__": r.Form.Get("match[]")})
		}
		answer(w, found)
	case "/api/v1/label/idc/values":
		answer(w, []string{"bj", "sh", "gz", hostile})
	case "/api/v1/label/cluster/values":
		answer(w, []string{"k8s-a", "swarm-1"})
	case "/api/v1/label/container/values":
		answer(w, []string{"db", "web"})
	case "/api/v1/alerts":
		fmt.Fprint(w, s.alerts)
	case "/api/v1/rules":
		fmt.Fprintf(w, `{"status":"success","data":{"groups":[{"name":"g","rules":[{"type":"alerting","name":"A","health":"ok","lastEvaluation":%q,"armed":false,"missing":[{"selector":"container_process_file_descriptors_ratio","hint":"agent group process is off"}]}]}]}}`, time.Now().Format(time.RFC3339))
	case "/api/alerts/noise":
		answer(w, map[string]any{"rules": []map[string]any{
			{"rule": "Flaps", "severity": "warning", "fired": 40, "short": 38, "silenced": 0, "neverActed": true, "lastFired": time.Now().Add(-2 * time.Hour)},
			{"rule": hostile, "severity": "critical", "fired": 3, "short": 0, "silenced": 2, "released": 1, "neverActed": false, "lastFired": time.Now().Add(-3 * time.Hour)},
		}})
	case "/api/nodes":
		answer(w, []map[string]any{
			{"idc": "bj", "cluster": "k8s-a", "node": "node-1", "agent_version": "0.1.0", "last_received": time.Now().Add(-3 * time.Second), "lag_seconds": 1.5, "missing_batches": 7, "clock_skew_seconds": 5.2},
			{"idc": "bj", "cluster": "k8s-a", "node": hostile, "agent_version": "0.0.9", "last_received": time.Now().Add(-15 * time.Minute)},
		})
	default:
		if strings.HasPrefix(r.URL.Path, "/api/v1/label/") {
			answer(w, []string{"one", "two"})
			return
		}
		if id, ok := strings.CutPrefix(r.URL.Path, "/api/v2/silence/"); ok && r.Method == http.MethodDelete {
			s.expire(id)
			return
		}
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, data any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
}

type labels map[string]string

type sample struct {
	Metric labels `json:"metric"`
	Value  [2]any `json:"value"`
}

func (s *scriptedAPI) instant(w http.ResponseWriter, expr string) {
	now := float64(time.Now().Unix())
	one := func(m labels, v float64) sample {
		return sample{Metric: m, Value: [2]any{now, strconv.FormatFloat(v, 'g', -1, 64)}}
	}
	result := []sample{}
	switch {
	case strings.Contains(expr, "broken_metric"):
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"status":"error","errorType":"422","error":"missing closing brace in \"broken_metric{\""}`)
		return
	case expr == "count(filtered_metric)":
		result = append(result, one(labels{}, 4))
	case strings.Contains(expr, "stale_metric"), strings.Contains(expr, "filtered_metric"), strings.Contains(expr, "absent"):
	case strings.Contains(expr, "plimsoll_agent_containers"):
		result = append(result, one(labels{"idc": "bj", "cluster": "k8s-a", "node": "node-1"}, 42))
	case strings.Contains(expr, "plimsoll_agent_(source_up"):
		result = append(result, one(labels{"__name__": "plimsoll_agent_source_up", "idc": "bj", "cluster": "k8s-a", "node": hostile, "source": "docker"}, 0))
	case strings.Contains(expr, "plimsoll_collector_agent_missing"):
		result = append(result, one(labels{"idc": "bj", "cluster": "k8s-a", "node": "node-9", "source": "list"}, 1))
	case strings.Contains(expr, "(plimsoll_agent_spool_bytes)"), strings.Contains(expr, "(plimsoll_agent_samples_dropped_total[1h]"):
	case strings.Contains(expr, "oom_now"):
		result = append(result, one(labels{}, 3))
	case strings.Contains(expr, "memory_now"):
		result = append(result, one(labels{}, 3.5*(1<<40)))
	case strings.Contains(expr, "firing_critical"):
		result = append(result, one(labels{}, 0))
	case strings.Contains(expr, "firing_warning"):
		result = append(result, one(labels{}, 2))
	case strings.Contains(expr, "table_cpu"), strings.Contains(expr, "table_limit"), strings.Contains(expr, "bars_now"):
		cpu := strings.Contains(expr, "table_cpu")
		for i, name := range []string{"web", "db", hostile, "cache", "worker-with-a-rather-long-name-7f9c4d"} {
			v := []float64{1.25, 0.4, 7.5, 0.02, 2}[i]
			if !cpu {
				v = []float64{0.95, 0.4, 0.8, 0.1, -1}[i]
			}
			result = append(result, one(labels{"container": name, "project": "shop"}, v))
		}
	default:
		result = append(result, one(labels{}, 1))
	}
	answer(w, map[string]any{"resultType": "vector", "result": result})
}

func (s *scriptedAPI) series(w http.ResponseWriter, form url.Values) {
	expr := form.Get("query")
	if strings.Contains(expr, "broken_metric") {
		s.instant(w, expr)
		return
	}
	start, _ := strconv.ParseFloat(form.Get("start"), 64)
	end, _ := strconv.ParseFloat(form.Get("end"), 64)
	step, _ := strconv.ParseFloat(form.Get("step"), 64)
	names := map[string][]string{
		"cpu_by_project": {"shop", "search", "billing", "mail", hostile}, "throttled_total": {"web", "db"}, "capacity_cores": {""}, "machine_cpu_cores": {""}, "containers_now": {""}, "folded_metric": {""}, "cpu_of": {"web"}, "marks_oom": {"shop", hostile},
	}
	s.mu.Lock()
	since := start
	for !s.since.IsZero() && since < float64(s.since.Unix()) {
		since += step
	}
	s.mu.Unlock()
	known := false
	for part := range names {
		known = known || strings.Contains(expr, part)
	}
	if !known && !strings.Contains(expr, "absent") && !strings.Contains(expr, "_metric") {
		names = map[string][]string{"": {"some"}}
	}
	type matrix struct {
		Metric labels   `json:"metric"`
		Values [][2]any `json:"values"`
	}
	result := []matrix{}
	for part, values := range names {
		if !strings.Contains(expr, part) {
			continue
		}
		for i, name := range values {
			m := matrix{Metric: labels{}}
			if name != "" {
				m.Metric = labels{"project": name, "container": name}
			}
			for t := since; t <= end; t += step {
				v := 3 + float64(i) + math.Sin(t/600+float64(i)*1.7)
				switch part {
				case "capacity_cores":
					v = 32
				case "marks_oom": // two moments of the first series, one of the second that goes on for five minutes
					v = 0
					if ago := end - t; i == 0 && (ago == 600 || ago == 1800) || i == 1 && ago >= 2400 && ago < 2700 {
						v = 1
					}
				case "throttled_total":
					v = 0.2 + 0.15*math.Sin(t/500+float64(i))
				case "containers_now":
					v = math.Round(180 + 12*math.Sin(t/900))
				}
				m.Values = append(m.Values, [2]any{t, strconv.FormatFloat(v, 'g', 6, 64)})
			}
			result = append(result, m)
		}
	}
	answer(w, map[string]any{"resultType": "matrix", "result": result})
}

const twoAlerts = `{"status":"success","data":{"alerts":[
 {"state":"pending","labels":{"alertname":"ContainerThrottled","severity":"warning","project":"search","container":"web"},"annotations":{"summary":"web is throttled in 4 of 10 periods"},"activeAt":"2026-01-31T08:00:00Z","value":"0.4"},
 {"state":"firing","labels":{"alertname":"ContainerOOMKilled","severity":"critical","project":"shop","idc":"bj","container":%s},"annotations":{"summary":"killed at its limit of 64 MiB","runbook_url":"http://collector.example:9750/runbooks/ContainerOOMKilled","dashboard_url":"javascript:alert(1)"},"activeAt":"2026-01-31T08:00:00Z","value":"1"},
 {"state":"firing","labels":{"alertname":"Watchdog","severity":"none"},"annotations":{},"activeAt":"2026-01-31T08:00:00Z","value":"1"}]}}`

// scripted gives the pages of the test's own dashboards over a scripted API.
func scripted(t *testing.T) (http.Handler, *scriptedAPI) {
	t.Helper()
	return scriptedFor(t, os.DirFS("testdata/dashboards"))
}

func scriptedFor(t *testing.T, dashboards fs.FS) (http.Handler, *scriptedAPI) {
	t.Helper()
	quoted, _ := json.Marshal(hostile)
	api := &scriptedAPI{alerts: fmt.Sprintf(twoAlerts, quoted), fail: make(map[string]int)}
	pages, err := New(Config{Dashboards: dashboards, Runbooks: os.DirFS("testdata/runbooks"), Version: "0.0.0-test"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/", pages)
	return mux, api
}
