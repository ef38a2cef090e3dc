package rules

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// served evaluates the rules once and returns a client of Prometheus' own for the handler.
func served(t *testing.T) (promv1.API, *httptest.Server) {
	bed := newTestbed()
	m := bed.manager(t, ruleFile(oomRule, "  - {alert: Slow, expr: slow, for: 5m}", "  - {alert: Broken, expr: broken}", "  - {record: r, expr: up}"))
	g := m.groups[0]
	g.vmalert = newVmalertGroup(g)
	t.Cleanup(func() { closeVmalertGroup(g.vmalert) })
	bed.answer("oom > 0", 2, "workload", "web")
	bed.answer("slow", 1, "node", "n1")
	bed.failing["broken"] = true
	g.evaluate(t.Context(), t0)
	srv := httptest.NewServer(m.Handler())
	t.Cleanup(srv.Close)
	client, err := api.NewClient(api.Config{Address: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return promv1.NewAPI(client), srv
}

func TestPrometheusClientsReadTheRules(t *testing.T) {
	client, _ := served(t)
	result, err := client.Rules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Groups) != 1 || len(result.Groups[0].Rules) != 4 {
		t.Fatalf("got %+v", result)
	}
	g := result.Groups[0]
	if g.Name != "g" || g.File != "builtin:rules.yaml" || g.Interval != 5 {
		t.Errorf("group %+v", g)
	}
	oom := g.Rules[0].(promv1.AlertingRule)
	if oom.State != "firing" || oom.Health != "ok" || oom.Query != "oom > 0" || len(oom.Alerts) != 1 {
		t.Errorf("rule %+v", oom)
	}
	if a := oom.Alerts[0]; a.State != promv1.AlertStateFiring || a.Value != "2e+00" || !a.ActiveAt.Equal(t0) || a.Labels["workload"] != "web" {
		t.Errorf("alert %+v", a)
	}
	if slow := g.Rules[1].(promv1.AlertingRule); slow.State != "pending" || slow.Duration != 300 {
		t.Errorf("rule %+v", slow)
	}
	if broken := g.Rules[2].(promv1.AlertingRule); broken.Health != "err" || broken.LastError == "" || broken.State != "inactive" {
		t.Errorf("rule %+v", broken)
	}
	if recorded := g.Rules[3].(promv1.RecordingRule); recorded.Name != "r" || recorded.Health != "ok" || recorded.LastEvaluation.IsZero() {
		t.Errorf("rule %+v", recorded)
	}
}

func TestPrometheusClientsReadTheAlerts(t *testing.T) {
	client, _ := served(t)
	result, err := client.Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Alerts) != 2 || result.Alerts[0].Annotations["summary"] != "web was killed 2x" {
		t.Errorf("got %+v", result.Alerts)
	}
}

// Every field that https://prometheus.io/docs/prometheus/latest/querying/api/#rules shows must be there.
func TestTheFieldsAreThoseOfPrometheus(t *testing.T) {
	_, srv := served(t)
	var body struct {
		Status string
		Data   struct{ Groups []map[string]any }
	}
	get(t, srv.URL+"/api/v1/rules", http.StatusOK, &body)
	group := body.Data.Groups[0]
	has := func(what string, object map[string]any, fields ...string) {
		for _, f := range fields {
			if _, ok := object[f]; !ok {
				t.Errorf("%s has no %s", what, f)
			}
		}
	}
	has("group", group, "name", "file", "interval", "limit", "evaluationTime", "lastEvaluation", "rules")
	rules := group["rules"].([]any)
	alerting := rules[0].(map[string]any)
	has("alerting rule", alerting, "state", "name", "query", "duration", "keepFiringFor", "labels", "annotations", "alerts", "health", "evaluationTime", "lastEvaluation", "type")
	has("alert", alerting["alerts"].([]any)[0].(map[string]any), "labels", "annotations", "state", "activeAt", "value")
	has("recording rule", rules[3].(map[string]any), "name", "query", "health", "evaluationTime", "lastEvaluation", "type")
}

func TestRulesCanBeFiltered(t *testing.T) {
	_, srv := served(t)
	for query, want := range map[string]int{
		"": 4, "type=alert": 3, "type=record": 1, "rule_name[]=OOM": 1, "rule_name[]=OOM&rule_name[]=r": 2,
		"rule_group[]=g": 4, "rule_group[]=other": 0, "file[]=x": 0, "exclude_alerts=true": 4,
	} {
		var body struct {
			Data struct {
				Groups []struct{ Rules []struct{ Alerts []any } }
			}
		}
		get(t, srv.URL+"/api/v1/rules?"+query, http.StatusOK, &body)
		n, alerts := 0, 0
		for _, g := range body.Data.Groups {
			n += len(g.Rules)
			for _, r := range g.Rules {
				alerts += len(r.Alerts)
			}
		}
		if n != want || (query == "exclude_alerts=true" && alerts > 0) {
			t.Errorf("%q yields %d rules with %d alerts, want %d", query, n, alerts, want)
		}
	}
	var fault struct{ Status, ErrorType, Error string }
	get(t, srv.URL+"/api/v1/rules?type=nonsense", http.StatusBadRequest, &fault)
	if fault.Status != "error" || fault.ErrorType != "bad_data" || fault.Error == "" {
		t.Errorf("got %+v", fault)
	}
}

func get(t *testing.T, url string, status int, into any) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		t.Errorf("%s: %s", url, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
