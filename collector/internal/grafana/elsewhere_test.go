package grafana

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
	"github.com/plimsoll/plimsoll/dashboards"
)

// front is what stands before a Grafana: under /monitoring, and changing its answers.
func front(t *testing.T, g *grafanatest.Server, change func(path string, body []byte) []byte) http.Handler {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(mustParse(t, g.URL))
	proxy.ModifyResponse = func(resp *http.Response) error {
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if resp.Request.Method == http.MethodGet && resp.StatusCode == http.StatusOK {
			raw = change(resp.Request.URL.Path, raw)
		}
		resp.Body = io.NopCloser(bytes.NewReader(raw))
		resp.Header.Set("Content-Length", strconv.Itoa(len(raw)))
		resp.ContentLength = int64(len(raw))
		return nil
	}
	return http.StripPrefix("/monitoring", proxy)
}

// Grafana 12 and later keep dashboards as resources: what is read is not, byte for byte, what was saved, and the
// history is an object.
func testOtherForm(t *testing.T, g *grafanatest.Server) {
	server := httptest.NewServer(front(t, g, func(path string, body []byte) []byte {
		switch {
		case strings.HasSuffix(path, "/versions"):
			return []byte(`{"continueToken":"","versions":` + string(body) + `}`)
		case strings.Contains(path, "/dashboards/uid/"):
			var d map[string]any
			if err := json.Unmarshal(body, &d); err != nil {
				t.Error(err)
			}
			d["dashboard"].(map[string]any)["liveNow"] = false
			changed, _ := json.Marshal(d)
			return changed
		}
		return body
	}))
	defer server.Close()
	token := g.TokenFile(t, "Admin")
	there := func(c *Config) { c.URL = server.URL + "/monitoring/" }
	p, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A"}), there)
	wantReport(t, publish(t, p), 3, 0, 0, 0, 0, 0)
	wantReport(t, publish(t, p), 0, 0, 0, 3, 0, 0)
	edit(t, g, "cont-a", "A, mine", "plimsoll")
	wantReport(t, publish(t, p), 0, 0, 1, 2, 0, 0)
	again, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A"}), there)
	wantReport(t, publish(t, again), 0, 0, 0, 3, 0, 0)
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func testDown(t *testing.T, g *grafanatest.Server) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()

	var log lines
	reg := prometheus.NewRegistry()
	p, err := New(Config{URL: "http://" + address, TokenFile: g.TokenFile(t, "Admin"), DatasourceURL: "http://127.0.0.1:9750"},
		dashboards.FS(), slog.New(slog.NewTextHandler(&log, nil)), reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()

	eventually(t, "two failed rounds", func() bool {
		p.metrics.failure.WithLabelValues("grafana", "unreachable") // exists from here on
		return metric(t, reg, "publish_failures_total", "reason", "unreachable", "target", "grafana") >= 2
	})
	if up := metric(t, reg, "up"); up != 0 {
		t.Errorf("plimsoll_collector_grafana_up is %v", up)
	}
	if said := log.String(); strings.Count(said, "trying again") != 1 || !strings.Contains(said, "refused") {
		t.Errorf("two failures were logged as:\n%s", said)
	}

	listener, err = net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	server := &http.Server{Handler: httputil.NewSingleHostReverseProxy(mustParse(t, g.URL)), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	eventually(t, "the dashboards", func() bool { return metric(t, reg, "up") == 1 })
	if said := log.String(); !strings.Contains(said, fmt.Sprintf("created=%d", everything)) || !strings.Contains(said, "as shipped again") {
		t.Errorf("the log:\n%s", said)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run ended with %v", err)
	}
}

// Grafana is killed while its dashboards are being published, and started again a few rounds later.
func TestGrafanaRestartsHalfWay(t *testing.T) {
	t.Parallel()
	g := grafanatest.Start(t)
	var saved atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(mustParse(t, g.URL))
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/dashboards/db") && saved.Add(1) == 5 {
			g.Stop()
		}
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	p, reg := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS(), func(c *Config) { c.URL = server.URL })
	first, err := p.Publish(t.Context())
	if err == nil || first.Created != 6 || metric(t, reg, "up") != 0 { // the data source, the folder and four dashboards
		t.Errorf("the round in which it was killed: %+v, %v", first, err)
	}
	if second, err := p.Publish(t.Context()); err == nil || second.Writes() != 0 {
		t.Errorf("a round while it is down: %+v, %v", second, err)
	}
	g.Resume(t)
	wantReport(t, publish(t, p), everything-6, 0, 0, 6, 0, 0)
	wantReport(t, publish(t, p), 0, 0, 0, everything, 0, 0)
	if metric(t, reg, "up") != 1 || dashboardOf(t, g, "cont-fleet").Meta.Version != 1 {
		t.Error("it is not as shipped, or was written twice")
	}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func eventually(t *testing.T, what string, there func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if there() {
			return
		}
	}
	t.Fatalf("%s did not come within a minute", what)
}
