package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/storage"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// A reader who is bound to a view is held to it by the library's enforced filters: every search in the storage is for series
// that match the query's selector and one of the filters, whatever the expression does with them. What remains here is
// that the reader has no say in the filters, and that what is told without a search is told of the view only.

// filtersOf are the enforced filters of ctx's reader, none for one who sees everything.
func filtersOf(ctx context.Context) ([][]storage.TagFilter, error) {
	v := view.Of(ctx)
	if v == nil {
		return nil, nil
	}
	var filters [][]storage.TagFilter
	for _, selector := range v.Selectors() {
		parsed, err := searchutil.ParseMetricSelector(selector)
		if err != nil {
			return nil, fmt.Errorf("%w: filter %s of the reader: %w", ErrQuery, selector, err)
		}
		filters = append(filters, parsed...)
	}
	return filters, nil
}

// passed are the parameters a bound reader may give. Among those that are not here, trace tells of the index.
func passed(name string) bool {
	return slices.Contains([]string{"query", "time", "start", "end", "step", "timeout", "limit", "match[]", "match", "metric", "nocache",
		"round_digits", "max_lookback", "latency_offset", "format", "max_rows_per_line", "reduce_mem_usage"}, name)
}

// narrowed is a request of its own for what r asks, with the filters of v. It is a GET whose parameters stand in the URL only,
// each of those that have one value once: nothing is left of which two readers could make two things.
func narrowed(r *http.Request, v *view.View) (*http.Request, error) {
	if kind := r.Header.Get("Content-Type"); kind != "" && r.Method == http.MethodPost {
		if form, _, err := mime.ParseMediaType(kind); err != nil || form != "application/x-www-form-urlencoded" {
			return nil, fmt.Errorf("a token bound to projects posts parameters as application/x-www-form-urlencoded, not %.80q", kind)
		}
	}
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	parameters := url.Values{}
	for name, values := range r.Form {
		switch {
		case strings.HasPrefix(name, "extra_"):
			return nil, fmt.Errorf("parameter %s: a token bound to projects has its filters from the collector", name)
		case name == "match[]" || name == "match":
			parameters[name] = values
		case passed(name):
			parameters[name] = values[:1]
		}
	}
	parameters["extra_filters[]"] = v.Selectors()
	own := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: r.URL.Path, RawQuery: parameters.Encode()}, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: http.Header{}, Body: http.NoBody, Host: r.Host, RemoteAddr: r.RemoteAddr,
	}
	own = own.WithContext(r.Context())
	own.RequestURI = own.URL.RequestURI() // for the library's log
	return own, own.ParseForm()
}

// metadata answers /api/v1/metadata for a bound reader. The library keeps what a metric means by its name, whoever said so; hence only
// what the collector says itself is told, of metrics with series in the view.
func (e *Engine) metadata(w http.ResponseWriter, r *http.Request, now time.Time) {
	turn, err := e.begin(r.Context(), nil, false)
	if err != nil {
		tooManyQueries(w, err)
		return
	}
	defer turn.end()
	mine, err := filtersOf(r.Context())
	if err != nil {
		failed(w, http.StatusBadRequest, "bad_data", err)
		return
	}
	only := r.Form.Get("metric")
	most, err := strconv.Atoi(r.Form.Get("limit"))
	if err != nil || most < 1 {
		most = len(e.cfg.Described)
	}
	told := map[string][]meaning{}
	for _, m := range e.cfg.Described {
		if len(told) < most && (only == "" || only == m.MetricFamilyName) && some(m.MetricFamilyName, mine, now) {
			told[m.MetricFamilyName] = []meaning{{Type: typeOf(m.Type), Help: m.Help, Unit: m.Unit}}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": told}) // a client that left is nobody to tell
}

// meaning is what a metric is, as Prometheus tells it.
type meaning struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

func typeOf(t prompb.MetricType) string {
	switch t {
	case prompb.MetricTypeCounter:
		return "counter"
	case prompb.MetricTypeGauge:
		return "gauge"
	}
	return "unknown"
}

// some tells whether a metric has series of the last day that one of the filters matches.
func some(name string, filters [][]storage.TagFilter, now time.Time) bool {
	of := [][]storage.TagFilter{{{Value: []byte(name)}}}
	search, n, err := vmstorage.GetSearch(nil, storage.NewSearchQuery(now.Add(-day).UnixMilli(), now.UnixMilli(), searchutil.JoinTagFilterss(of, filters), 1), uint64(now.Add(time.Minute).Unix()))
	if err != nil {
		return false
	}
	err = search.Error()
	vmstorage.PutSearch(search)
	return n > 0 || tooMany(err)
}
