package engine

import (
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/httputil"
)

// scansIn are the selectors of a request, read as the library reads them. What makes no sense has none, as the library says what is wrong.
// Names and values of labels that are asked for without a selector are large, and yet read no series.
func scansIn(r *http.Request, now time.Time) (scans []scan, large bool) {
	path := strings.TrimPrefix(r.URL.Path, "/prometheus")
	enforced, err := searchutil.GetExtraTagFilters(r)
	if err != nil || path == "/api/v1/metadata" || path == "/api/v1/status/buildinfo" {
		return nil, false
	}
	at := func(name string, otherwise int64) int64 {
		millis, wrong := httputil.GetTime(r, name, otherwise)
		if wrong != nil {
			err = wrong
		}
		return millis
	}
	const lookback = int64(instantStep / time.Millisecond)
	step, wrong := httputil.GetDuration(r, "step", lookback)
	if wrong != nil || step <= 0 {
		step = lookback
	}
	end := at("end", now.UnixMilli())
	switch path {
	case "/api/v1/query":
		time := at("time", now.UnixMilli())
		scans = scansOf(r.FormValue("query"), time, time, step, enforced)
	case "/api/v1/query_range":
		scans = scansOf(r.FormValue("query"), min(at("start", end-lookback), end), end, step, enforced)
	default:
		start := at("start", 0)
		values := int64(1)
		if path == "/api/v1/export" {
			values = manyValues // it may last, whatever it selects
		} else if start == 0 {
			start = end - lookback
		}
		for _, match := range append(r.Form["match[]"], r.Form["match"]...) {
			for _, s := range scansOf(match, min(start, end), end, math.MaxInt64, enforced) {
				s.values = values
				scans = append(scans, s)
			}
		}
		large = len(scans) == 0
	}
	if err != nil {
		return nil, false
	}
	return scans, large
}
