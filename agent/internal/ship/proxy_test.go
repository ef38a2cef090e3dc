package ship

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tunnel is a proxy for people with a password: CONNECT, and requests in absolute form. Every host is the one receiver behind it.
type tunnel struct {
	to string // address

	mu    sync.Mutex
	asked []string // method and host of what it was asked
}

func (p *tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("agent:secret")) {
		w.Header().Set("Proxy-Authenticate", "Basic")
		http.Error(w, "who are you", http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		r.RequestURI, r.URL.Host = "", p.to
		r.Header.Del("Proxy-Authorization")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
		return
	}
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	down, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		up.Close()
		return
	}
	go func() {
		io.Copy(up, buffered)
		up.Close()
	}()
	io.Copy(down, up)
	down.Close()
}

func (p *tunnel) was() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// The receiver's name is known to the proxy alone.
func TestBatchesGoThroughTheProxyOfTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		scheme, variable, asked string
		serve                   func(http.Handler) *httptest.Server
	}{
		{"https", "HTTPS_PROXY", "CONNECT example.com:443", httptest.NewTLSServer},
		{"https", "https_proxy", "CONNECT example.com:443", httptest.NewTLSServer},
		{"http", "HTTP_PROXY", "POST example.com", httptest.NewServer},
	} {
		t.Run(c.variable, func(t *testing.T) {
			s := &script{t: t}
			receiver := c.serve(s)
			defer receiver.Close()
			proxy := &tunnel{to: receiver.Listener.Addr().String()}
			server := httptest.NewServer(proxy)
			defer server.Close()
			for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
				t.Setenv(name, "")
			}
			t.Setenv(c.variable, strings.Replace(server.URL, "http://", "http://agent:secret@", 1))

			cfg := serve(t, &script{})
			cfg.URL = c.scheme + "://example.com/api/v1/write"
			if c.scheme == "https" {
				cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
				ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})
				if err := os.WriteFile(cfg.CAFile, ca, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r := newRig(t, cfg, quiet(), 4)
			r.run()
			r.eventually("all delivered", r.empty)
			r.stop()
			if got := s.tookAll(); !slices.Equal(got, []int{1, 2, 3, 4}) {
				t.Fatalf("took %v", got)
			}
			if got := proxy.was(); len(got) == 0 || slices.ContainsFunc(got, func(a string) bool { return a != c.asked }) {
				t.Fatalf("the proxy was asked %v", got)
			}
		})
	}
}

// A proxy that refuses us costs nothing but time.
func TestAProxyThatRefusesIsAFaultThatMayBePutRight(t *testing.T) {
	s := &script{t: t}
	receiver := httptest.NewServer(s)
	defer receiver.Close()
	proxy := &tunnel{to: receiver.Listener.Addr().String()}
	server := httptest.NewServer(proxy)
	defer server.Close()
	t.Setenv("HTTP_PROXY", server.URL)
	t.Setenv("NO_PROXY", "")
	cfg := serve(t, &script{})
	cfg.URL = "http://example.com/api/v1/write"
	r := newRig(t, cfg, quiet(), 2)
	r.run()
	r.eventually("the proxy's refusal is known", func() bool {
		st := r.shipper.State()
		return st.Phase == Misdirected && strings.Contains(st.LastError, "407")
	})
	r.stop()
	if st := r.shipper.State(); st.BacklogSamples != 20 || len(s.tookAll()) != 0 {
		t.Fatalf("state %+v", st)
	}
}

func TestHostsOfNoProxyAreReachedDirectly(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.example:3128")
	t.Setenv("NO_PROXY", "collector.example,.local,10.0.0.0/8")
	a, err := newAuth(Receiver{})
	if err != nil {
		t.Fatal(err)
	}
	for host, proxied := range map[string]bool{
		"collector.example": false, "a.local": false, "10.1.2.3": false, "127.0.0.1": false, "localhost": false,
		"elsewhere.example": true, "192.0.2.1": true,
	} {
		via, err := a.proxy(&url.URL{Scheme: "https", Host: host + ":9750"})
		if err != nil || (via != nil) != proxied {
			t.Errorf("%s: by %v, %v", host, via, err)
		}
	}
}
