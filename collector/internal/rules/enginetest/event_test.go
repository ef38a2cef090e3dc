// Package enginetest proves that rules, the engine and notifications work together; one process opens one engine, hence a
// package of its own.
package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/evidence"
	"github.com/plimsoll/plimsoll/collector/internal/notify"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

type message struct {
	Status string
	Alerts []struct {
		Status              string
		Labels, Annotations map[string]string
		StartsAt            time.Time
	}
	at time.Time
}

func TestRulesOnTheRealEngine(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	eng, err := engine.Open(engine.Config{DataDir: t.TempDir()}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	hook := make(chan message, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m := message{at: time.Now()}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		hook <- m
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	text := fmt.Sprintf("route: {receiver: hook, group_by: [alertname, container], group_wait: 0s, group_interval: 1s}\nreceivers:\n- name: hook\n  webhook_configs: [{url: %q}]\n", server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	notifier, err := notify.Open(notify.Config{DataDir: t.TempDir(), ConfigFile: file}, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer background(t, notifier.Run)()
	ports := rules.Ports{Query: rules.Queries(eng.Query), Append: eng.Append, Notify: notifier.Put, Flush: eng.Flush}

	t.Run("a rule whose query fails is told of", func(t *testing.T) { aFailingRuleTellsOfItself(t, eng) })

	t.Run("an OOM kill reaches the webhook within 5 s of its sample", func(t *testing.T) {
		m, err := rules.New(rules.Config{Builtin: alerts.FS(), ExternalURL: "http://collector:9750"}, ports, log, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer background(t, m.Run)()
		const kills, starts = "container_oom_events_total", "container_start_time_seconds"
		begin := time.Now()
		for age := 5 * time.Minute; age > 0; age -= 15 * time.Second {
			put(t, eng, kills, "known", 0, begin.Add(-age))
			put(t, eng, starts, "known", float64(begin.Add(-time.Hour).Unix()), begin.Add(-age))
		}
		eng.Flush()
		awaitWatchdog(t, hook)

		for _, c := range []string{"known", "born"} { // a series that was there as 0, and one that is new with the kill
			at := time.Now()
			put(t, eng, kills, c, 1, at)
			put(t, eng, starts, c, float64(at.Add(-time.Minute).Unix()), at)
			m.Kick()
			got := await(t, hook, "ContainerOOMKilled", c)
			t.Logf("%s: %s after its sample", c, got.at.Sub(at).Round(time.Millisecond))
			if took := got.at.Sub(at); took > 5*time.Second {
				t.Errorf("%s: took %s", c, took)
			}
			if want := "w/" + c + " was OOM-killed 1x in 15 min"; got.Alerts[0].Annotations["summary"] != want {
				t.Errorf("summary %q, want %q", got.Alerts[0].Annotations["summary"], want)
			}
		}
	})

	t.Run("a crash after a release is told with the last exit and the release", func(t *testing.T) {
		witness, err := evidence.New(func(ctx context.Context, expr string, at time.Time) ([]releases.Sample, error) {
			found, err := eng.Query(ctx, expr, at)
			var all []releases.Sample
			for _, s := range found {
				one := releases.Sample{Labels: map[string]string{}, Value: s.Values[0]}
				for _, l := range s.Labels {
					one.Labels[l.Name] = l.Value
				}
				all = append(all, one)
			}
			return all, err
		}, notifier.Put, log, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ports := ports
		ports.Notify = witness.Put
		m, err := rules.New(rules.Config{Builtin: alerts.FS(), ExternalURL: "http://collector:9750"}, ports, log, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		const exits, c = "container_exits_total", "crashes"
		begin := time.Now()
		for age := 20 * time.Minute; age > 0; age -= 15 * time.Second {
			image, id := "shop/web:1", "/docker/old"
			if age <= 5*time.Minute {
				image, id = "shop/web:2", "/docker/new"
			}
			put(t, eng, "container_start_time_seconds", c, float64(begin.Add(-time.Hour).Unix()), begin.Add(-age), "image", image, "id", id)
			put(t, eng, "container_memory_working_set_bytes", c, 48<<20, begin.Add(-age), "image", image, "id", id)
			put(t, eng, "container_spec_memory_limit_bytes", c, 64<<20, begin.Add(-age), "image", image, "id", id)
			put(t, eng, exits, c, 0, begin.Add(-age), "reason", "error")
		}
		eng.Flush()
		defer background(t, m.Run)()
		at := time.Now()
		put(t, eng, "container_exit_code", c, 3, at.Add(-time.Second), "reason", "error", "image", "shop/web:2", "id", "/docker/new")
		put(t, eng, exits, c, 1, at, "reason", "error")
		m.Kick()
		told := await(t, hook, "ContainerCrashed", c).Alerts[0].Annotations
		t.Logf("last_exit %q, last_release %q, usage %q", told["last_exit"], told["last_release"], told["usage"])
		if want := "error, exit code 3, " + at.Add(-time.Second).UTC().Format(time.DateTime+" MST") + ", crashes on n"; told["last_exit"] != want {
			t.Errorf("last_exit %q, want %q", told["last_exit"], want)
		}
		if !strings.HasPrefix(told["last_release"], "shop/web:2 replaced shop/web:1 at "+begin.Add(-5*time.Minute).UTC().Format("2006-01-02 15:04:05 UTC, ")) {
			t.Errorf("last_release %q", told["last_release"])
		}
		if want := "memory 48 MiB of 64 MiB"; told["usage"] != want {
			t.Errorf("usage %q, want %q", told["usage"], want)
		}
	})

	t.Run("a restart keeps the state of alerts and does not notify twice", func(t *testing.T) {
		config := rules.Config{Builtin: fstest.MapFS{"r.yaml": {Data: []byte("groups:\n- name: g\n  interval: 1s\n  rules:\n" +
			"  - {alert: Fires, expr: 'fault == 1', for: 2s}\n  - {alert: Pends, expr: 'fault == 1', for: 1h}\n")}}}
		put(t, eng, "fault", "x", 1, time.Now())
		eng.Flush()
		first, err := rules.New(config, ports, log, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		stop := background(t, first.Run)
		fired := await(t, hook, "Fires", "x")
		since := activeAt(t, first, "Pends")
		stop()
		eng.Flush()

		second, err := rules.New(config, ports, log, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer background(t, second.Run)()
		if again := activeAt(t, second, "Pends"); again.Unix() != since.Unix() {
			t.Errorf("the pending alert began at %s, after the restart at %s", since, again)
		}
		if again := activeAt(t, second, "Fires"); again.After(fired.Alerts[0].StartsAt) {
			t.Errorf("the firing alert starts anew: %s, was %s", again, fired.Alerts[0].StartsAt)
		}
		put(t, eng, "fault", "x", 0, time.Now())
		eng.Flush()
		if next := awaitAny(t, hook, "Fires"); next.Status != "resolved" {
			t.Errorf("notified %q after the restart, want only resolved", next.Status)
		}
	})
}

// background runs f until the returned function is called.
func background(t *testing.T, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// put stores one sample; more are names and values of further labels.
func put(t *testing.T, eng *engine.Engine, name, container string, value float64, at time.Time, more ...string) {
	t.Helper()
	labels := []prompb.Label{
		{Name: "__name__", Value: name}, {Name: "project", Value: "p"}, {Name: "node", Value: "n"},
		{Name: "workload", Value: "w"}, {Name: "container", Value: container},
	}
	for i := 0; i < len(more); i += 2 {
		labels = append(labels, prompb.Label{Name: more[i], Value: more[i+1]})
	}
	err := eng.Append([]prompb.TimeSeries{{
		Labels:  labels,
		Samples: []prompb.Sample{{Value: value, Timestamp: at.UnixMilli()}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func awaitWatchdog(t *testing.T, hook chan message) { t.Helper(); awaitAny(t, hook, "Watchdog") }

func await(t *testing.T, hook chan message, alert, container string) message {
	t.Helper()
	for {
		if m := awaitAny(t, hook, alert); m.Alerts[0].Labels["container"] == container && m.Status == "firing" {
			return m
		}
	}
}

func awaitAny(t *testing.T, hook chan message, alert string) message {
	t.Helper()
	over := time.After(15 * time.Second)
	for {
		select {
		case m := <-hook:
			if m.Alerts[0].Labels["alertname"] == alert {
				return m
			}
		case <-over:
			t.Fatalf("no notification of %s within 15 s", alert)
		}
	}
}

// activeAt waits for an alert to be active and says since when.
func activeAt(t *testing.T, m *rules.Manager, alert string) time.Time {
	t.Helper()
	for range 500 {
		rec := httptest.NewRecorder()
		m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/api/v1/alerts", nil))
		var body struct {
			Data struct {
				Alerts []struct {
					Labels   map[string]string
					ActiveAt time.Time
				}
			}
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		for _, a := range body.Data.Alerts {
			if a.Labels["alertname"] == alert {
				return a.ActiveAt
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s is never active", alert)
	return time.Time{}
}
