package rules

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

func TestMain(m *testing.M) {
	logger.SetOutputForTests(io.Discard) // vmalert's talk of groups
	os.Exit(m.Run())
}

// t0 is the moment tests start from.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testbed stands for the engine and the receiver: queries are answered by text, what is told and stored is kept.
type testbed struct {
	mu       sync.Mutex
	answers  map[string][]Series // by expression
	failing  map[string]bool
	asked    []string
	stored   []prompb.TimeSeries
	told     []*model.Alert
	flushes  int
	deaf     bool // Notify fails
	readOnly bool // Append fails
	reg      *prometheus.Registry
}

func newTestbed() *testbed {
	return &testbed{answers: map[string][]Series{}, failing: map[string]bool{}, reg: prometheus.NewRegistry()}
}

func (b *testbed) ports() Ports {
	return Ports{
		Query: func(_ context.Context, expr string, _ time.Time) ([]Series, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, expr)
			if b.failing[expr] {
				return nil, errors.New("too many series")
			}
			var copied []Series
			for _, s := range b.answers[expr] {
				copied = append(copied, Series{Labels: slices.Clone(s.Labels), Values: slices.Clone(s.Values)})
			}
			return copied, nil
		},
		Append: func(series []prompb.TimeSeries) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.readOnly {
				return errors.New("disk full")
			}
			b.stored = append(b.stored, series...)
			return nil
		},
		Notify: func(_ context.Context, alerts ...*model.Alert) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.deaf {
				return errors.New("no route to host")
			}
			b.told = append(b.told, alerts...)
			return nil
		},
		Flush: func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.flushes++
		},
	}
}

// answer sets the result of an expression; labels are name, value, name, value…
func (b *testbed) answer(expr string, value float64, labels ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[expr] = append(b.answers[expr], series(value, labels...))
}

func (b *testbed) silence(expr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.answers, expr)
}

// take returns what was told since the last call.
func (b *testbed) take() []*model.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.told
	b.told = nil
	return told
}

func series(value float64, labels ...string) Series {
	s := Series{Values: []float64{value}}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels = append(s.Labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

// manager builds a manager over the given rule file.
func (b *testbed) manager(t *testing.T, text string) *Manager {
	t.Helper()
	m, err := New(Config{
		Builtin:     fstest.MapFS{"rules.yaml": {Data: []byte(text)}},
		ExternalURL: "http://collector:9750",
	}, b.ports(), slog.New(slog.DiscardHandler), b.reg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// group builds the only group of the rule file, ready for evaluate.
func (b *testbed) group(t *testing.T, text string) *group {
	t.Helper()
	g := b.manager(t, text).groups[0]
	g.vmalert = newVmalertGroup(g)
	t.Cleanup(func() { closeVmalertGroup(g.vmalert) })
	return g
}

func (b *testbed) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	want := map[string]string{}
	for i := 0; i+1 < len(labels); i += 2 {
		want[labels[i]] = labels[i+1]
	}
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := map[string]string{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			match := true
			for k, v := range want {
				match = match && has[k] == v
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// names lists the stored series as name{alertstate}.
func (b *testbed) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := map[string]bool{}
	for _, ts := range b.stored {
		var name, state string
		for _, l := range ts.Labels {
			switch l.Name {
			case "__name__":
				name = l.Value
			case "alertstate":
				state = " " + l.Value
			}
		}
		found[name+state] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// running runs m until the test ends or stop is called.
func running(t *testing.T, m *Manager) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func ruleFile(lines ...string) string {
	return "groups:\n- name: g\n  interval: 5s\n  rules:\n" + strings.Join(lines, "\n") + "\n"
}
