package exits

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// FuzzParameters: a taken request asks for a bounded number of exits of the past.
func FuzzParameters(f *testing.F) {
	f.Add("since=1h&limit=100&project=shop")
	f.Add("since=2026-01-02T03:04:05Z&kind=short")
	f.Add("since=36500d")
	f.Add("since=-1&limit=1e9&%zz")
	now := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query string) {
		a, err := parse(&http.Request{URL: &url.URL{RawQuery: query}}, now)
		if err == nil && (a.limit < 1 || a.limit > mostLimit || !a.from.Before(now)) {
			t.Errorf("%q asks for %d since %s", query, a.limit, a.from)
		}
	})
}
