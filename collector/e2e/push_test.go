package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// pushed is one sample of a synthetic series; labels are name, value, name, value…
type pushed struct {
	name   string
	labels []string
	value  float64
}

// push sends samples of now by remote write.
func push(ctx context.Context, collectorURL string, samples []pushed) error {
	return pushOf(ctx, collectorURL, time.Now(), samples)
}

// pushOf sends samples of another time.
func pushOf(ctx context.Context, collectorURL string, at time.Time, samples []pushed) error {
	var body []byte
	for _, s := range samples {
		labels := []wire.Label{{Name: "__name__", Value: s.name}}
		for i := 0; i+1 < len(s.labels); i += 2 {
			labels = append(labels, wire.Label{Name: s.labels[i], Value: s.labels[i+1]})
		}
		slices.SortFunc(labels, func(a, b wire.Label) int { return strings.Compare(a.Name, b.Name) })
		body = wire.AppendSeries(body, wire.AppendLabels(nil, labels), s.value, at.UnixMilli())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, collectorURL+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("remote write: %s", resp.Status)
	}
	return nil
}
