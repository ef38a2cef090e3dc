package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/storage"

	"github.com/plimsoll/plimsoll/collector/internal/inprocess"
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

// metadata answers /api/v1/metadata for a bound reader: the library keeps it by metric and knows no series of it, so that of
// metrics without a series in the view is left out.
func (e *Engine) metadata(w http.ResponseWriter, r *http.Request, now time.Time) {
	library := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { vmselect.RequestHandler(w, r) })
	of := r.Clone(r.Context())
	of.URL = &url.URL{Path: "/api/v1/label/__name__/values", RawQuery: url.Values{
		"extra_filters[]": r.Form["extra_filters[]"], "start": {strconv.FormatInt(now.Add(-day).Unix(), 10)},
	}.Encode()}
	of.Form = nil
	names := inprocess.Ask(library, of)
	limit := r.Form.Get("limit")
	r.Form.Del("limit")
	all := inprocess.Ask(library, r)
	var seen struct{ Data []string }
	var told struct {
		Status string                     `json:"status"`
		Data   map[string]json.RawMessage `json:"data"`
	}
	if json.Unmarshal(names.Body.Bytes(), &seen) != nil || json.Unmarshal(all.Body.Bytes(), &told) != nil {
		http.Error(w, "the meaning of metrics can not be told", http.StatusServiceUnavailable)
		return
	}
	has := map[string]bool{}
	for _, name := range seen.Data {
		has[name] = true
	}
	most, err := strconv.Atoi(limit)
	if err != nil || most < 1 {
		most = len(told.Data)
	}
	for _, name := range slices.Sorted(maps.Keys(told.Data)) {
		visible := has[name] || has[name+"_bucket"] || has[name+"_sum"] || has[name+"_count"] || has[name+"_total"]
		if !visible || most == 0 {
			delete(told.Data, name)
			continue
		}
		most--
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(told) // a client that left is nobody to tell
}
