package projects

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/projectmap"
)

const (
	good   = "rules: [{match: {name: a}, project: good}]\n"
	better = "rules: [{match: {name: a}, project: better}]\n"
	broken = "rules:\n- {match: {name: a}, projekt: x}\n"
	failed = good + "tests: [{given: {name: a}, project: other}]\n"
)

// collector serves what it is told as a Plimsoll collector does; without a map it has none.
type collector struct {
	mu      sync.Mutex
	text    string // "" is no map
	foreign int    // answers this status as something else would; 0: a collector
	asked   []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r.Header.Get("If-None-Match"))
	if c.foreign > 0 {
		http.Error(w, "<html>", c.foreign)
		return
	}
	if c.text == "" {
		w.Header().Set(projectmap.HashHeader, projectmap.NoMap)
		http.NotFound(w, r)
		return
	}
	m, err := projectmap.Parse("c", []byte(c.text))
	hash := "hash-of-a-broken-one"
	if err == nil {
		hash = m.Hash()
	}
	w.Header().Set(projectmap.HashHeader, hash)
	if r.Header.Get("If-None-Match") == `"`+hash+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write([]byte(c.text))
}

func (c *collector) serve(text string, foreign int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text, c.foreign = text, foreign
}

// bed is a keeper, its log and its metrics.
type bed struct {
	*Keeper
	log bytes.Buffer
	reg *prometheus.Registry
}

func open(t *testing.T, cfg Config) *bed {
	t.Helper()
	b := &bed{reg: prometheus.NewRegistry()}
	cfg.Metrics, cfg.Client = b.reg, http.DefaultClient
	var err error
	if b.Keeper, err = New(cfg, slog.New(slog.NewTextHandler(&b.log, nil))); err != nil {
		t.Fatal(err)
	}
	return b
}

// want compares the project of container a, the source of the map, and whether the newest version is good.
func (b *bed) want(t *testing.T, project string, source Source, valid float64) {
	t.Helper()
	m, from := b.Map()
	if d := m.Decide(projectmap.Container{Name: "a"}); d.Project != project || from != source {
		t.Errorf("project %q from %s, want %q from %s", d.Project, from, project, source)
	}
	hash := m.Hash()
	if hash == "" {
		hash = "builtin"
	}
	text := "# HELP plimsoll_agent_project_map_valid 0 while the newest version at the source is broken and an older one is in force.\n# TYPE plimsoll_agent_project_map_valid gauge\nplimsoll_agent_project_map_valid " + map[float64]string{0: "0", 1: "1"}[valid] +
		"\n# HELP plimsoll_agent_project_map_info Always 1; the labels say where the project map in force came from and which version it is.\n# TYPE plimsoll_agent_project_map_info gauge\nplimsoll_agent_project_map_info{hash=\"" + hash + "\",source=\"" + string(source) + "\"} 1\n"
	if err := testutil.GatherAndCompare(b.reg, strings.NewReader(text), "plimsoll_agent_project_map_valid", "plimsoll_agent_project_map_info"); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsTakenAndABrokenOneKeepsTheLastGood(t *testing.T) {
	file := filepath.Join(t.TempDir(), "map.yaml")
	b := open(t, Config{File: file})
	b.want(t, "unassigned", Builtin, 1)
	if err := b.Look(t.Context()); err == nil || errors.Is(err, ErrBroken) {
		t.Errorf("no file: %v", err)
	}
	write(t, file, good)
	if err := b.Look(t.Context()); err != nil {
		t.Error(err)
	}
	b.want(t, "good", File, 1)
	for text, where := range map[string]string{broken: file + ":2: ", failed: file + ":2: test fails"} {
		write(t, file, text)
		if err := b.Look(t.Context()); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), where) {
			t.Errorf("got %v, want %s", err, where)
		}
		b.want(t, "good", File, 0)
	}
	write(t, file, better)
	if err := b.Look(t.Context()); err != nil {
		t.Error(err)
	}
	b.want(t, "better", File, 1)
	if n := testutil.ToFloat64(b.metrics.failures.WithLabelValues("broken")); n != 2 {
		t.Errorf("%v broken counted", n)
	}
	write(t, file, strings.Repeat("#", projectmap.MaxFileBytes+1))
	if err := b.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "the most is") {
		t.Errorf("too large: %v", err)
	}
}

func TestTheCollectorIsAskedWithWhatIsKnown(t *testing.T) {
	c := &collector{text: good}
	server := httptest.NewServer(c)
	defer server.Close()
	b := open(t, Config{URL: server.URL + "/api/project-map"})
	steps := []struct {
		sentence string
		text     string
		foreign  int
		failure  string
		project  string
		source   Source
		valid    float64
	}{
		{"a map is taken", good, 0, "", "good", Collector, 1},
		{"the same map is not sent again", good, 0, "", "good", Collector, 1},
		{"a new one is", better, 0, "", "better", Collector, 1},
		{"a broken one is not taken", broken, 0, server.URL + "/api/project-map:2: ", "better", Collector, 0},
		{"back to the one before", better, 0, "", "better", Collector, 1},
		{"a refusal changes nothing", "", 403, "token", "better", Collector, 1},
		{"nor does a failure", "", 502, "502", "better", Collector, 1},
		{"nor an answer that is no Plimsoll collector's", "", 404, "", "better", Collector, 1},
		{"nor does a gateway's page", "", 200, "", "better", Collector, 1},
		{"a collector that has no map any more means the defaults", "", 0, "", "unassigned", Builtin, 1},
		{"and one that has one again is followed", good, 0, "", "good", Collector, 1},
	}
	for _, step := range steps {
		c.serve(step.text, step.foreign)
		err := b.Look(t.Context())
		if step.failure == "" && err != nil || step.failure != "" && (err == nil || !strings.Contains(err.Error(), step.failure)) {
			t.Errorf("%s: error %v, want %q", step.sentence, err, step.failure)
		}
		t.Log(step.sentence)
		b.want(t, step.project, step.source, step.valid)
	}
	m, _ := projectmap.Parse("", []byte(good))
	if c.asked[0] != "" || c.asked[1] != `"`+m.Hash()+`"` {
		t.Errorf("asked with %q", c.asked[:2])
	}
	server.Close()
	if err := b.Look(t.Context()); err == nil {
		t.Error("a collector that is down is no failure")
	}
	b.want(t, "good", Collector, 1)
}

func TestTheLastGoodMapIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	c := &collector{text: good}
	server := httptest.NewServer(c)
	cfg := Config{URL: server.URL, Copy: filepath.Join(dir, "sub", "project-map.yaml"), Every: time.Millisecond}
	stop := func(b *bed, until func() bool) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx, func(*projectmap.Map) {}) }()
		for deadline := time.Now().Add(5 * time.Second); !until() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	exists := func() bool { _, err := os.Stat(cfg.Copy); return err == nil }
	stop(open(t, cfg), exists)

	c.serve("", 500)
	again := open(t, cfg)
	again.want(t, "good", Copy, 1)
	if err := again.Look(t.Context()); err == nil {
		t.Error("no failure")
	}
	again.want(t, "good", Copy, 1)
	c.serve(good, 0)
	if err := again.Look(t.Context()); err != nil {
		t.Error(err)
	}
	again.want(t, "good", Collector, 1)

	c.serve("", 0) // the collector's operator has taken the map away
	stop(again, func() bool { return !exists() })
	if exists() {
		t.Error("the copy of a map that is no more is still there")
	}

	write(t, cfg.Copy, broken) // a torn disk
	b := open(t, cfg)
	b.want(t, "unassigned", Builtin, 1)
	if !strings.Contains(b.log.String(), "project-map.yaml:2: ") {
		t.Errorf("log: %s", b.log.String())
	}
}

func TestRunTellsOfNewMapsAndLogsATroubleOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "map.yaml")
	write(t, file, good)
	b := open(t, Config{File: file, Every: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	maps, done := make(chan *projectmap.Map), make(chan error)
	go func() { done <- b.Run(ctx, func(m *projectmap.Map) { maps <- m }) }()
	next := func(project string) {
		t.Helper()
		if d := (<-maps).Decide(projectmap.Container{Name: "a"}); d.Project != project {
			t.Errorf("told of a map with project %q, want %q", d.Project, project)
		}
	}
	failures := func() float64 { return testutil.ToFloat64(b.metrics.failures.WithLabelValues("broken")) }
	next("good")
	write(t, file, broken)
	for seen := failures(); failures() < seen+5; {
		time.Sleep(time.Millisecond)
	}
	write(t, file, better)
	next("better")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	log := b.log.String()
	if strings.Count(log, "the new project map is broken") != 1 || !strings.Contains(log, file+":2: ") || strings.Count(log, "can be read again") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

func TestTheCollectorIsFoundBesideItsWritePath(t *testing.T) {
	for from, want := range map[string]string{
		"http://127.0.0.1:9750/api/v1/write":          "http://127.0.0.1:9750/api/project-map",
		"https://u:p@c.example/plimsoll/api/v1/write": "https://u:p@c.example/plimsoll/api/project-map",
		"http://mimir/api/v1/push":                    "",
		"http://c/api/v1/write?x=y":                   "http://c/api/project-map",
		"::":                                          "",
	} {
		if got := CollectorURL(from); got != want {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
	}
}

func TestWithoutASourceTheDefaultsAreInForce(t *testing.T) {
	b := open(t, Config{Copy: "/nowhere/x"})
	if err := b.Look(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx, nil); err != nil {
		t.Error(err)
	}
	b.want(t, "unassigned", Builtin, 1)
	if _, err := New(Config{Every: -1}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a negative interval is taken")
	}
}

func TestACollectorTellsThePlaceOfTheToken(t *testing.T) {
	place := "idc=bj1&cluster=k+1"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(projectmap.PlaceHeader, place)
		w.Header().Set(projectmap.HashHeader, projectmap.NoMap)
		http.NotFound(w, r)
	}))
	defer server.Close()
	var told []string
	k, err := New(Config{URL: server.URL, Client: server.Client(), Place: func(idc, cluster string) { told = append(told, idc+"/"+cluster) }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, place = range []string{place, "idc=bj1", "", "%zz"} {
		if err := k.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"bj1/k 1", "bj1/", "/", "/"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
