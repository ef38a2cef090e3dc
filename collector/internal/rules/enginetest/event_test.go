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
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/notify"
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

func put(t *testing.T, eng *engine.Engine, name, container string, value float64, at time.Time) {
	t.Helper()
	err := eng.Append([]prompb.TimeSeries{{
		Labels: []prompb.Label{
			{Name: "__name__", Value: name}, {Name: "project", Value: "p"}, {Name: "node", Value: "n"},
			{Name: "workload", Value: "w"}, {Name: "container", Value: container},
		},
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
