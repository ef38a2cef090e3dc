package engine

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
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
	f.Fuzz(func(t *testing.T, asked, query string) {
		// What the path comes to must be of the page or a question.
		if to := strings.TrimPrefix(path.Clean("/"+asked), "/prometheus"); serves(asked) && !strings.HasPrefix(to, "/vmui") && !strings.HasPrefix(to, "/api/v1/") || strings.HasPrefix(to, "/api/v1/admin") && serves(asked) {
			t.Errorf("%q is served, which comes to %q", asked, to)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: asked, RawQuery: query}
		askForNow(r, now)
		if !strings.HasSuffix(asked, "/api/v1/query") {
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
