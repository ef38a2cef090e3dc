package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/remote"
)

// store keeps all samples and answers from them: the engine inside, or one elsewhere.
type store interface {
	Append([]prompb.TimeSeries) error
	AppendMetadata([]prompb.MetricMetadata) error
	IgnoredSamples() map[string]float64
	ReadOnly() bool
	Query(ctx context.Context, expr string, at time.Time) ([]engine.Series, error)
	QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]engine.Series, error)
	http.Handler
	Flush()
	Mark() (persisted func() bool)
	Collector() prometheus.Collector
	WriteMetrics(io.Writer)
	Close() error
}

// openStore opens the one that the flags ask for.
func openStore(cfg config, log *slog.Logger) (store, error) {
	if cfg.elsewhere() {
		e, err := remote.Open(cfg.remote())
		if err != nil {
			return nil, err
		}
		return e, nil
	}
	local := cfg.engine()
	local.Described = agentMetadata()
	e, err := engine.Open(local, log)
	if err != nil {
		return nil, fmt.Errorf("--data-dir=%s: %w", cfg.dataDir, err)
	}
	return e, nil
}
