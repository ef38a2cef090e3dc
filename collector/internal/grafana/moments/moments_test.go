package moments_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/moments"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// every gives a series with a value every 30 s between pairs of minutes after noon.
func every(labels map[string]string, between ...float64) moments.Series {
	s := moments.Series{Labels: labels}
	for i := 0; i+1 < len(between); i += 2 {
		for at := between[i]; at <= between[i+1]; at += 0.5 {
			s.Times, s.Values = append(s.Times, noon().Add(time.Duration(at*float64(time.Minute)))), append(s.Values, 7)
		}
	}
	return s
}

type world struct {
	storms, alerts, watchdog []moments.Series
	released                 []releases.Release
	err                      error
}

func (w world) sources() moments.Sources {
	return moments.Sources{
		Range: func(_ context.Context, expr string, _, _ time.Time, _ time.Duration) ([]moments.Series, error) {
			if strings.Contains(expr, `"Watchdog", alertstate`) {
				return w.watchdog, w.err
			}
			if strings.Contains(expr, "ALERTS") {
				return w.alerts, w.err
			}
			return w.storms, w.err
		},
		Releases: func(context.Context, time.Time, time.Time) ([]releases.Release, error) { return w.released, nil },
	}
}

func find(t *testing.T, w world, toMinutes float64) []moments.Moment {
	t.Helper()
	found, err := w.sources().Find(t.Context(), noon(), noon().Add(time.Duration(toMinutes*float64(time.Minute))))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAnAlertIsOneMomentFromWhenItFiresToWhenItStops(t *testing.T) {
	down := map[string]string{"alertname": "WorkloadDown", "severity": "critical", "project": "shop", "idc": "bj", "cluster": "c1"}
	found := find(t, world{alerts: []moments.Series{every(down, 10, 20, 23, 30)}}, 60)
	if len(found) != 1 || !found[0].Start.Equal(noon().Add(10*time.Minute)) || !found[0].End.Equal(noon().Add(30*time.Minute)) || found[0].GoesOn {
		t.Fatalf("a gap of 3 minutes: %+v", found)
	}
	if want := "WorkloadDown (critical) fires: project shop, bj/c1"; found[0].Text != want {
		t.Errorf("text %q", found[0].Text)
	}
	if again := find(t, world{alerts: []moments.Series{every(down, 10, 20, 40, 50)}}, 60); len(again) != 2 || again[0].Key() != again[1].Key() {
		t.Errorf("a gap of 20 minutes: %+v", again)
	}
	if on := find(t, world{alerts: []moments.Series{every(down, 10, 60)}}, 60); len(on) != 1 || !on[0].GoesOn || !on[0].End.IsZero() {
		t.Errorf("while it fires: %+v", on)
	}
}

func TestWhatBeganBeforeHasNoStart(t *testing.T) {
	found := find(t, world{storms: []moments.Series{every(map[string]string{"project": "shop"}, -5, 10)}}, 60)
	if len(found) != 1 || !found[0].Start.IsZero() || !found[0].End.Equal(noon().Add(10*time.Minute)) {
		t.Errorf("%+v", found)
	}
	if gone := find(t, world{storms: []moments.Series{every(map[string]string{"project": "shop"}, -5, -1)}}, 60); len(gone) != 0 {
		t.Errorf("over before: %+v", gone)
	}
}

func TestAnAlertThatGoesOnWhileTheCollectorIsAwayIsOneMoment(t *testing.T) {
	down := map[string]string{"alertname": "WorkloadDown"}
	away := world{alerts: []moments.Series{every(down, 10, 20, 40, 60)}, watchdog: []moments.Series{every(nil, 0, 20, 40, 60)}}
	if found := find(t, away, 60); len(found) != 1 || !found[0].GoesOn {
		t.Errorf("%+v", found)
	}
	away.watchdog = []moments.Series{every(nil, 0, 60)}
	if found := find(t, away, 60); len(found) != 2 {
		t.Errorf("when rules were evaluated meanwhile: %+v", found)
	}
}

func TestKeysTellMomentsApart(t *testing.T) {
	release := func(image string) releases.Release {
		return releases.Release{Project: "shop", Workload: "web", Container: "app", OldImage: "web:1", NewImage: image, At: noon().Add(time.Minute)}
	}
	found := find(t, world{released: []releases.Release{release("web:2"), release("web:3")}}, 60)
	if len(found) != 2 || found[0].Key() == found[1].Key() || !strings.Contains(found[0].Text, "web:1 → web:2") {
		t.Errorf("%+v", found)
	}
	same := find(t, world{released: []releases.Release{release("web:2")}}, 60)
	if same[0].Key() != found[0].Key() {
		t.Error("the same release has two keys")
	}
}

func TestAFailedQueryIsAnError(t *testing.T) {
	_, err := world{err: errors.New("timeout")}.sources().Find(t.Context(), noon(), noon().Add(time.Hour))
	if err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("%v", err)
	}
}
