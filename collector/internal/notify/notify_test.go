package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/notify"
)

// webhook is a receiver of notifications.
type webhook struct {
	*httptest.Server
	got    chan notification
	status int // of the answer
}

type notification struct {
	Status   string `json:"status"`
	Receiver string `json:"receiver"`
	Alerts   []struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"alerts"`
}

func newWebhook(t *testing.T) *webhook {
	w := &webhook{got: make(chan notification, 100), status: http.StatusOK}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var n notification
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Errorf("webhook body: %v", err)
		}
		w.got <- n
		rw.WriteHeader(w.status)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *webhook) next(t *testing.T) notification {
	t.Helper()
	return w.within(t, 10*time.Second)
}

func (w *webhook) within(t *testing.T, limit time.Duration) notification {
	t.Helper()
	select {
	case n := <-w.got:
		return n
	case <-time.After(limit):
		t.Fatalf("no notification within %s", limit)
		return notification{}
	}
}

func config(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func toWebhook(url string) string {
	return fmt.Sprintf(`
route: {receiver: hook, group_by: [alertname], group_wait: 10ms, group_interval: 100ms, repeat_interval: 1h}
receivers:
- name: hook
  webhook_configs: [{url: %q, send_resolved: true}]
`, url)
}

// open starts a manager; the returned function stops it and waits.
func open(t *testing.T, cfg notify.Config) (*notify.Manager, *prometheus.Registry, func()) {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	reg := prometheus.NewRegistry()
	m, err := notify.Open(cfg, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return m, reg, stop
}

func oomAlert(ends time.Time) *model.Alert {
	return &model.Alert{
		Labels:      model.LabelSet{"alertname": "ContainerOOMKilled", "project": "shop", "namespace": ""},
		Annotations: model.LabelSet{"summary": "web/app was OOM-killed 1x in 15m"},
		StartsAt:    time.Now().Add(-time.Minute), EndsAt: ends,
	}
}

func put(t *testing.T, m *notify.Manager, alerts ...*model.Alert) {
	t.Helper()
	if err := m.Put(t.Context(), alerts...); err != nil {
		t.Fatal(err)
	}
}

func TestAnAlertReachesTheWebhookWhenItFiresAndWhenItIsResolved(t *testing.T) {
	hook := newWebhook(t)
	m, reg, _ := open(t, notify.Config{ConfigFile: config(t, toWebhook(hook.URL))})

	put(t, m, oomAlert(time.Now().Add(time.Hour)))
	firing := hook.next(t)
	if firing.Status != "firing" || firing.Receiver != "hook" || len(firing.Alerts) != 1 {
		t.Fatalf("got %+v", firing)
	}
	if a := firing.Alerts[0]; a.Labels["project"] != "shop" || a.Annotations["summary"] != "web/app was OOM-killed 1x in 15m" {
		t.Errorf("alert is %+v", a)
	}
	if _, has := firing.Alerts[0].Labels["namespace"]; has {
		t.Error("an empty label was sent; it must be absent")
	}

	put(t, m, oomAlert(time.Now()))
	if resolved := hook.next(t); resolved.Status != "resolved" {
		t.Fatalf("got %+v, want resolved", resolved)
	}
	if sent, failed := counters(t, reg, "hook"); sent != 2 || failed != 0 {
		t.Errorf("%v notifications, %v failed; want 2 and 0", sent, failed)
	}
}

// counters reads the notifications sent and failed of a receiver.
func counters(t *testing.T, reg prometheus.Gatherer, receiver string) (sent, failed float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "receiver" || l.GetValue() != receiver {
					continue
				}
				switch family.GetName() {
				case "plimsoll_collector_notifications_total":
					sent += m.GetCounter().GetValue()
				case "plimsoll_collector_notifications_failed_total":
					failed += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sent, failed
}

func TestARefusedNotificationIsCounted(t *testing.T) {
	hook := newWebhook(t)
	hook.status = http.StatusBadRequest // 4xx is not retried
	m, reg, _ := open(t, notify.Config{ConfigFile: config(t, toWebhook(hook.URL))})
	put(t, m, oomAlert(time.Now().Add(time.Hour)))
	hook.next(t)
	eventually(t, func() error {
		if sent, failed := counters(t, reg, "hook"); sent != 1 || failed != 1 {
			return fmt.Errorf("%v notifications, %v failed; want 1 and 1", sent, failed)
		}
		return nil
	})
}

func eventually(t *testing.T, ok func() error) {
	t.Helper()
	var err error
	for range 200 {
		if err = ok(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
}

func TestSilencesAndWhatWasNotifiedSurviveARestart(t *testing.T) {
	hook := newWebhook(t)
	cfg := notify.Config{ConfigFile: config(t, toWebhook(hook.URL)), DataDir: t.TempDir()}
	m, _, stop := open(t, cfg)
	silence := fmt.Sprintf(`{"matchers":[{"name":"project","value":"shop","isRegex":false,"isEqual":true}],
		"startsAt":%q,"endsAt":%q,"createdBy":"sre","comment":"maintenance"}`,
		time.Now().Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))
	if status, body := call(t, m, http.MethodPost, "/api/v2/silences", silence); status != http.StatusOK {
		t.Fatalf("POST silence: %d %s", status, body)
	}
	other := &model.Alert{
		Labels:   model.LabelSet{"alertname": "AgentAbsent", "node": "n1"},
		StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour),
	}
	put(t, m, other)
	hook.next(t)
	time.Sleep(200 * time.Millisecond) // the log is written after the webhook's answer
	stop()

	m, _, _ = open(t, cfg)
	put(t, m, other, oomAlert(time.Now().Add(time.Hour)))
	eventually(t, func() error {
		_, body := call(t, m, http.MethodGet, "/api/v2/alerts?active=true&silenced=true", "")
		if !strings.Contains(body, `"silencedBy":["`) {
			return fmt.Errorf("the OOM alert is not silenced: %s", body)
		}
		return nil
	})
	select {
	case n := <-hook.got:
		t.Errorf("notified again after the restart, or of a silenced alert: %+v", n)
	case <-time.After(500 * time.Millisecond):
	}
	over := *other
	over.EndsAt = time.Now()
	put(t, m, &over)
	if n := hook.next(t); n.Status != "resolved" {
		t.Errorf("got %+v, want resolved", n)
	}
}

func call(t *testing.T, m *notify.Manager, method, path, body string) (int, string) {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

func TestWithoutConfigurationAlertsAreShownAndInhibited(t *testing.T) {
	m, _, _ := open(t, notify.Config{})
	far := time.Now().Add(time.Hour)
	put(t, m,
		&model.Alert{Labels: model.LabelSet{"alertname": "ClusterTelemetryLost", "idc": "i", "cluster": "c", "severity": "critical"}, StartsAt: time.Now(), EndsAt: far},
		&model.Alert{Labels: model.LabelSet{"alertname": "AgentAbsent", "idc": "i", "cluster": "c", "node": "n"}, StartsAt: time.Now(), EndsAt: far},
		&model.Alert{Labels: model.LabelSet{"alertname": "AgentAbsent", "idc": "i", "cluster": "other", "node": "n"}, StartsAt: time.Now(), EndsAt: far},
		// A node that goes after its agent died is told all the same; what its containers seemed to have is not.
		&model.Alert{Labels: model.LabelSet{"alertname": "AgentLost", "idc": "i", "cluster": "other", "node": "m"}, StartsAt: time.Now(), EndsAt: far},
		&model.Alert{Labels: model.LabelSet{"alertname": "NodeLost", "idc": "i", "cluster": "other", "node": "m"}, StartsAt: time.Now(), EndsAt: far},
		&model.Alert{Labels: model.LabelSet{"alertname": "ContainerUnhealthy", "idc": "i", "cluster": "other", "node": "m"}, StartsAt: time.Now(), EndsAt: far})
	eventually(t, func() error {
		var alerts []struct {
			Labels map[string]string `json:"labels"`
			Status struct {
				InhibitedBy []string `json:"inhibitedBy"`
			} `json:"status"`
			Receivers []struct{ Name string } `json:"receivers"`
		}
		_, body := call(t, m, http.MethodGet, "/api/v2/alerts", "")
		if err := json.Unmarshal([]byte(body), &alerts); err != nil {
			return err
		}
		if len(alerts) != 6 {
			return fmt.Errorf("%d alerts: %s", len(alerts), body)
		}
		for _, a := range alerts {
			inhibited := len(a.Status.InhibitedBy) > 0
			if want := a.Labels["alertname"] == "AgentAbsent" && a.Labels["cluster"] == "c" || a.Labels["alertname"] == "ContainerUnhealthy"; inhibited != want {
				return fmt.Errorf("%v inhibited is %v", a.Labels, inhibited)
			}
			if len(a.Receivers) != 1 || a.Receivers[0].Name != "nobody" {
				return fmt.Errorf("receivers %v", a.Receivers)
			}
		}
		return nil
	})
	if status, body := call(t, m, http.MethodGet, "/api/v2/status", ""); status != http.StatusOK {
		t.Errorf("status: %d %s", status, body)
	}
}

func TestABrokenAlertDoesNotKeepTheOthersBack(t *testing.T) {
	hook := newWebhook(t)
	m, _, _ := open(t, notify.Config{ConfigFile: config(t, toWebhook(hook.URL))})
	broken := &model.Alert{Labels: model.LabelSet{"alertname": "NoStart"}}
	if err := m.Put(t.Context(), broken, oomAlert(time.Now().Add(time.Hour))); err == nil || !strings.Contains(err.Error(), "NoStart") {
		t.Errorf("error %v does not name the alert", err)
	}
	hook.next(t)
}

func TestReloadTakesTheNewRoutesAndKeepsTheOldOnesWhenTheFileIsBroken(t *testing.T) {
	first, second := newWebhook(t), newWebhook(t)
	file := config(t, toWebhook(first.URL))
	m, _, _ := open(t, notify.Config{ConfigFile: file})

	write(t, file, "route: {receiver: nowhere}\n")
	if err := m.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), file+":1: ") {
		t.Fatalf("error %v does not name file and line", err)
	}
	put(t, m, oomAlert(time.Now().Add(time.Hour)))
	first.next(t)

	write(t, file, toWebhook(second.URL))
	if err := m.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, m, &model.Alert{Labels: model.LabelSet{"alertname": "Other"}, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)})
	if n := second.next(t); n.Alerts[0].Labels["alertname"] != "Other" {
		t.Errorf("got %+v", n)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFaultInTheConfigurationNamesFileAndLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"syntax", "route:\n  receiver: a\n receivers: []\n", ":2: "},
		{"unknown field", "route:\n  receiver: a\n  grup_by: [x]\nreceivers: [{name: a}]\n", ":3: "},
		{"undefined receiver", "route:\n  receiver: a\n  routes:\n  - matchers: [x=\"y\"]\n    receiver: b\nreceivers:\n- name: a\n", ":5: "},
		{"bad matcher", "route:\n  receiver: a\n  routes:\n  - matchers: ['x=\"y']\nreceivers:\n- name: a\n", ":4: "},
		{"bad URL", "route:\n  receiver: a\nreceivers:\n- name: a\n  webhook_configs:\n  - url: 'ftp://x'\n", ":6: "},
		{"no Slack URL", "route:\n  receiver: a\nreceivers:\n- name: a\n- name: b\n  slack_configs:\n  - channel: '#x'\n", ":7: "},
		{"missing secret file", "route:\n  receiver: a\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x\n    http_config: {tls_config: {ca_file: /nonexistent}}\n", ":"},
		{"no secret", "route:\n  receiver: a\nreceivers:\n- name: a\n  slack_configs:\n  - channel: '#x'\n    api_url_file: absent\n", ":7: api_url_file: open "},
		{"empty secret", "route:\n  receiver: a\nreceivers:\n- name: a\n  pagerduty_configs:\n  - routing_key_file: /dev/null\n", ":6: routing_key_file: /dev/null is empty"},
		{"no templates", "route:\n  receiver: a\nreceivers:\n- name: a\ntemplates:\n- '[x'\n", ":5: "},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := config(t, c.text)
			err := notify.Check(notify.Config{ConfigFile: file})
			if err == nil || !strings.HasPrefix(err.Error(), file+c.want) {
				t.Errorf("got %v, want it to begin with FILE%s", err, c.want)
			}
			if _, openErr := notify.Open(notify.Config{DataDir: t.TempDir(), ConfigFile: file}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); openErr == nil {
				t.Error("Open takes it")
			}
		})
	}
}

func TestAnExternalAlertmanagerGetsTheAlertsAndTheAPIRequests(t *testing.T) {
	type request struct{ method, path, auth, body string }
	got := make(chan request, 10)
	status := http.StatusOK
	am := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Method, r.URL.Path, r.Header.Get("Authorization"), string(bytes.TrimSpace(body))}
		w.WriteHeader(status)
		fmt.Fprint(w, "busy")
	}))
	defer am.Close()
	m, reg, _ := open(t, notify.Config{Remote: notify.Remote{URLs: []string{am.URL}}})

	put(t, m, oomAlert(time.Now().Add(time.Hour)))
	posted := <-got
	if posted.method != http.MethodPost || posted.path != "/api/v2/alerts" || !strings.Contains(posted.body, `"labels":{"alertname":"ContainerOOMKilled","project":"shop"}`) {
		t.Errorf("got %+v", posted)
	}

	req := httptest.NewRequest(http.MethodGet, "/api/v2/silences", nil)
	req.Header.Set("Authorization", "Bearer collector-token")
	m.Handler().ServeHTTP(httptest.NewRecorder(), req)
	if passed := <-got; passed.path != "/api/v2/silences" || passed.auth != "" {
		t.Errorf("got %+v, want the path kept and the token dropped", passed)
	}

	status = http.StatusServiceUnavailable
	err := m.Put(t.Context(), oomAlert(time.Now().Add(time.Hour)))
	if err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "busy") {
		t.Errorf("error is %v", err)
	}
	if sent, failed := counters(t, reg, strings.TrimPrefix(am.URL, "http://")); sent != 2 || failed != 1 {
		t.Errorf("%v posts, %v failed; want 2 and 1", sent, failed)
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, cfg := range []notify.Config{
		{Remote: notify.Remote{URLs: []string{"alertmanager:9093"}}},
		{Remote: notify.Remote{URLs: []string{"http://x"}}, ConfigFile: "y"},
		{Remote: notify.Remote{URLs: []string{"http://x:9093", "http://x:9093/"}}},
		{Remote: notify.Remote{URLs: []string{"http://x"}, TokenFile: "/nonexistent"}},
		{Remote: notify.Remote{URLs: []string{"http://x"}, TokenFile: "/dev/null"}},
		{Remote: notify.Remote{URLs: []string{"http://x"}, Username: "u"}},
		{Remote: notify.Remote{URLs: []string{"http://x"}, Username: "u", PasswordFile: "/proc/version", TokenFile: "/proc/version"}},
		{Remote: notify.Remote{URLs: []string{"http://x"}, CertFile: "/proc/version"}},
		{Remote: notify.Remote{URLs: []string{"http://x"}, CAFile: "/proc/version"}},
		{Remote: notify.Remote{URLs: []string{"http://x"}, CAFile: "/nonexistent"}},
		{DataDir: "/proc/nonexistent"},
		{DataDir: os.TempDir(), ConfigFile: "/nonexistent.yml"},
	} {
		if _, err := notify.Open(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
