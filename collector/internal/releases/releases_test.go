package releases_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// life is a container of workload web, seen from so many to so many minutes before noon.
type life struct {
	id, image   string
	first, last float64
}

// engine answers every query with the lives and remembers what it was asked.
type engine struct {
	lives []life
	asked string
	err   error
}

func (e *engine) query(_ context.Context, expr string, _ time.Time) ([]releases.Sample, error) {
	e.asked = expr
	var all []releases.Sample
	for _, l := range e.lives {
		for edge, minutes := range map[string]float64{"first": l.first, "last": l.last} {
			all = append(all, releases.Sample{
				Labels: map[string]string{"project": "shop", "workload": "web", "container": "app", "image": l.image, "id": l.id, "edge": edge},
				Value:  float64(noon().Unix()) - minutes*60,
			})
		}
	}
	return all, e.err
}

func TestAnImageNobodyRunsYetIsARelease(t *testing.T) {
	for name, c := range map[string]struct {
		lives []life
		want  []string // old>new, newest first
	}{
		"a rolling deployment is one release":          {[]life{{"1", "v1", 65, 20}, {"2", "v1", 65, 18}, {"3", "v2", 20, 0}, {"4", "v2", 18, 0}}, []string{"v1>v2"}},
		"a rollback is one too":                        {[]life{{"1", "v1", 65, 40}, {"2", "v2", 40, 20}, {"3", "v1", 20, 0}}, []string{"v2>v1", "v1>v2"}},
		"a restart or more replicas is none":           {[]life{{"1", "v1", 65, 30}, {"2", "v1", 20, 0}, {"3", "v1", 10, 0}}, nil},
		"beside a canary the old image may grow":       {[]life{{"1", "v1", 65, 0}, {"2", "v2", 30, 0}, {"3", "v1", 10, 0}}, []string{"v1>v2"}},
		"two images at the beginning are none":         {[]life{{"1", "v1", 65, 0}, {"2", "v2", 64.8, 0}}, nil},
		"a workload that is new has nothing to change": {[]life{{"1", "v1", 10, 0}}, nil},
		"before the window":                            {[]life{{"1", "v1", 65, 62}, {"2", "v2", 62, 0}}, nil},
	} {
		e := &engine{lives: c.lives}
		list, err := releases.Find(t.Context(), e.query, nil, noon().Add(-time.Hour), noon())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range list {
			got = append(got, r.OldImage+">"+r.NewImage)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTheAPIAnswersInJSON(t *testing.T) {
	e := &engine{lives: []life{{"1", "v1", 65, 40}, {"2", "v2", 40, 20}, {"3", "v3", 20, 0}}}
	get := func(params string) (int, string, []releases.Release) {
		w := httptest.NewRecorder()
		releases.Handler(e.query, noon).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/releases"+params, nil))
		var body struct{ Data []releases.Release }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		return w.Code, w.Body.String(), body.Data
	}
	code, body, list := get("?since=1h&project=sh%22op&workload=web&limit=1")
	if code != 200 || len(list) != 1 || list[0].NewImage != "v3" || !list[0].At.Equal(noon().Add(-20*time.Minute)) || !strings.Contains(body, `"truncated":true`) {
		t.Errorf("%d %s", code, body)
	}
	if !strings.Contains(e.asked, `,project="sh\"op",workload="web"}[3900000ms]`) {
		t.Errorf("asked %s", e.asked)
	}
	for params, want := range map[string]string{"?since=soon": "parameter since", "?since=60d": "1m and 31d", "?limit=0": "from 1 to 10000", "?projekt=x": "known are since, limit, project", "?limit=1&limit=2": "given 2 times"} {
		if code, body, _ := get(params); code != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", params, code, body)
		}
	}
	e.err = errors.New("too many series")
	if code, body, _ := get(""); code != 503 || !strings.Contains(body, "too many series") {
		t.Errorf("%d %s", code, body)
	}
}
