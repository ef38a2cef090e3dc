package engine

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// The library keeps what a metric means by its name, whoever said it.
func TestWhatOthersSayOfAMetricIsNotTold(t *testing.T) {
	now := time.Now()
	for _, name := range []string{"t_meant_shared", "t_meant_described"} {
		mustAppend(t, sample(name, now, 1, "project", "shop"), sample(name, now, 1, "project", "bank"))
	}
	mustAppend(t, sample("t_meant_own", now, 1, "project", "shop"), sample("t_meant_theirs", now, 1, "project", "bank"))
	shared.cfg.Described = map[string]bool{"t_meant_described": true}
	var all []prompb.MetricMetadata
	for _, name := range []string{"shared", "described", "own", "theirs"} {
		all = append(all, prompb.MetricMetadata{MetricFamilyName: "t_meant_" + name, Help: "words of " + name, Unit: "unit of " + name, Type: prompb.MetricTypeGauge})
	}
	if err := shared.AppendMetadata(all); err != nil {
		t.Fatal(err)
	}
	names, err := view.NewNames([]string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/metadata", nil)
	shared.ServeHTTP(w, r.WithContext(view.With(r.Context(), view.New(names))))
	for text, want := range map[string]bool{
		"words of own": true, "words of described": true, "words of shared": false, "unit of shared": true, "theirs": false,
	} {
		if strings.Contains(w.Body.String(), text) != want {
			t.Errorf("%s: %v in %s", text, !want, w.Body)
		}
	}
	w = httptest.NewRecorder()
	shared.ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), "words of shared") || !strings.Contains(w.Body.String(), "words of theirs") {
		t.Errorf("who sees everything is told %s", w.Body)
	}
}
