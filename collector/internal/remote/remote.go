// Package remote is an engine elsewhere: samples go to it by remote write, and answers come from its Prometheus query API.
//
// It has the methods of package engine, so that what stands above can not tell which of the two it talks to. A VictoriaMetrics, single
// or cluster, answers everything; another engine answers the queries that are plain PromQL. A reader's view is held to by
// rewriting each selector of a query before it is sent, which needs nothing of the other side.
package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// Config of the engine elsewhere. Both URLs are needed.
type Config struct {
	// WriteURL takes remote write 1.0, such as http://vm:8428/api/v1/write.
	WriteURL string
	// QueryURL is what /api/v1/query follows, such as http://vm:8428 or http://vmselect:8481/select/0/prometheus.
	QueryURL string
	// TokenFile holds a bearer token for both, read for each request. Empty: none.
	TokenFile string
	// QueryDuration is the longest a query may run, QueryConcurrency how many run at once. 0 means 30 s and 16.
	QueryDuration    time.Duration
	QueryConcurrency int
	// QueryLengthBytes is the longest expression. 0 means 16 KiB.
	QueryLengthBytes int64
}

// Check says what Open would say of the configuration.
func (c Config) Check() error {
	for name, value := range map[string]string{"engine.write-url": c.WriteURL, "engine.query-url": c.QueryURL} {
		if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%w: --%s=%q is not an absolute http or https URL; --engine.write-url and --engine.query-url go together", engine.ErrConfig, name, value)
		}
	}
	if c.TokenFile == "" {
		return nil
	}
	if _, err := os.ReadFile(c.TokenFile); err != nil {
		return fmt.Errorf("%w: --engine.token-file: %w", engine.ErrConfig, err)
	}
	return nil
}

// Engine is the connection. All methods may be called from any goroutine.
type Engine struct {
	cfg    Config
	client *http.Client
	slots  *turns.Turns // of requests that are answered; one caller, or the program itself, has half of them at most
	asked  *prometheus.CounterVec
}

// writeTimeout is for one batch; a failed one comes again from who sent it.
const writeTimeout = 30 * time.Second

// Open checks cfg; whether the engine is there shows with the first request.
func Open(cfg Config) (*Engine, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.QueryDuration == 0 {
		cfg.QueryDuration = 30 * time.Second
	}
	if cfg.QueryConcurrency == 0 {
		cfg.QueryConcurrency = 16
	}
	if cfg.QueryLengthBytes == 0 {
		cfg.QueryLengthBytes = 16 << 10
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &Engine{
		cfg: cfg, client: &http.Client{Transport: transport}, slots: turns.New(cfg.QueryConcurrency, (cfg.QueryConcurrency+1)/2),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_collector_engine_requests_total", Help: "Requests to the engine elsewhere by kind (write, query) and the answer's code; none for no answer."}, []string{"kind", "code"}),
	}, nil
}

// Collector offers how the other side answers.
func (e *Engine) Collector() prometheus.Collector { return e.asked }

// WriteMetrics writes nothing: the other side tells its own.
func (e *Engine) WriteMetrics(io.Writer) {}

// IgnoredSamples is empty: the other side says what it does not keep.
func (e *Engine) IgnoredSamples() map[string]float64 { return nil }

// Flush does nothing: when a sample shows is up to the other side.
func (e *Engine) Flush() {}

// Mark is true from the start: what Append was answered for is the other side's to keep.
func (e *Engine) Mark() func() bool { return func() bool { return true } }

// Close gives the connections back.
func (e *Engine) Close() error {
	e.client.CloseIdleConnections()
	return nil
}

// Append sends the samples. engine.ErrReadOnly is worth a later try of the same samples, engine.ErrLabels is not.
func (e *Engine) Append(tss []prompb.TimeSeries) error {
	if len(tss) == 0 {
		return nil
	}
	return e.write(&prompb.WriteRequest{Timeseries: tss})
}

// AppendMetadata sends type, unit and help of metrics.
func (e *Engine) AppendMetadata(metadata []prompb.MetricMetadata) error {
	if len(metadata) == 0 {
		return nil
	}
	return e.write(&prompb.WriteRequest{Metadata: metadata})
}

func (e *Engine) write(wr *prompb.WriteRequest) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	body := snappy.Encode(nil, wr.MarshalProtobuf(nil))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.cfg.WriteURL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("write to the engine: %w", err)
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	resp, err := e.do("write", req)
	if err != nil {
		return fmt.Errorf("%w: %w", engine.ErrReadOnly, err)
	}
	defer resp.Body.Close()
	reason, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusTooManyRequests || code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound || code >= 500:
		return fmt.Errorf("%w: %s answers %s: %s", engine.ErrReadOnly, req.URL.Redacted(), resp.Status, bytes.TrimSpace(reason))
	default:
		return fmt.Errorf("%w: %s answers %s: %s", engine.ErrLabels, req.URL.Redacted(), resp.Status, bytes.TrimSpace(reason))
	}
}

// ReadOnly implements the engine's: what the other side refuses it says for each batch.
func (e *Engine) ReadOnly() bool { return false }

// do sends a request with the token and counts the answer.
func (e *Engine) do(kind string, req *http.Request) (*http.Response, error) {
	if e.cfg.TokenFile != "" {
		token, err := os.ReadFile(e.cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("--engine.token-file: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := e.client.Do(req)
	if err != nil {
		e.asked.WithLabelValues(kind, "none").Inc()
		var wrong *url.Error
		if errors.As(err, &wrong) { // its text has the URL with the password in it
			err = fmt.Errorf("%s %s: %w", wrong.Op, req.URL.Redacted(), wrong.Err)
		}
		return nil, err
	}
	e.asked.WithLabelValues(kind, strconv.Itoa(resp.StatusCode)).Inc()
	return resp, nil
}
