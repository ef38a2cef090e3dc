package noise_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/noise"
	"github.com/plimsoll/plimsoll/collector/internal/notify"
)

var now = time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)

// spell is an alert that fires for some minutes, the first so long ago.
type spell struct {
	alert, node string
	ago         time.Duration
	minutes     int
}

// history answers queries as the engine does.
func history(spells ...spell) noise.QueryFunc {
	return func(_ context.Context, _ string, from, to time.Time, step time.Duration) ([]noise.Series, error) {
		byNode := map[[2]string]*noise.Series{}
		var order [][2]string
		for _, s := range spells {
			key := [2]string{s.alert, s.node}
			if byNode[key] == nil {
				byNode[key] = &noise.Series{Labels: map[string]string{"alertname": s.alert, "node": s.node, "severity": "warning"}}
				order = append(order, key)
			}
		}
		for at := from; !at.After(to); at = at.Add(step) {
			for _, s := range spells {
				begin := now.Truncate(time.Minute).Add(-s.ago)
				if !at.Before(begin) && at.Before(begin.Add(time.Duration(s.minutes)*time.Minute)) {
					series := byNode[[2]string{s.alert, s.node}]
					series.TimestampsMillis = append(series.TimestampsMillis, at.UnixMilli())
				}
			}
		}
		var all []noise.Series
		for _, key := range order {
			if len(byNode[key].TimestampsMillis) > 0 {
				all = append(all, *byNode[key])
			}
		}
		return all, nil
	}
}

// silenced is one silence of all alerts of a rule, made so long ago.
func silenced(ago time.Duration, rule string) noise.ActsFunc {
	return noise.Silences(alertmanager(http.StatusOK, fmt.Sprintf(`[{"startsAt":%q,"matchers":[
{"name":"alertname","value":%q,"isRegex":false,"isEqual":true},{"name":"node","value":"n[0-9]","isRegex":true},{"name":"pod","value":"x","isRegex":false,"isEqual":false}]}]`,
		now.Add(-ago).Format(time.RFC3339), rule)))
}

func alertmanager(status int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v2/silences" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	})
}

func TestSilencesThatCannotBeReadAreNotNone(t *testing.T) {
	for text, status := range map[string]int{"[]": 502, "<html>": 200, `[{"matchers":[{"name":"a","value":"(","isRegex":true}]}]`: 200} {
		_, err := noise.Summary(t.Context(), history(), noise.Silences(alertmanager(status, text)), now, time.Hour)
		if err == nil || !strings.Contains(err.Error(), "silences") {
			t.Errorf("%d %s: %v", status, text, err)
		}
	}
}

func TestSilencesOfTheAlertmanagerInProcess(t *testing.T) {
	m, err := notify.Open(notify.Config{DataDir: t.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	body := fmt.Sprintf(`{"matchers":[{"name":"alertname","value":"Flaps","isRegex":false}],"startsAt":%q,"endsAt":%q,"createdBy":"sre","comment":"known"}`,
		begin.Format(time.RFC3339Nano), begin.Add(time.Hour).Format(time.RFC3339Nano))
	post := httptest.NewRequest(http.MethodPost, "/api/v2/silences", strings.NewReader(body))
	post.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, post)
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	got, err := noise.Silences(m.Handler())(t.Context(), now, now)
	if err != nil || len(got) != 1 {
		t.Fatalf("%v %v", got, err)
	}
	if s := got[0]; s.At.Sub(begin).Abs() > time.Minute || !s.Matches(map[string]string{"alertname": "Flaps"}) || s.Matches(map[string]string{"alertname": "Else"}) {
		t.Errorf("read as made at %s, the silence of Flaps made at %s", s.At, begin)
	}
}

func TestRulesWithManyShortAlertsComeFirst(t *testing.T) {
	got, err := noise.Summary(t.Context(), history(
		spell{"Flaps", "n1", 20 * time.Hour, 2}, spell{"Flaps", "n1", 19 * time.Hour, 3}, spell{"Flaps", "n2", 19 * time.Hour, 4},
		spell{"Flaps", "n2", 2 * time.Hour, 30},
		spell{"Lasts", "n1", 23 * time.Hour, 13 * 60}, // over three queries, one alert
		spell{"Now", "n1", 2 * time.Minute, 99},       // fires still: not short yet
		spell{"Before", "n1", 48 * time.Hour, 60},     // before the window
	), silenced(18*time.Hour+58*time.Minute, "Flaps"), now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	want := []noise.Rule{
		{Rule: "Flaps", Fired: 4, Short: 3, Silenced: 2, ShortShare: 0.75, FiringSeconds: 39 * 60},
		{Rule: "Lasts", Fired: 1, NeverActed: true, FiringSeconds: 13 * 3600},
		{Rule: "Now", Fired: 1, NeverActed: true, FiringSeconds: 240},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, w := range want {
		g := got[i]
		g.LastFired, g.Severity = time.Time{}, ""
		if g != w {
			t.Errorf("got %+v, want %+v", g, w)
		}
	}
}

func TestTheAnswerIsJSONAndAWrongWindowIsRefused(t *testing.T) {
	ask := func(query noise.QueryFunc, window string) (int, string) {
		rec := httptest.NewRecorder()
		noise.Handler(query, silenced(time.Hour, "Else")).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/api/alerts/noise?window="+window, nil))
		return rec.Code, rec.Body.String()
	}
	status, body := ask(history(), "1d")
	var answer struct {
		Data struct{ Rules []noise.Rule }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 || answer.Data.Rules == nil {
		t.Errorf("%d %s %v", status, body, err)
	}
	for _, window := range []string{"soon", "1m", "60d"} {
		if status, body := ask(history(), window); status != 400 {
			t.Errorf("window=%s: %d %s", window, status, body)
		}
	}
	broken := func(context.Context, string, time.Time, time.Time, time.Duration) ([]noise.Series, error) {
		return nil, errors.New("too many series")
	}
	if status, _ := ask(broken, "7d"); status != 503 {
		t.Errorf("a query that fails: %d", status)
	}
}
