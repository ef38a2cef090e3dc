package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// crashRules rest on a metric of events, whose samples are visible at once.
const crashRules = `groups:
- name: crash
  interval: 1s
  rules:
  - {alert: Fires, expr: 'max by (project) (container_health_state{is="firing"}) > 0', labels: {severity: critical}}
  - {alert: Pends, expr: 'max by (project) (container_health_state{is="pending"}) > 0', for: 6s, labels: {severity: critical}}
  - {alert: Kept, expr: 'max by (project) (container_health_state{is="kept"}) > 0', keep_firing_for: 1h, labels: {severity: critical}}
  - {alert: Hushed, expr: 'max by (project) (container_health_state{is="hushed"}) > 0', for: 3s, labels: {severity: critical}}
`

// TestKillNineCostsNoPageAndNoSilence: pending and firing alerts and a silence made a moment before stand after a kill -9.
func TestKillNineCostsNoPageAndNoSilence(t *testing.T) {
	_, binary := buildPrograms(t)
	hook := newWebhook(t)
	files, routing := t.TempDir(), alertmanagerConfig(t, hook.URL)
	if err := os.WriteFile(filepath.Join(files, "rules.yaml"), []byte(crashRules), 0o600); err != nil {
		t.Fatal(err)
	}
	address, data := freePort(t), t.TempDir()
	run := func() *program {
		p := start(t, "collector", "http://"+address, binary, "--listen="+address, "--data-dir="+data, "--rules.builtin=false",
			"--rules="+filepath.Join(files, "rules.yaml"), "--alertmanager.config="+routing)
		p.waitReady(t)
		return p
	}
	collector := run()

	var firing, kept atomic.Bool // whether the conditions hold
	firing.Store(true)
	kept.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			samples := []pushed{{"container_health_state", []string{"is", "pending", "project", "shop"}, 1}, {"container_health_state", []string{"is", "hushed", "project", "shop"}, 1}}
			for is, on := range map[string]*atomic.Bool{"firing": &firing, "kept": &kept} {
				value := 0.0
				if on.Load() {
					value = 1
				}
				samples = append(samples, pushed{"container_health_state", []string{"is", is, "project", "shop"}, value})
			}
			_ = push(ctx, collector.url, samples) // it is away for a while
			time.Sleep(250 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { stop(); <-done })

	for _, name := range []string{"Fires", "Kept"} {
		eventually(t, 20*time.Second, name+" pages", func() error { _, err := hook.find(name, "firing", nil); return err })
	}
	kept.Store(false) // from here on it fires only because of keep_firing_for
	pendsSince := activeSince(t, collector.url, "Pends")
	eventually(t, 10*time.Second, "Kept is kept", func() error {
		body, err := get(collector.url + "/api/v1/alerts")
		if err == nil && !strings.Contains(body, "keepFiringSince") {
			err = fmt.Errorf("not yet: %s", body)
		}
		return err
	})

	silence := fmt.Sprintf(`{"matchers":[{"name":"alertname","value":"Hushed","isRegex":false,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":"sre","comment":"known"}`,
		time.Now().Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))
	resp, err := http.Post(collector.url+"/api/v2/silences", "application/json", strings.NewReader(silence))
	collector.cmd.Process.Kill() // at once
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("silence: %v %v", resp, err)
	}
	resp.Body.Close()
	<-collector.done

	collector = run()
	body, err := get(collector.url + "/api/v2/silences")
	if err != nil || !strings.Contains(body, `"state":"active"`) || !strings.Contains(body, `"Hushed"`) {
		t.Errorf("the silence after the kill: %s %v", body, err)
	}
	if since := activeSince(t, collector.url, "Pends"); since.Sub(pendsSince).Abs() > time.Second {
		t.Errorf("Pends is active since %s, before the kill since %s", since, pendsSince)
	}
	eventually(t, 30*time.Second, "the pending alert pages", func() error { _, err := hook.find("Pends", "firing", nil); return err })
	eventually(t, 20*time.Second, "Hushed fires behind the silence", func() error {
		body, err := get(collector.url + "/api/v2/alerts?filter=alertname%3DHushed&silenced=true")
		if err == nil && !strings.Contains(body, `"state":"suppressed"`) {
			err = fmt.Errorf("%s", body)
		}
		return err
	})

	firing.Store(false)
	eventually(t, 40*time.Second, "the firing alert is resolved", func() error { _, err := hook.find("Fires", "resolved", nil); return err })
	eventually(t, 20*time.Second, "the summary of noise knows the alert that came and went", func() error {
		body, err := get(collector.url + "/api/alerts/noise?window=1h")
		if err == nil && !strings.Contains(body, `{"rule":"Fires","severity":"critical","fired":1,"short":`) {
			err = fmt.Errorf("%s", body)
		}
		return err
	})
	pages := hook.count()
	for _, want := range []string{"Fires firing 1", "Pends firing 1", "Kept firing 1", "Hushed firing 0", "Kept resolved 0", "Fires resolved 1"} {
		var name, status string
		var n int
		fmt.Sscan(want, &name, &status, &n)
		if pages[name+" "+status] != n {
			t.Errorf("want %s, got %v", want, pages)
		}
	}
}

// activeSince waits for an alert and returns when it became active.
func activeSince(t *testing.T, collectorURL, name string) time.Time {
	t.Helper()
	var since time.Time
	eventually(t, 20*time.Second, name+" is active", func() error {
		body, err := get(collectorURL + "/api/v1/alerts")
		if err != nil {
			return err
		}
		var answer struct {
			Data struct {
				Alerts []struct {
					Labels   map[string]string
					ActiveAt time.Time
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			return err
		}
		for _, a := range answer.Data.Alerts {
			if a.Labels["alertname"] == name {
				since = a.ActiveAt
				return nil
			}
		}
		return fmt.Errorf("not among %s", body)
	})
	return since
}
