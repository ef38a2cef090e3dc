package noise_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/noise"
)

func TestAReleaseAndAnAcknowledgementAreAnswersToo(t *testing.T) {
	acts := func(_ context.Context, _, _ time.Time) ([]noise.Act, error) {
		of := func(kind noise.Kind, ago, late time.Duration, rule string) noise.Act {
			return noise.Act{Kind: kind, At: now.Add(-ago), Late: late, Matches: func(alert map[string]string) bool { return alert["alertname"] == rule }}
		}
		return []noise.Act{of(noise.Released, 30*time.Minute, time.Hour, "Fixed"), of(noise.Acknowledged, 10*time.Hour, 24*time.Hour, "Known"), of(noise.Released, 12*time.Hour, time.Hour, "Before"), of(noise.Acknowledged, 10*time.Hour, 24*time.Hour, "After")}, nil
	}
	rules, err := noise.Summary(t.Context(), history(
		spell{"Fixed", "n1", 70 * time.Minute, 20}, // released 20 min after its end
		spell{"Known", "n1", 20 * time.Hour, 3}, spell{"Known", "n2", 20 * time.Hour, 3},
		spell{"Before", "n1", 2 * time.Hour, 3}, spell{"After", "n1", 5 * time.Hour, 3},
	), acts, now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range rules {
		got[r.Rule] = fmt.Sprint(r.Silenced, r.Acknowledged, r.Released, r.NeverActed)
	}
	for rule, want := range map[string]string{"Fixed": "0 0 1 false", "Known": "0 2 0 false", "Before": "0 0 0 true", "After": "0 0 0 true"} {
		if got[rule] != want {
			t.Errorf("%s: %s, want %s", rule, got[rule], want)
		}
	}
}

func TestOnlyTheWorkloadOfAReleaseIsAnswered(t *testing.T) {
	shop := map[string]string{"project": "shop", "idc": "", "cluster": "c1", "namespace": "", "workload": "web"}
	acts, err := noise.Releases(func(context.Context, time.Time, time.Time) ([]noise.Release, error) {
		return []noise.Release{{At: now, Labels: shop}}, nil
	})(t.Context(), now, now)
	if err != nil || len(acts) != 1 {
		t.Fatal(acts, err)
	}
	for alert, want := range map[string]bool{"web": true, "db": false, "": false} {
		if got := acts[0].Matches(map[string]string{"project": "shop", "cluster": "c1", "workload": alert, "node": "n1"}); got != want {
			t.Errorf("workload %q: %v", alert, got)
		}
	}
	broken := func(context.Context, time.Time, time.Time) ([]noise.Act, error) {
		return nil, errors.New("too many series")
	}
	if _, err := noise.Summary(t.Context(), history(), noise.Together(silenced(0, "x"), broken), now, time.Hour); err == nil || !strings.Contains(err.Error(), "too many series") {
		t.Errorf("acts that cannot be read count as none: %v", err)
	}
}

func TestAcknowledgementsOutliveTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "acknowledgements.jsonl")
	open := func() *noise.Acknowledgements {
		a, err := noise.OpenAcknowledgements(file)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ask := func(a *noise.Acknowledgements, method, body string) (int, string) {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(method, "/api/alerts/acknowledgements", strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	a := open()
	for _, body := range []string{`{"by":"sre"}`, `{"labels":{"alertname":"A"}}`, `{"labels":{"node":"n"},"by":"sre"}`, `{"labels":{"alertname":"A"},"by":"sre","til":"x"}`, `[`, `{"labels":{"alertname":"` + strings.Repeat("x", 20_000) + `"},"by":"sre"}`} {
		if code, text := ask(a, http.MethodPost, body); code != http.StatusBadRequest || !strings.Contains(text, "acknowledgement: ") {
			t.Errorf("%.60s: %d %s", body, code, text)
		}
	}
	for _, node := range []string{"n1", "n2"} {
		if code, text := ask(a, http.MethodPost, `{"labels":{"alertname":"A","node":"`+node+`"},"by":"sre","comment":"restarted it"}`); code != http.StatusOK {
			t.Fatalf("%d %s", code, text)
		}
	}
	torn, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(torn, `{"labels":{"alertna`) // a kill -9 in the middle
	torn.Close()
	a = open()
	if code, text := ask(a, http.MethodGet, ""); code != http.StatusOK || strings.Count(text, `"alertname":"A"`) != 2 || !strings.Contains(text, "restarted it") || strings.Index(text, "n2") > strings.Index(text, "n1") {
		t.Errorf("%d %s", code, text)
	}
	acts, err := a.Acts(t.Context(), time.Time{}, time.Time{})
	if err != nil || len(acts) != 2 || !acts[0].Matches(map[string]string{"alertname": "A", "node": "n1", "idc": "x"}) || acts[0].Matches(map[string]string{"alertname": "A", "node": "n3"}) {
		t.Errorf("%v %v", acts, err)
	}
	if _, err := noise.OpenAcknowledgements(t.TempDir()); err == nil {
		t.Error("a directory is taken for the file")
	}
}
