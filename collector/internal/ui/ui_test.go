package ui

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func pages(t *testing.T) http.Handler {
	t.Helper()
	h, err := New(Config{Dashboards: os.DirFS("testdata/dashboards"), Runbooks: os.DirFS("testdata/runbooks"), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// assetsOf is where a page says its assets are.
func assetsOf(t *testing.T, h http.Handler) string {
	t.Helper()
	found := regexp.MustCompile(`src="\./(ui/assets/[0-9a-f]{16}/)app\.js"`).FindStringSubmatch(get(t, h, "/alerts").Body.String())
	if found == nil {
		t.Fatal("the page names no app.js")
	}
	return "/" + found[1]
}

func TestEveryPathAnswersWithItsStatusAndType(t *testing.T) {
	h := pages(t)
	assets := assetsOf(t, h)
	for _, c := range []struct {
		path   string
		status int
		kind   string
		holds  string
	}{
		{"/", 200, "text/html", `data-page="dashboard" data-uid="cont-fleet" data-version="1.2.3"`},
		{"/d/cont-container", 200, "text/html", `data-uid="cont-container"`},
		{"/d/cont-container/any-slug?var-x=1", 200, "text/html", `data-uid="cont-container"`},
		{"/d/none", 404, "text/html", `No dashboard has the uid &#34;none&#34;. There are: cont-container, cont-fleet, trouble.`},
		{"/alerts", 200, "text/html", `data-page="alerts"`},
		{"/nodes", 200, "text/html", `data-page="nodes"`},
		{"/runbooks/", 200, "text/html", `<a href="ContainerOOMKilled">`},
		{"/runbooks/ContainerOOMKilled", 200, "text/html", `<strong>main process</strong>`},
		{"/runbooks/ContainerOOMKilled.md", 200, "text/html", `<strong>main process</strong>`},
		{"/runbooks/none", 404, "text/html", `There is no runbook &#34;none&#34;.`},
		{"/runbooks/..%2f..%2fgo.mod", 404, "text/html", `There is no runbook`},
		{"/ui/dashboards.json", 200, "application/json", `"uid":"cont-fleet"`},
		{"/ui/dashboards/cont-fleet.json", 200, "application/json", `"schemaVersion": 42`},
		{"/ui/dashboards/none.json", 404, "text/plain", `no dashboard has the uid "none"`},
		{assets + "app.js", 200, "text/javascript", `import`},
		{assets + "theme.css", 200, "text/css", `:root`},
		{assets + "mark.svg", 200, "image/svg+xml", `<svg`},
		{assets + "none.js", 404, "text/plain", `no such asset`},
		{"/ui/assets/0123456789abcdef/app.js", 404, "text/plain", `no such asset`},
		{"/ui/assets/../shell.html", 307, "", ""},
		{"/<script>alert(1)</script>", 404, "text/html", `There is nothing at /&lt;script&gt;alert(1)&lt;/script&gt;.`},
	} {
		w := get(t, h, c.path)
		if w.Code != c.status || !strings.HasPrefix(w.Header().Get("Content-Type"), c.kind) || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("GET %s: %d %s, want %d %s with %q in\n%.600s", c.path, w.Code, w.Header().Get("Content-Type"), c.status, c.kind, c.holds, w.Body)
		}
		for header, want := range map[string]string{"Content-Security-Policy": csp, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("GET %s: %s is %q", c.path, header, got)
			}
		}
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	h := pages(t)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/alerts", nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s /alerts: %d, want 405", method, w.Code)
		}
	}
}

func TestAnUnchangedFileIsNotSentTwice(t *testing.T) {
	h := pages(t)
	if kept := get(t, h, assetsOf(t, h)+"app.js").Header().Get("Cache-Control"); !strings.Contains(kept, "immutable") {
		t.Errorf("an asset of this version is kept as %q", kept)
	}
	const path = "/ui/dashboards/cont-fleet.json"
	tag := get(t, h, path).Header().Get("ETag")
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("If-None-Match", tag)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if tag == "" || w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("%s with entity tag %s: %d, %d bytes, want 304 and none", path, tag, w.Code, w.Body.Len())
	}
}

func TestPagesNameNoForeignHostAndHoldNoInlineScript(t *testing.T) {
	h := pages(t)
	address := regexp.MustCompile(`(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|\son[a-z]+=|<style|\sstyle=`)
	for _, path := range []string{"/", "/alerts", "/nodes", "/runbooks/", "/d/none"} {
		body := get(t, h, path).Body.String()
		if found := address.FindString(body); found != "" {
			t.Errorf("%s names %s", path, found)
		}
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s holds %q, which the content security policy forbids", path, found)
		}
	}
	err := fs.WalkDir(embedded, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.Contains(name, "vendor/") {
			return err
		}
		body, err := fs.ReadFile(embedded, name)
		text := strings.ReplaceAll(string(body), "http://www.w3.org/2000/svg", "")
		if found := address.FindString(text); found != "" && !strings.HasPrefix(found, "// ") {
			t.Errorf("%s names %s", name, found)
		}
		for _, forbidden := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
			if strings.Contains(text, forbidden) {
				t.Errorf("%s uses %s: text enters a page as text nodes only", name, forbidden)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBadConfigurationIsNamed(t *testing.T) {
	good := []byte(`{"uid":"a","title":"A"}`)
	for want, cfg := range map[string]Config{
		"Config.Dashboards is nil":                          {},
		"no dashboard: the file system holds no *.json":     {Dashboards: fstest.MapFS{}},
		"dashboard x.json: unexpected end of JSON input":    {Dashboards: fstest.MapFS{"x.json": {Data: []byte(`{`)}}},
		"dashboard x.json: uid and title must not be empty": {Dashboards: fstest.MapFS{"x.json": {Data: []byte(`{"uid":"a"}`)}}},
		`dashboard y.json: uid "a" is taken by x.json`:      {Dashboards: fstest.MapFS{"x.json": {Data: good}, "y.json": {Data: good}}},
		`home dashboard "b": no dashboard has this uid`:     {Dashboards: fstest.MapFS{"x.json": {Data: good}}, Home: "b"},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestHomeIsTheFirstDashboardWhereThereIsNoFleet(t *testing.T) {
	h, err := New(Config{Dashboards: fstest.MapFS{"x.json": {Data: []byte(`{"uid":"b","title":"B"}`)}, "y.json": {Data: []byte(`{"uid":"a","title":"A"}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if body := get(t, h, "/").Body.String(); !strings.Contains(body, `data-uid="a"`) {
		t.Errorf("home is %.200s", body)
	}
	if w := get(t, h, "/runbooks/"); w.Code != 404 || !strings.Contains(w.Body.String(), "without runbooks") {
		t.Errorf("runbooks without a file system: %d", w.Code)
	}
}
