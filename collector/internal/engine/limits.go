package engine

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// queryLimits are the flags that bound a query, as the metric of refusals names them.
func queryLimits() []string {
	return []string{"query-duration", "query-concurrency", "query-scan", "query-series", "query-samples", "query-points", "query-memory", "query-length", "engine-memory"}
}

// limitNames turns the library's settings in its errors into the settings an operator of the collector has.
func limitNames() *strings.Replacer {
	return strings.NewReplacer(
		"-search.max* command-line flag values (the most likely limit is -search.maxUniqueTimeseries); see https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/#resource-usage-limits", "--limit.query-series",
		"-search.maxSamplesPerQuery", "--limit.query-samples",
		"-search.maxPointsPerTimeseries", "--limit.query-points",
		"-search.maxQueryLen", "--limit.query-length",
		"-search.maxResponseSeries", "--limit.query-series",
		"-search.maxSeries", "--limit.query-series",
		"-search.maxQueryDuration", "--limit.query-duration",
		"-search.maxLabelsAPIDuration", "--limit.query-duration",
		"-search.maxConcurrentRequests", "--limit.query-concurrency",
		"-search.maxMemoryPerQuery", "--limit.query-memory",
		"-memory.allowedBytes", "--limit.engine-memory",
		"-memory.allowedPercent", "--limit.engine-memory",
	)
}

// refusals counts queries that met a limit.
type refusals map[string]*atomic.Uint64

func newRefusals() refusals {
	r := refusals{}
	for _, limit := range queryLimits() {
		r[limit] = new(atomic.Uint64)
	}
	return r
}

// inOwnWords is an error of the library as an operator of the collector understands it. The limit it names is counted.
func (e *Engine) inOwnWords(text string) string {
	text = limitNames().Replace(text)
	first, at := "", len(text)
	for limit := range e.refused {
		// A name may begin with another.
		if i := strings.Index(text, "--limit."+limit); i >= 0 && (i < at || i == at && len(limit) > len(first)) {
			first, at = limit, i
		}
	}
	if first != "" {
		e.refused[first].Add(1)
	}
	return text
}

// ownWords replaces in the body of an error answer.
type ownWords struct {
	http.ResponseWriter
	engine  *Engine
	isError bool
}

// WriteHeader implements http.ResponseWriter.
func (w *ownWords) WriteHeader(code int) {
	w.isError = code >= http.StatusBadRequest
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter. The library writes an error at once.
func (w *ownWords) Write(b []byte) (int, error) {
	if !w.isError {
		return w.ResponseWriter.Write(b)
	}
	if _, err := w.ResponseWriter.Write([]byte(w.engine.inOwnWords(string(b)))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Unwrap lets http.ResponseController reach the connection.
func (w *ownWords) Unwrap() http.ResponseWriter { return w.ResponseWriter }
