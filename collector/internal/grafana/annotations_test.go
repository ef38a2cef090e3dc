package grafana

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
	"github.com/plimsoll/plimsoll/collector/internal/grafana/moments"
)

// story is what happened, told to whoever asks.
type story struct {
	mu  sync.Mutex
	all []moments.Moment
}

func (s *story) tell(_ context.Context, from, to time.Time) ([]moments.Moment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []moments.Moment
	for _, m := range s.all {
		if m.Start.Before(from) && (m.GoesOn || m.End.After(from)) {
			m.Start = time.Time{}
			found = append(found, m)
		} else if !m.Start.Before(from) && !m.Start.After(to) {
			found = append(found, m)
		}
	}
	return found, nil
}

func annotator(t *testing.T, g *grafanatest.Server, token string, s *story, file string) *Publisher {
	t.Helper()
	p, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A"}), func(c *Config) { c.Moments, c.AnnotationsFile = s.tell, file })
	return p
}

// begun is a diary that was begun an hour ago.
func begun(t *testing.T, now time.Time) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "annotations.json")
	if err := (&diary{Until: now.Add(-time.Hour)}).write(file); err != nil {
		t.Fatal(err)
	}
	return file
}

type onGraph struct {
	ID            int64
	Time, TimeEnd int64
	Text          string
	Tags          []string
}

func onGraphs(t *testing.T, g *grafanatest.Server) []onGraph {
	t.Helper()
	var found []onGraph
	if status := g.Do(t, http.MethodGet, "/api/annotations?tags=plimsoll&limit=1000", nil, &found); status != http.StatusOK {
		t.Fatalf("list annotations: status %d", status)
	}
	return found
}

func round1(t *testing.T, p *Publisher, now time.Time, want int) {
	t.Helper()
	posted, err := p.annotate(t.Context(), now)
	if err != nil || sum(posted) != want {
		t.Errorf("posted %v, %v; want %d", posted, err, want)
	}
}

func happenings(now time.Time) *story {
	return &story{all: []moments.Moment{
		{Kind: moments.Release, Start: now.Add(-40 * time.Minute), Text: "Release of shop/web", Labels: []moments.Label{{Name: "project", Value: "shop"}, {Name: "image", Value: "web:2"}}},
		{Kind: moments.Storm, Start: now.Add(-30 * time.Minute), End: now.Add(-25 * time.Minute), Text: "OOM storm", Labels: []moments.Label{{Name: "project", Value: "shop"}}},
		{Kind: moments.Alert, Start: now.Add(-20 * time.Minute), GoesOn: true, Text: "WorkloadDown fires", Labels: []moments.Label{{Name: "alertname", Value: "WorkloadDown"}, {Name: "project", Value: "shop"}}},
	}}
}

func testAnnotatedOnce(t *testing.T, g *grafanatest.Server) {
	now := time.Now().Truncate(time.Second)
	s, file, token := happenings(now), begun(t, now), g.TokenFile(t, "Editor")
	p := annotator(t, g, token, s, file)
	round1(t, p, now, 3)
	found := onGraphs(t, g)
	if len(found) != 3 {
		t.Fatalf("%d annotations: %+v", len(found), found)
	}
	i := slices.IndexFunc(found, func(a onGraph) bool { return slices.Contains(a.Tags, "oom-storm") })
	if i < 0 || found[i].Time != now.Add(-30*time.Minute).UnixMilli() || found[i].TimeEnd != now.Add(-25*time.Minute).UnixMilli() ||
		found[i].Text != "OOM storm" || !slices.Contains(found[i].Tags, "project:shop") {
		t.Errorf("the storm: %+v", found)
	}

	round1(t, p, now.Add(time.Minute), 0)
	round1(t, annotator(t, g, token, s, file), now.Add(2*time.Minute), 0)        // a restart
	round1(t, annotator(t, g, token, s, begun(t, now)), now.Add(time.Minute), 0) // its diary lost, or another collector
	if again := onGraphs(t, g); len(again) != 3 {
		t.Errorf("%d annotations after further rounds", len(again))
	}

	s.all[2].GoesOn, s.all[2].End = false, now.Add(-time.Minute)
	round1(t, p, now.Add(3*time.Minute), 0)
	found = onGraphs(t, g)
	if i := slices.IndexFunc(found, func(a onGraph) bool { return slices.Contains(a.Tags, "alert") }); found[i].TimeEnd != now.Add(-time.Minute).UnixMilli() {
		t.Errorf("the alert that is over: %+v", found[i])
	}
}

// A kill between Grafana's answer and the diary leaves a diary that knows nothing of the post.
func testAnnotatedAfterAKill(t *testing.T, g *grafanatest.Server) {
	now := time.Now().Truncate(time.Second)
	s, file, token := happenings(now), begun(t, now), g.TokenFile(t, "Editor")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	round1(t, annotator(t, g, token, s, file), now, 3)
	for _, left := range [][]byte{before, []byte(`{"until":"`), nil} {
		if err := os.WriteFile(file, left, 0o600); err != nil {
			t.Fatal(err)
		}
		round1(t, annotator(t, g, token, s, file), now.Add(time.Minute), 0)
	}
	if found := onGraphs(t, g); len(found) != 3 {
		t.Errorf("%d annotations", len(found))
	}
}

// Two collectors that hear the same agents see the same moments some seconds apart.
func testAnnotatedByTwo(t *testing.T, g *grafanatest.Server) {
	now := time.Now().Truncate(time.Second)
	token := g.TokenFile(t, "Editor")
	var both sync.WaitGroup
	for i := range 2 {
		s := happenings(now)
		for j := range s.all {
			s.all[j].Start = s.all[j].Start.Add(time.Duration(i*15) * time.Second)
		}
		p := annotator(t, g, token, s, begun(t, now))
		both.Go(func() {
			for round := range 3 {
				if _, err := p.annotate(t.Context(), now.Add(time.Duration(round)*time.Minute)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	if found := onGraphs(t, g); len(found) != 3 {
		t.Errorf("%d annotations: %+v", len(found), found)
	}
}

func testAnnotationsRefused(t *testing.T, g *grafanatest.Server) {
	now := time.Now().Truncate(time.Second)
	s, file := happenings(now), begun(t, now)
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("glsa_nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := annotator(t, g, path, s, file)
	if _, err := p.annotate(t.Context(), now); err == nil || !strings.Contains(err.Error(), "401") || reasonOf(err) != "unauthorized" {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte(g.Token(t, "Editor")), 0o600); err != nil {
		t.Fatal(err)
	}
	round1(t, p, now.Add(10*time.Minute), 3) // what happened meanwhile is told
}

// More than a round may post comes with the next ones, and nothing is left out.
func testAnnotationsInRounds(t *testing.T, g *grafanatest.Server) {
	now := time.Now().Truncate(time.Second)
	s := &story{}
	for i := range mostPosts + 7 {
		s.all = append(s.all, moments.Moment{Kind: moments.Release, Start: now.Add(-time.Duration(i) * time.Second), Text: "Release", Labels: []moments.Label{{Name: "workload", Value: string(rune('A' + i))}}})
	}
	p := annotator(t, g, g.TokenFile(t, "Editor"), s, begun(t, now))
	round1(t, p, now, mostPosts)
	round1(t, p, now.Add(time.Second), 7)
	round1(t, p, now.Add(2*time.Second), 0)
}

func TestTheFirstRoundTellsNothingOfThePast(t *testing.T) {
	now := time.Now()
	file := filepath.Join(t.TempDir(), "annotations.json")
	p, _ := publisher(t, &grafanatest.Server{URL: "http://127.0.0.1:1"}, "", release(map[string]string{"cont-a": "A"}), func(c *Config) {
		c.Moments, c.AnnotationsFile = happenings(now).tell, file
	})
	round1(t, p, now, 0)
	var d diary
	if text, err := os.ReadFile(file); err != nil || json.Unmarshal(text, &d) != nil || !d.Until.Equal(now) {
		t.Errorf("the diary: %s, %v", text, err)
	}
}
