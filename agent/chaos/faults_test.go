package chaos_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// fault is a way in which a receiver fails.
type fault string

// faults are all of them; those of the second row come after the collector has taken the batch.
func faults() []fault {
	return []fault{"500", "429", "503 with Retry-After", "reset", "slow", "silent",
		"reset after", "half answer after", "500 after"}
}

// faulty stands between agent and collector.
type faulty struct {
	*httptest.Server
	mode atomic.Value // fault; "" passes everything
}

func newFaulty(t *testing.T, to string) *faulty {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{}
	f.mode.Store(fault(""))
	pass := httputil.NewSingleHostReverseProxy(target)
	pass.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.serve(w, r, pass)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *faulty) serve(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	mode := f.mode.Load().(fault)
	switch mode {
	case "":
		pass.ServeHTTP(w, r)
		return
	case "reset after", "half answer after", "500 after":
		pass.ServeHTTP(httptest.NewRecorder(), r)
	default:
		if mode != "slow" {
			io.Copy(io.Discard, r.Body)
		}
	}
	switch mode {
	case "500", "500 after":
		w.WriteHeader(http.StatusInternalServerError)
	case "429":
		w.WriteHeader(http.StatusTooManyRequests)
	case "503 with Retry-After":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	case "slow": // takes a byte a second
		for one := make([]byte, 1); f.mode.Load() == mode; time.Sleep(time.Second) {
			if _, err := r.Body.Read(one); err != nil {
				break
			}
		}
		panic(http.ErrAbortHandler)
	case "silent":
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	default:
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		if mode == "half answer after" {
			io.WriteString(conn, "HTTP/1.1 20")
		} else {
			conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
	}
}
