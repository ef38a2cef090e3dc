package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/access"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// says answers with name and the path it saw.
func says(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) })
}

func routes() Routes {
	return Routes{
		Write: says("write"), Engine: says("engine"), Nodes: says("nodes"), Releases: says("releases"), Noise: says("noise"), Rules: says("rules"), Alertmanager: says("alertmanager"), UI: says("ui"), ProjectMap: says("project map"),
		Metrics: says("metrics"), Ready: func() error { return nil }, Writable: func() error { return nil }, Reload: func(*http.Request) error { return nil },
	}
}

func newAccess(t *testing.T, cfg access.Config) *access.Access {
	t.Helper()
	a, err := access.New(cfg, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func do(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryPathHasOneAnswerer(t *testing.T) {
	h := routes().handler(newAccess(t, access.Config{Listen: "127.0.0.1:0"}))
	for target, want := range map[string]string{
		"/api/v1/write": "write", "/api/v1/query": "engine", "/api/v1/query_range": "engine", "/api/v1/series": "engine", "/api/v1/labels": "engine",
		"/api/v1/label/project/values": "engine", "/api/v1/metadata": "engine", "/api/v1/export": "engine", "/api/v1/status/buildinfo": "engine",
		"/prometheus/api/v1/query": "engine", "/vmui": "engine", "/vmui/": "engine", "/vmui/assets/x.js": "engine",
		"/api/v1/rules": "rules", "/api/v1/alerts": "rules", "/api/v2/silences": "alertmanager", "/api/nodes": "nodes", "/api/releases": "releases", "/api/alerts/noise": "noise", "/api/project-map": "project map", "/metrics": "metrics",
		"/": "ui", "/d/fleet": "ui", "/ui/assets/a.js": "ui", "/-/healthy": "healthy\n", "/-/ready": "ready\n",
	} {
		if w := do(h, "GET", target); w.Code != 200 || w.Body.String() != want || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %q, want %q", target, w.Code, w.Body, want)
		}
	}
	for _, target := range []string{"/api/v1/admin/tsdb/delete_series", "/api/v1/import", "/api/v1/status/tsdb", "/api/nothing", "/api/"} {
		w := do(h, "POST", target)
		var body map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &body); w.Code != 404 || err != nil || body["status"] != "error" || !strings.Contains(body["error"], target) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	for _, target := range []string{"/internal/force_flush", "/snapshot/create", "/tags/delSeries", "/prometheus/api/v1/admin/tsdb/delete_series"} {
		if w := do(h, "POST", target); w.Body.String() != "ui" { // which knows no such page
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestEveryPathNeedsItsScope(t *testing.T) {
	file, text := filepath.Join(t.TempDir(), "tokens.yaml"), "tokens:\n"
	for _, scope := range []string{"write", "read", "admin"} {
		text += fmt.Sprintf("- {name: %s, sha256: %x, scopes: [%s]}\n", scope, sha256.Sum256([]byte(scope)), scope)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := routes().handler(newAccess(t, access.Config{Listen: ":0", TokensFile: file}))
	for request, want := range map[string]string{ // codes without a token, and with write, read, admin
		"POST /api/v1/write": "401 200 403 200", "GET /api/v1/query": "401 403 200 200", "GET /vmui/": "401 403 200 200",
		"GET /api/v1/export": "401 403 200 200", "GET /api/v1/rules": "401 403 200 200", "GET /api/nodes": "401 403 200 200", "GET /api/releases": "401 403 200 200", "GET /api/project-map": "401 200 200 200", "GET /metrics": "401 403 200 200",
		"GET /api/v2/silences": "401 403 200 200", "POST /api/v2/silences": "401 403 403 400", "DELETE /api/v2/silence/x": "401 403 403 200", "POST /api/v2/alerts": "401 403 403 200",
		"POST /-/reload": "401 403 403 200", "GET /debug/pprof/cmdline": "401 403 403 200",
		"GET /-/healthy": "200 200 200 200", "GET /-/ready": "200 200 200 200", "GET /": "200 200 200 200",
	} {
		method, target, _ := strings.Cut(request, " ")
		var got []string
		for _, secret := range []string{"", "write", "read", "admin"} {
			got = append(got, fmt.Sprint(do(h, method, target, "Authorization", "Bearer "+secret).Code))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", request, got, want)
		}
	}
}

func TestReadyAndReloadSayWhatIsWrong(t *testing.T) {
	rt := routes()
	rt.Ready = func() error { return errors.New("rules are loading") }
	rt.Reload = func(*http.Request) error { return errors.New("rules.yaml:3: no expr") }
	h := rt.handler(newAccess(t, access.Config{Listen: "127.0.0.1:0"}))
	if w := do(h, "GET", "/-/ready"); w.Code != 503 || !strings.Contains(w.Body.String(), "rules are loading") {
		t.Errorf("ready: %d %s", w.Code, w.Body)
	}
	if w := do(h, "GET", "/-/ready?for=writes"); w.Code != 503 || !strings.Contains(w.Body.String(), "rules are loading") {
		t.Errorf("ready for writes: %d %s", w.Code, w.Body)
	}
	if w := do(h, "POST", "/-/reload"); w.Code != 500 || !strings.Contains(w.Body.String(), "rules.yaml:3") {
		t.Errorf("reload: %d %s", w.Code, w.Body)
	}
	if w := do(h, "GET", "/-/reload"); w.Code != 405 {
		t.Errorf("GET reload: %d", w.Code)
	}
}

func TestAPageOfAnotherSiteCanNotPost(t *testing.T) {
	h := routes().handler(newAccess(t, access.Config{Listen: "127.0.0.1:0"}))
	if w := do(h, "POST", "/-/reload", "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("got %d", w.Code)
	}
	if w := do(h, "POST", "/api/v1/query", "Sec-Fetch-Site", "same-origin"); w.Code != 200 {
		t.Errorf("our own page: %d", w.Code)
	}
}

func TestWithoutAPageTheEnginesIsShown(t *testing.T) {
	rt := routes()
	rt.UI, rt.Rules = nil, nil
	h := rt.handler(newAccess(t, access.Config{Listen: "127.0.0.1:0"}))
	if w := do(h, "GET", "/"); w.Code != 302 || w.Header().Get("Location") != "/vmui/" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if w := do(h, "GET", "/api/v1/rules"); w.Code != 404 {
		t.Errorf("rules: %d", w.Code)
	}
}

func TestMetricsAreTheRegistrysAndTheEngines(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "own_total", Help: "Own."})
	reg.MustRegister(c)
	w := do(Metrics(reg, func(w io.Writer) { io.WriteString(w, "vm_rows 7\n") }, quiet()), "GET", "/metrics", "Accept", "application/openmetrics-text", "Accept-Encoding", "gzip")
	if want := "# HELP own_total Own.\n# TYPE own_total counter\nown_total 0\nvm_rows 7\n"; w.Body.String() != want {
		t.Errorf("got %q", w.Body)
	}
}

func TestARunningRequestEndsBeforeTheServer(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	rt := routes()
	rt.Engine = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "done")
	})
	open := newAccess(t, access.Config{Listen: "127.0.0.1:0"})
	listener, err := Listen("127.0.0.1:0", open, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s, at := New(listener, rt, open, quiet()), listener.URL("")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get(at + "/api/v1/query")
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()
	<-entered
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("the server ended before the request: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if got := <-body; got != "done" {
		t.Errorf("the request got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(at + "/-/healthy"); err == nil {
		t.Error("the port is still open")
	}
}

func TestATakenPortIsAnErrorThatNamesTheFlag(t *testing.T) {
	open := newAccess(t, access.Config{Listen: "127.0.0.1:0"})
	first, err := Listen("127.0.0.1:0", open, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	address := first.Addr().String()
	if _, err := Listen(address, open, prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "--listen="+address) {
		t.Errorf("got %v", err)
	}
}

func TestAListenerOnAllAddressesIsCalledByTheGivenName(t *testing.T) {
	l, err := Listen(":0", newAccess(t, access.Config{Listen: ":0", Anonymous: true}), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.URL("host-1"); !strings.HasPrefix(got, "http://host-1:") || strings.HasSuffix(got, ":0") {
		t.Errorf("got %s", got)
	}
}

func TestRefusedWritesLeaveReadersTheirCollector(t *testing.T) {
	rt := routes()
	rt.Writable = func() error { return errors.New("the journal can not be written") }
	h := rt.handler(newAccess(t, access.Config{Listen: "127.0.0.1:0"}))
	if w := do(h, "GET", "/-/ready"); w.Code != 200 || w.Body.String() != "ready\ndegraded: writes are answered 503: the journal can not be written\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := do(h, "GET", "/-/ready?for=writes"); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "not ready for writes: the journal") {
		t.Errorf("for writes: %d %s", w.Code, w.Body)
	}
	rt.Writable = func() error { return nil }
	if w := do(rt.handler(newAccess(t, access.Config{Listen: "127.0.0.1:0"})), "GET", "/-/ready?for=writes"); w.Code != 200 || w.Body.String() != "ready\n" {
		t.Errorf("for writes, all being well: %d %s", w.Code, w.Body)
	}
}
