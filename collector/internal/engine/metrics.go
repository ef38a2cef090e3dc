package engine

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"
)

// WriteMetrics writes the library's own metrics (vm_*) as Prometheus text, without those of the process.
func (e *Engine) WriteMetrics(w io.Writer) {
	if e.enter() != nil {
		return
	}
	defer e.leave()
	metrics.WritePrometheus(w, false)
}

// IgnoredSamples is how many samples the storage was given and did not keep since the start, by the storage's reason. It
// acknowledges them all the same, so this count is the only trace.
func (e *Engine) IgnoredSamples() map[string]float64 {
	var text bytes.Buffer
	e.WriteMetrics(&text)
	return ignoredSamples(&text)
}

// ignoredSamples finds vm_rows_ignored_total in the library's metrics, the only way it tells.
func ignoredSamples(text io.Reader) map[string]float64 {
	out := map[string]float64{}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), `vm_rows_ignored_total{reason="`)
		reason, value, found := strings.Cut(rest, `"} `)
		if !ok || !found {
			continue
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			out[reason] = n
		}
	}
	return out
}
