package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
)

// testScan is the limit of the series a query may match here.
const testScan = lightSeries + 2000

// shared is the one engine of this test binary; the library allows no second.
var shared *Engine

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "engine-test")
	if err != nil {
		panic(err)
	}
	shared, err = Open(Config{DataDir: filepath.Join(dir, "store"), Retention: 30 * day, QueryScan: testScan, QuerySeries: 50, QuerySamples: 20_000, QueryPoints: 1000, QueryLengthBytes: 2000, QueryMemoryBytes: 1 << 20}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		panic(err)
	}
	code := m.Run()
	if err := shared.Close(); err != nil {
		panic(err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func sample(name string, at time.Time, v float64, labels ...string) prompb.TimeSeries {
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}, Samples: []prompb.Sample{{Value: v, Timestamp: at.UnixMilli()}}}
	for i := 0; i+1 < len(labels); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
	}
	return ts
}

// mustSeries is n series of a metric, the first being number from.
func mustSeries(name string, from, n int) []prompb.TimeSeries {
	tss := make([]prompb.TimeSeries, n)
	for i := range tss {
		tss[i] = sample(name, time.Now(), float64(i), "i", fmt.Sprint(from+i))
	}
	return tss
}

func mustAppend(t *testing.T, tss ...prompb.TimeSeries) {
	t.Helper()
	if err := shared.Append(tss); err != nil {
		t.Fatal(err)
	}
	shared.Flush()
}

func mustQuery(t *testing.T, expr string, at time.Time) []Series {
	t.Helper()
	got, err := shared.Query(t.Context(), expr, at)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAnAppendedSampleIsFoundAfterAFlush(t *testing.T) {
	now := time.Now()
	in := sample("t_found", now, 42.5, "project", "shop", "empty", "")
	mustAppend(t, in)
	if in.Labels[0].Name != "__name__" {
		t.Errorf("Append changed the caller's labels: %v", in.Labels)
	}
	got := mustQuery(t, `t_found{project="shop"}`, now)
	if len(got) != 1 || got[0].Values[0] != 42.5 || got[0].Label("__name__") != "t_found" || got[0].Label("project") != "shop" || len(got[0].Labels) != 2 {
		t.Fatalf("got %+v", got)
	}
	if got[0].TimestampsMillis[0] != now.UnixMilli() {
		t.Errorf("timestamp %d, want %d", got[0].TimestampsMillis[0], now.UnixMilli())
	}
}

func TestAStaleMarkerEndsASeries(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	mustAppend(t, sample("t_stale", now.Add(-30*time.Second), 1), sample("t_stale", now.Add(-15*time.Second), 2))
	if got := mustQuery(t, "t_stale", now); len(got) != 1 || got[0].Values[0] != 2 {
		t.Fatalf("before the marker: %+v", got)
	}
	mustAppend(t, sample("t_stale", now.Add(-5*time.Second), math.Float64frombits(0x7ff0000000000002)))
	if got := mustQuery(t, "t_stale", now); len(got) != 0 {
		t.Errorf("after the marker: %+v", got)
	}
	if got := mustQuery(t, "t_stale", now.Add(-10*time.Second)); len(got) != 1 {
		t.Errorf("the time before the marker lost its value: %+v", got)
	}
}

func TestTheSameSampleTwiceCountsOnce(t *testing.T) {
	now := time.Now()
	for range 2 {
		mustAppend(t, sample("t_twice", now.Add(-20*time.Second), 1), sample("t_twice", now.Add(-10*time.Second), 2))
	}
	if got := mustQuery(t, "count_over_time(t_twice[1m])", now); len(got) != 1 || got[0].Values[0] != 2 {
		t.Errorf("got %+v, want 2 samples", got)
	}
}

func TestARangeQueryHasAValueOnlyWhereThereWasASample(t *testing.T) {
	end := time.Now().Truncate(time.Minute)
	mustAppend(t, sample("t_range", end.Add(-10*time.Minute), 1), sample("t_range", end, 2))
	got, err := shared.QueryRange(t.Context(), "last_over_time(t_range[1m])", end.Add(-10*time.Minute), end, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || fmt.Sprint(got[0].Values) != "[1 2]" {
		t.Errorf("got %+v", got)
	}
}

func TestSamplesOutsideTheRetentionAreCounted(t *testing.T) {
	before := shared.IgnoredSamples()
	mustAppend(t, sample("t_old", time.Now().Add(-31*day), 1), sample("t_old", time.Now().Add(10*day), 1))
	after := shared.IgnoredSamples()
	for _, reason := range []string{"small_timestamp", "big_timestamp"} {
		if after[reason]-before[reason] != 1 {
			t.Errorf("%s went from %v to %v", reason, before[reason], after[reason])
		}
	}
}

func TestLabelsTheIndexWouldDropAreRefused(t *testing.T) {
	err := shared.Append([]prompb.TimeSeries{sample("t_long", time.Now(), 1, "l", strings.Repeat("x", 70_000))})
	if !errors.Is(err, ErrLabels) {
		t.Errorf("got %v", err)
	}
	mustAppend(t, sample("t_long", time.Now(), 1, "l", strings.Repeat("x", MaxSeriesLabelBytes-20)))
	if got := mustQuery(t, "t_long", time.Now()); len(got) != 1 {
		t.Errorf("the longest allowed labels are not found: %d series", len(got))
	}
}

func TestAQueryThatIsWrongOrTooCostlyIsAnError(t *testing.T) {
	now := time.Now()
	var many []prompb.TimeSeries
	for i := range 60 {
		s := sample("t_many", now, 1, "i", fmt.Sprint(i))
		for j := range 400 {
			s.Samples = append(s.Samples, prompb.Sample{Timestamp: now.Add(-time.Duration(j+1) * time.Second).UnixMilli(), Value: 1})
		}
		many = append(many, s)
	}
	mustAppend(t, many...)
	for i := range 60 {
		mustAppend(t, sample("t_wide", now, 1, "i", fmt.Sprint(i)))
	}
	expired, cancel := context.WithDeadline(t.Context(), now.Add(-time.Second))
	defer cancel()
	for _, c := range []struct {
		ctx        context.Context
		expr, want string
	}{
		{t.Context(), "sum(", "unparsed"},
		{t.Context(), "t_wide", "--limit.query-series=50"},
		{t.Context(), "sum(sum_over_time(t_many[1h]))", "--limit.query-samples=20000"},
		{expired, "1", "deadline"},
	} {
		got, err := shared.Query(c.ctx, c.expr, now)
		if !errors.Is(err, ErrQuery) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %d series, %v", c.expr, len(got), err)
		}
	}
	w := httptest.NewRecorder()
	shared.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/query?query=t_wide", nil))
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "--limit.query-series=50") {
		t.Errorf("over HTTP: %d %s", w.Code, w.Body)
	}
	if _, err := shared.QueryRange(t.Context(), "1", now.Add(-time.Hour), now, time.Millisecond); !errors.Is(err, ErrQuery) {
		t.Errorf("3.6 million points: %v", err)
	}
}

func TestALimitNamesItsFlagAndCounts(t *testing.T) {
	now := time.Now()
	var many []prompb.TimeSeries
	for i := range 600 {
		many = append(many, sample("t_limited", now, 1, "i", fmt.Sprint(i)))
	}
	mustAppend(t, many...)
	hour := fmt.Sprintf("&start=%d&end=%d", now.Add(-59*time.Minute).Unix(), now.Add(time.Minute).Unix())
	for _, c := range []struct{ limit, target string }{
		{"query-points", "query_range?query=1&step=1" + hour},
		{"query-memory", "query_range?query=sum(t_limited{i%3D~%22...%22})by(i)&step=4" + hour},
		{"query-length", "query?query=" + strings.Repeat("1", 2001)},
		{"query-series", "query?query=t_limited{i=~\"..\"}"},
		{"query-series", "series?match[]=t_limited{i=~\"..\"}"},
	} {
		before := shared.refused[c.limit].Load()
		w := httptest.NewRecorder()
		shared.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/"+strings.ReplaceAll(c.target, "\"", "%22"), nil))
		if w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "--limit."+c.limit) || strings.Contains(w.Body.String(), "-search.") {
			t.Errorf("%s: %d %.600s, want %s", c.target, w.Code, w.Body, c.limit)
		}
		if got := shared.refused[c.limit].Load(); got != before+1 {
			t.Errorf("%s: %s counted %d times", c.target, c.limit, got-before)
		}
	}
	if _, err := shared.QueryRange(t.Context(), "1", now.Add(-time.Hour), now, time.Second); err == nil || !strings.Contains(err.Error(), "--limit.query-points=1000") {
		t.Errorf("in process: %v", err)
	}
}

func TestOnlyTheQueryAPIAndItsPageAreServed(t *testing.T) {
	code := func(method, target string) int {
		w := httptest.NewRecorder()
		shared.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w.Code
	}
	for _, target := range []string{
		"/api/v1/query?query=1", "/api/v1/query_range?query=1&start=0&end=60&step=15", "/api/v1/series?match[]=up", "/api/v1/labels",
		"/api/v1/label/project/values", "/api/v1/metadata", "/api/v1/export?match[]=up", "/api/v1/status/buildinfo",
		"/prometheus/api/v1/query?query=1", "/vmui/", "/prometheus/vmui/config.json",
	} {
		if got := code("GET", target); got != http.StatusOK {
			t.Errorf("GET %s: %d", target, got)
		}
	}
	for _, target := range []string{
		"/api/v1/admin/tsdb/delete_series?match[]=up", "/internal/force_flush", "/internal/force_merge", "/internal/resetRollupResultCache",
		"/snapshot/create", "/api/v1/admin/tsdb/snapshot", "/api/v1/import", "/write", "/tags/delSeries", "/render", "/federate", "/metrics",
		"/api/v1/export/native", "/api/v1/status/tsdb", "/api/v1/rules", "/debug/pprof/", "/graphite/tags/delSeries",
		"/vmui/..//api/v1/admin/tsdb/delete_series", "/prometheus/prometheus/api/v1/admin/tsdb/delete_series", "/api/v1/label/a/b/values",
	} {
		if got := code("POST", target); got != http.StatusNotFound {
			t.Errorf("POST %s: %d", target, got)
		}
	}
	if got := code("DELETE", "/api/v1/series?match[]=up"); got != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", got)
	}
	w := httptest.NewRecorder()
	shared.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/query?query=1", nil))
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("other sites may read answers")
	}
}

func TestOneProcessOpensOneEngine(t *testing.T) {
	if _, err := Open(Config{DataDir: t.TempDir()}, slog.Default()); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v", err)
	}
}

func TestMetricsOfTheLibraryAreOffered(t *testing.T) {
	var b strings.Builder
	shared.WriteMetrics(&b)
	if !strings.Contains(b.String(), "vm_rows_received_by_storage_total") || strings.Contains(b.String(), "go_goroutines") {
		t.Errorf("got %.300s", b.String())
	}
	mustAppend(t, sample("t_active", time.Now(), 1))
	reg := prometheus.NewRegistry()
	reg.MustRegister(shared.Collector())
	families, err := reg.Gather()
	if err != nil || len(families) != 5 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, f := range families {
		if f.GetName() == "plimsoll_collector_queries" {
			if n := len(f.GetMetric()); n != 4 {
				t.Errorf("%d sizes and states of queries", n)
			}
			continue
		}
		if f.GetName() == "plimsoll_collector_queries_refused_total" {
			if n := len(f.GetMetric()); n != len(queryLimits()) {
				t.Errorf("%d limits are counted from the start", n)
			}
			continue
		}
		if v := f.GetMetric()[0].GetGauge().GetValue(); v <= 0 {
			t.Errorf("%s is %v", f.GetName(), v)
		}
	}
}
