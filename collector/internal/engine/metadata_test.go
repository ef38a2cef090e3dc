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
	mustAppend(t, sample("t_meant_theirs", now, 1, "project", "bank"))
	said := func(name, help string) prompb.MetricMetadata {
		return prompb.MetricMetadata{MetricFamilyName: name, Help: help, Unit: "bytes", Type: prompb.MetricTypeGauge}
	}
	shared.cfg.Described = []prompb.MetricMetadata{said("t_meant_described", "the collector says"), said("t_meant_theirs", "the collector says")}
	if err := shared.AppendMetadata([]prompb.MetricMetadata{said("t_meant_shared", "somebody says"), said("t_meant_described", "somebody says")}); err != nil {
		t.Fatal(err)
	}
	names, err := view.NewNames([]string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(query string, v *view.View) string {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/metadata"+query, nil)
		shared.ServeHTTP(w, r.WithContext(view.With(r.Context(), v)))
		return strings.TrimSpace(w.Body.String())
	}
	const described = `{"data":{"t_meant_described":[{"type":"gauge","help":"the collector says","unit":"bytes"}]},"status":"success"}`
	for query, want := range map[string]string{
		"": described, "?limit=1": described, "?metric=t_meant_described": described, "?metric=t_meant_shared": `{"data":{},"status":"success"}`, "?metric=t_meant_theirs": `{"data":{},"status":"success"}`,
	} {
		if got := ask(query, view.New(names)); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	if got := ask("", nil); !strings.Contains(got, "somebody says") {
		t.Errorf("who sees everything is told %s", got)
	}
}
