package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmstorage"
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
	return parsed(v.Selectors())
}

// parsed are the filters of selectors.
func parsed(selectors []string) (filters [][]storage.TagFilter, err error) {
	for _, selector := range selectors {
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
// metrics without a series in the view is left out. What a metric that others have as well means they may have said: of that only
// type and unit are told, unless the collector describes the metric itself.
func (e *Engine) metadata(w http.ResponseWriter, r *http.Request, v *view.View, now time.Time) {
	turn, err := e.begin(r.Context(), nil, false)
	if err != nil {
		tooManyQueries(w, err)
		return
	}
	defer turn.end()
	library := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { vmselect.RequestHandler(w, r) })
	limit := r.Form.Get("limit")
	r.Form.Del("limit")
	all := inprocess.Ask(library, r)
	mine, err := filtersOf(r.Context())
	theirs, errTheirs := parsed(v.Others())
	var told struct {
		Status string                         `json:"status"`
		Data   map[string][]map[string]string `json:"data"`
	}
	if err := errors.Join(err, errTheirs, all.Decode(&told)); err != nil || all.Code != http.StatusOK {
		http.Error(w, "the meaning of metrics can not be told", http.StatusServiceUnavailable)
		return
	}
	most, err := strconv.Atoi(limit)
	if err != nil || most < 1 {
		most = len(told.Data)
	}
	for _, name := range slices.Sorted(maps.Keys(told.Data)) {
		if most == 0 || !some(name, mine, now, false) {
			delete(told.Data, name)
			continue
		}
		most--
		if !e.cfg.Described[name] && some(name, theirs, now, true) {
			for _, meaning := range told.Data[name] {
				meaning["help"] = ""
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(told) // a client that left is nobody to tell
}

// some tells whether a metric, be it a histogram or a counter of that name, has series of the last day that one of the filters matches.
// It is otherwise where that can not be told.
func some(name string, filters [][]storage.TagFilter, now time.Time, otherwise bool) bool {
	of := [][]storage.TagFilter{{{Value: []byte(regexp.QuoteMeta(name) + "(_bucket|_sum|_count|_total)?"), IsRegexp: true}}}
	search, n, err := vmstorage.GetSearch(nil, storage.NewSearchQuery(now.Add(-day).UnixMilli(), now.UnixMilli(), searchutil.JoinTagFilterss(of, filters), 1), uint64(now.Add(time.Minute).Unix()))
	if err != nil {
		return otherwise
	}
	err = search.Error()
	vmstorage.PutSearch(search)
	if err != nil {
		return tooMany(err) || otherwise
	}
	return n > 0
}
