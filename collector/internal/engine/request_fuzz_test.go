package engine

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzRequest: paths and parameters of the query API. What the engine may serve is below its own paths, and an instant query has a time.
func FuzzRequest(f *testing.F) {
	f.Add("/api/v1/query", "query=up")
	f.Add("/prometheus/api/v1/query", "query=up&time=")
	f.Add("/vmui//x", "%zz")
	f.Add("/api/v1/../../internal/force_flush", "")
	now := time.Unix(1_700_000_000, 5e6)
	f.Fuzz(func(t *testing.T, path, query string) {
		if serves(path) && (strings.Contains(path, "internal") || strings.Contains(path, "delete")) {
			t.Errorf("%q is served", path)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: path, RawQuery: query}
		askForNow(r, now)
		if !strings.HasSuffix(path, "/api/v1/query") {
			return
		}
		if at := r.FormValue("time"); at == "" {
			t.Errorf("%q has no time", query)
		} else if _, given := url.ParseQuery(query); given == nil && r.URL.Query().Get("time") == "" {
			if _, err := strconv.ParseFloat(at, 64); err != nil {
				t.Errorf("%q got the time %q", query, at)
			}
		}
	})
}
