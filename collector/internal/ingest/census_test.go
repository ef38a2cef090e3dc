package ingest

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
)

// counting is a bench whose census has small caps and a clock of its own.
func counting(t *testing.T, cfg CensusConfig) (b bench, census *Census, clock *time.Time) {
	t.Helper()
	now := time.Now()
	b, census = countingAt(t, cfg, &now)
	return b, census, &now
}

// countingAt is counting with the clock of another, as after a restart.
func countingAt(t *testing.T, cfg CensusConfig, clock *time.Time) (b bench, census *Census) {
	t.Helper()
	cfg.Now = func() time.Time { return *clock }
	b.reg = prometheus.NewRegistry()
	census = OpenCensus(cfg, quiet(), b.reg)
	h, err := New(Config{Nodes: OpenNodes(NodesConfig{Census: census}, quiet(), b.reg), Census: census}, shared, quiet(), b.reg)
	if err != nil {
		t.Fatal(err)
	}
	b.Handler = h
	return b, census
}

// many is n series of a node and a project, the first being number from.
func many(metric, node, project string, from, n int) []byte {
	var series [][]string
	for i := range n {
		series = append(series, []string{"__name__", metric, "i", fmt.Sprint(from + i), "idc", "east", "node", node, "project", project})
	}
	return snap(message(series...))
}

func TestAnAgentPastItsCapOfSeriesKeepsThoseItHas(t *testing.T) {
	b, census, clock := counting(t, CensusConfig{AgentSeries: 3})
	if w := b.post("snappy", many("capped", "n1", "shop", 0, 3)); w.Code != 204 {
		t.Fatal(w.Code, w.Body)
	}
	w := b.post("snappy", many("capped", "n1", "shop", 1, 4)) // two of them are new
	for _, want := range []string{"2 of 4 series", `the agent of node "n1" in idc "east" cluster ""`, "has 3 series", "the most is 3", "--limit.agent-series"} {
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %s, want %s", w.Code, w.Body, want)
		}
	}
	if got := count(t, "capped"); got != 3 {
		t.Errorf("%d series are stored", got)
	}
	if w := b.post("snappy", many("capped", "n2", "shop", 0, 3)); w.Code != 204 {
		t.Errorf("another agent pays for it: %d %s", w.Code, w.Body)
	}
	for series, want := range map[string]float64{
		`plimsoll_collector_agent_series{cluster="",idc="east",node="n1"}`:                       3,
		`plimsoll_collector_agent_series_refused_samples_total{cluster="",idc="east",node="n1"}`: 2,
		`plimsoll_collector_series_limit{scope="agent"}`:                                         3,
		`plimsoll_collector_project_series{project="shop"}`:                                      6,
		`plimsoll_collector_series`:                                                              6,
		`plimsoll_collector_samples_rejected_total{reason="agent_series"}`:                       2,
	} {
		if got := b.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if u := census.Agent(NodeID{IDC: "east", Node: "n1"}); u != (Usage{Series: 3, SeriesLimit: 3, Refused: 2}) {
		t.Errorf("usage %+v", u)
	}

	*clock = clock.Add(censusWindow + 10*time.Minute)
	if w := b.post("snappy", many("capped", "n1", "shop", 10, 3)); w.Code != 204 {
		t.Errorf("an hour later: %d %s", w.Code, w.Body)
	}
	if got := b.metric(t, "plimsoll_collector_series"); got != 3 {
		t.Errorf("%v series after the others ended", got)
	}
}

func TestAProjectAndAllTogetherHaveTheirCap(t *testing.T) {
	b, _, _ := counting(t, CensusConfig{ProjectSeries: 2, Series: 4})
	if w := b.post("snappy", many("p", "n1", "shop", 0, 3)); w.Code != 400 || !strings.Contains(w.Body.String(), `project "shop" has 2 series within an hour, the most is 2 (--limit.project-series)`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.post("snappy", many("p", "n1", "", 0, 2)); w.Code != 204 {
		t.Errorf("without a project: %d %s", w.Code, w.Body)
	}
	w := b.post("snappy", many("p", "n2", "web", 0, 1))
	for _, want := range []string{"there are 4 series", "--limit.series", `Most has the agent of node "n1" in idc "east" cluster "" with 4, and project "shop" with 2`} {
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %s, want %s", w.Code, w.Body, want)
		}
	}
}

func TestInventedNamesDoNotFillTheTableOfOwners(t *testing.T) {
	b, census, _ := counting(t, CensusConfig{Owners: 2, AgentSeries: 2, Series: 100})
	for i := range 6 {
		b.post("snappy", many("owned", fmt.Sprint("n", i), "p", 0, 1))
	}
	b.post("snappy", many("owned", others, "p", 0, 1))
	if n := len(census.agents.list); n != 3 {
		t.Errorf("%d owners are told apart", n-1)
	}
	if got := b.metric(t, `plimsoll_collector_agent_series{cluster="",idc="",node="(others)"}`); got != 2 {
		t.Errorf("the others have %v series", got)
	}
	w := b.post("snappy", many("owned", "n9", "p", 0, 1))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "all agents beyond --limit.nodes together") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSeriesAreToldApartByTheirLabels(t *testing.T) {
	census := OpenCensus(CensusConfig{}, quiet(), prometheus.NewRegistry())
	hash := func(pairs ...string) uint64 {
		var labels []prompb.Label
		for i := 0; i+1 < len(pairs); i += 2 {
			labels = append(labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
		}
		return census.hash(labels)
	}
	one := hash("a", "1", "b", "2")
	if hash("a", "1", "b", "2", "c", "") != one {
		t.Error("an empty label makes another series")
	}
	for _, other := range [][]string{{"a", "2", "b", "1"}, {"a", "1"}, {"a", "1", "c", "2"}, {"a", "1b2"}, {"a1", "", "b", "2"}} {
		if hash(other...) == one {
			t.Errorf("%q is taken for another series", other)
		}
	}
}

func TestTheTableOfNodesTellsTheSeriesOfAnAgent(t *testing.T) {
	b, _, _ := counting(t, CensusConfig{AgentSeries: 7})
	if w := b.post("snappy", snap(message([]string{"__name__", presenceMetric, "node", "seen", "version", "1"}))); w.Code != 204 {
		t.Fatal(w.Code, w.Body)
	}
	w := httptest.NewRecorder()
	b.nodes.ServeHTTP(w, httptest.NewRequest("GET", "/api/nodes", nil))
	var got struct{ Data []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if n := got.Data; len(n) != 1 || n[0]["series"] != 1.0 || n[0]["series_limit"] != 7.0 || n[0]["samples_over_series_limit"] != 0.0 {
		t.Errorf("%s", w.Body)
	}
}

func BenchmarkCensusOfKnownSeries(b *testing.B) {
	census := OpenCensus(CensusConfig{}, quiet(), prometheus.NewRegistry())
	tss := make([]prompb.TimeSeries, 6000)
	for i := range tss {
		for _, name := range []string{"__name__", "cluster", "container", "id", "idc", "image", "name", "namespace", "node", "pod", "project", "workload"} {
			tss[i].Labels = append(tss[i].Labels, prompb.Label{Name: name, Value: fmt.Sprint(name, "-of-some-length-", i)})
		}
	}
	census.cfg.AgentSeries, census.cfg.ProjectSeries = 1e9, 1e9
	census.admit(append([]prompb.TimeSeries(nil), tss...), new(faults))
	b.ResetTimer()
	for b.Loop() {
		for i := range tss {
			census.count(tss[i].Labels, 1, 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(tss)), "ns/series")
}
