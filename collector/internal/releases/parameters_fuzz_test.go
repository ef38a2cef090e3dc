package releases

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// FuzzParameters: a taken request asks for a bounded number of releases of a bounded time.
func FuzzParameters(f *testing.F) {
	f.Add("since=1h&limit=100&project=shop")
	f.Add("since=31d&limit=1")
	f.Add("since=1y&since=2y")
	f.Fuzz(func(t *testing.T, query string) {
		since, limit, _, err := parse(&http.Request{URL: &url.URL{RawQuery: query}})
		if err == nil && (limit < 1 || limit > mostLimit || since < time.Minute || since > longest) {
			t.Errorf("%q asks for %d of %s", query, limit, since)
		}
	})
}
