package narrow

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

func shop(t *testing.T) *view.View {
	t.Helper()
	names, err := view.NewNames([]string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	return view.New(names)
}

// says answers with a text, and notes what it was asked.
type says struct {
	text  string
	asked []string
}

func (s *says) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL, body)))
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, s.text)
}

func do(h http.Handler, v *view.View, method, target, body string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, target, strings.NewReader(body))
	if v != nil {
		r = r.WithContext(view.With(r.Context(), v))
	}
	h.ServeHTTP(w, r)
	return w
}

// nobodys is of a collector that has built-in rules only.
func nobodys(string) (own bool, asking []string) { return false, nil }

func TestWhatAQueryOfSomebodysRuleSaysIsWithheld(t *testing.T) {
	own := func(alert string) (bool, []string) {
		if alert == "Mine" {
			return true, []string{"top", "found"}
		}
		return false, nil
	}
	alerts := `[{"labels":{"alertname":"Mine","project":"shop","found":"db"},"annotations":{"top":"bank is first","summary":"s"},"generatorURL":"http://x/?g0.expr=bank"},
		{"labels":{"alertname":"NodeFull","node":"n1"},"annotations":{"usage":"3 containers (bank 2, shop 1)","agent":"version 1"},"generatorURL":"http://x/?g0.expr=builtin"},
		{"labels":{"alertname":"Built","project":"shop","workload":"web"},"annotations":{"usage":"memory 1 of 2","top":"kept"},"generatorURL":"http://x/?g0.expr=builtin"}]`
	var groups = `[{"labels":{},"alerts":` + alerts + `}]`
	for target, text := range map[string]string{
		"/api/v2/alerts": alerts, "/api/v2/alerts/groups": groups, "/api/v1/alerts": `{"data":{"alerts":` + alerts + `}}`,
		"/api/v1/rules": `{"data":{"groups":[{"file":"builtin:a","rules":[{"name":"x","alerts":` + alerts + `}]}]}}`,
	} {
		next := &says{text: text}
		var h http.Handler = Alertmanager(next, own)
		if strings.HasPrefix(target, "/api/v1") {
			h = Rules(next, func(string) bool { return true }, own)
		}
		got := do(h, shop(t).AndNodes(), "GET", target, "").Body.String()
		if strings.Contains(got, "bank") {
			t.Errorf("%s tells of others: %s", target, got)
		}
		for _, want := range []string{`"summary":"s"`, `"usage":"memory 1 of 2"`, `"top":"kept"`, `"agent":"version 1"`, `"project":"shop"`, "expr=builtin", withheld} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", target, want, got)
			}
		}
		if got := do(h, nil, "GET", target, "").Body.String(); got != text {
			t.Errorf("%s: who sees everything does not: %s", target, got)
		}
	}
}

func TestARuleShowsOnlyTheAlertsThatAreSeen(t *testing.T) {
	next := &says{text: `{"status":"success","data":{"groups":[
		{"file":"builtin:a","name":"g","rules":[
			{"name":"Both","type":"alerting","state":"firing","armed":true,"missing":[{"metric":"of_bank"}],"lastError":"project bank","alerts":[{"labels":{"project":"bank"},"state":"firing"},{"labels":{"project":"shop"},"state":"pending"}]},
			{"name":"Theirs","type":"alerting","state":"firing","alerts":[{"labels":{"project":"bank"},"state":"firing"}]},
			{"name":"recorded","type":"recording","evaluationTime":0.25}]},
		{"file":"mine.yaml","name":"own","rules":[{"name":"Mine","labels":{"project":"shop"},"alerts":[]},{"name":"Hers","labels":{"project":"bank"},"alerts":[]},{"name":"Nobodys","query":"bank","alerts":[]}]},
		{"file":"hers.yaml","name":"hers","rules":[{"name":"Hers","labels":{"project":"bank"},"alerts":[]}]}]}}`}
	h := Rules(next, func(file string) bool { return strings.HasPrefix(file, "builtin:") }, nobodys)
	w := do(h, shop(t), "GET", "/api/v1/rules?exclude_alerts=true&type=alert&secret=x", "")
	var got struct {
		Data struct {
			Groups []struct {
				Name  string
				Rules []struct {
					Name, State, LastError string
					Alerts                 []any
				}
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err, w.Body)
	}
	var told []string
	for _, g := range got.Data.Groups {
		for _, r := range g.Rules {
			told = append(told, fmt.Sprintf("%s/%s %s %d", g.Name, r.Name, r.State, len(r.Alerts)))
		}
	}
	if want := "g/Both pending 0, g/Theirs inactive 0, g/recorded  0, own/Mine inactive 0"; strings.Join(told, ", ") != want {
		t.Errorf("%s\nwant %s", strings.Join(told, ", "), want)
	}
	if strings.Contains(w.Body.String(), "bank") || strings.Contains(w.Body.String(), "armed") {
		t.Errorf("the other is named: %s", w.Body)
	}
	if want := "GET /api/v1/rules?type=alert"; next.asked[0] != want {
		t.Errorf("asked %s, want %s", next.asked[0], want)
	}
	if w := do(h, nil, "GET", "/api/v1/rules", ""); w.Body.String() != next.text {
		t.Errorf("who sees everything does not: %s", w.Body)
	}
	if w := do(h, shop(t), "POST", "/api/v1/rules", ""); w.Code != http.StatusForbidden {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestWhoInhibitsAnAlertIsNotTold(t *testing.T) {
	next := &says{text: `[{"fingerprint":"1","labels":{"project":"shop"},"status":{"inhibitedBy":["2","3"]}},{"fingerprint":"2","labels":{"project":"shop"},"status":{"inhibitedBy":[]}},{"fingerprint":"3","labels":{"project":"bank"}}]`}
	w := do(Alertmanager(next, nobodys), shop(t), "GET", "/api/v2/alerts?filter=a&token=x", "")
	if got := w.Body.String(); !strings.Contains(got, `["2","an alert of others"]`) || strings.Contains(got, "bank") {
		t.Error(got)
	}
	if next.asked[0] != "GET /api/v2/alerts?filter=a" {
		t.Errorf("asked %s", next.asked[0])
	}
}

func TestASilenceIsMadeOfWhatWasChecked(t *testing.T) {
	next := &says{text: `{"silenceID":"7"}`}
	h := Alertmanager(next, nobodys)
	for body, want := range map[string]int{
		`{"matchers":[{"name":"project","value":"shop","isRegex":false}],"secret":"x"}`:                               200,
		`{"matchers":[{"name":"project","value":"shop","isRegex":false},{"name":"pod","value":".*","isRegex":true}]}`: 200,
		`{"matchers":[{"name":"project","value":"shop","isRegex":true}]}`:                                             403,
		`{"matchers":[{"name":"project","value":"shop","isEqual":false}]}`:                                            403,
		`{"matchers":[{"name":"project","value":"bank"}]}`:                                                            403,
		`{"matchers":[]}`:     403,
		`{"matchers":"shop"}`: 400,
		``:                    400,
	} {
		if w := do(h, shop(t), "POST", "/api/v2/silences", body); w.Code != want {
			t.Errorf("%s: %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
	if len(next.asked) != 2 || strings.Contains(fmt.Sprint(next.asked), "secret") {
		t.Errorf("asked %q", next.asked)
	}
	for target, method := range map[string]string{"/api/v2/silences": "PUT", "/api/v2/alerts": "POST", "/api/v2/silence/7": "POST", "/api/v2/receivers": "GET", "/api/v2/anything": "GET"} {
		if w := do(h, shop(t), method, target, ""); w.Code != http.StatusForbidden {
			t.Errorf("%s %s: %d", method, target, w.Code)
		}
	}
}

func TestOnlyASilenceOfTheProjectIsEnded(t *testing.T) {
	for project, want := range map[string]int{"shop": http.StatusOK, "bank": http.StatusNotFound} {
		next := &says{text: `{"id":"7","matchers":[{"name":"project","value":"` + project + `","isRegex":false,"isEqual":true}]}`}
		w := do(Alertmanager(next, nobodys), shop(t), "DELETE", "/api/v2/silence/7", "")
		if deleted := slices.Contains(next.asked, "DELETE /api/v2/silence/7"); w.Code != want || deleted != (want == http.StatusOK) {
			t.Errorf("%s: %d, asked %q", project, w.Code, next.asked)
		}
		if w := do(Alertmanager(next, nobodys), shop(t), "GET", "/api/v2/silence/7", ""); w.Code != want {
			t.Errorf("read %s: %d", project, w.Code)
		}
	}
}

func TestTheConfigurationOfTheAlertmanagerIsLeftOut(t *testing.T) {
	next := &says{text: `{"config":{"original":"receivers: [bank]"},"uptime":"now","versionInfo":{"version":"1"}}`}
	if got := do(Alertmanager(next, nobodys), shop(t), "GET", "/api/v2/status", "").Body.String(); strings.Contains(got, "bank") || !strings.Contains(got, `"version":"1"`) {
		t.Error(got)
	}
}

func TestTheProjectMapShowsTheProjectsThatAreSeen(t *testing.T) {
	next := &says{text: `{"hash":"x","rules":9,"projects":[{"project":"shop","team":"a"},{"project":"bank","team":"b"}]}`}
	if got := do(ProjectMap(next), shop(t), "GET", "/api/project-map?format=json", "").Body.String(); strings.TrimSpace(got) != `{"projects":[{"project":"shop","team":"a"}]}` {
		t.Error(got)
	}
	if w := do(ProjectMap(next), shop(t), "GET", "/api/project-map", ""); w.Code != http.StatusForbidden {
		t.Errorf("the text: %d", w.Code)
	}
	if w := do(Nodes(next), shop(t), "GET", "/api/nodes", ""); w.Code != http.StatusForbidden {
		t.Errorf("nodes: %d", w.Code)
	}
	if w := do(Nodes(next), shop(t).AndNodes(), "GET", "/api/nodes", ""); w.Code != http.StatusOK {
		t.Errorf("nodes with `nodes`: %d", w.Code)
	}
}
