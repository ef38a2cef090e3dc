package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/dashboards"
)

// sample is one series of an answer of the Prometheus query API.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  point             `json:"value"`
	Values []point           `json:"values"`
}

type point struct {
	at    time.Time
	value float64
}

func (p *point) UnmarshalJSON(b []byte) error {
	var seconds float64
	var text string
	if err := json.Unmarshal(b, &[]any{&seconds, &text}); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	p.at, p.value = time.UnixMilli(int64(seconds*1000+0.5)), v
	return err
}

// query runs an instant query now.
func query(collectorURL, expr string) ([]sample, error) {
	return queryAt(collectorURL, expr, time.Now())
}

func queryAt(collectorURL, expr string, when time.Time) ([]sample, error) {
	form := url.Values{"query": {expr}, "time": {fmt.Sprintf("%.3f", float64(when.UnixMilli())/1000)}, "nocache": {"1"}}
	body, err := get(collectorURL + "/api/v1/query?" + form.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status string
		Data   struct{ Result []sample }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "success" {
		return nil, fmt.Errorf("query %s: %v: %.300s", expr, err, body)
	}
	return answer.Data.Result, nil
}

// one runs an instant query that must give exactly one series.
func one(collectorURL, expr string) (sample, error) {
	all, err := query(collectorURL, expr)
	if err != nil {
		return sample{}, err
	}
	if len(all) != 1 {
		return sample{}, fmt.Errorf("%s: %d series, want 1: %v", expr, len(all), all)
	}
	return all[0], nil
}

func mustQuery(t *testing.T, collectorURL, expr string) []sample {
	t.Helper()
	all, err := query(collectorURL, expr)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// instant is how package dashboards asks for the values of its variables.
func instant(collectorURL string) dashboards.Instant {
	return func(_ context.Context, expr string) ([]map[string]string, error) {
		all, err := query(collectorURL, expr)
		labels := make([]map[string]string, len(all))
		for i, s := range all {
			labels[i] = s.Metric
		}
		return labels, err
	}
}
