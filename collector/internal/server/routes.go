package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/access"
)

// Access decides whether a request may do what its route does.
type Access interface {
	Require(access.Scope, http.Handler) http.Handler
	TLS() *tls.Config
}

// ConnectionWatcher learns of connections as http.Server tells of them.
type ConnectionWatcher interface {
	Opened(context.Context, net.Conn) context.Context
	State(net.Conn, http.ConnState)
}

// Routes are who answers. Write, Engine, Nodes, Metrics and Ready are required; a nil one of the others is a 404 or,
// for UI, the engine's own page.
type Routes struct {
	Write        http.Handler
	Engine       http.Handler // the query API under /api/v1/ and /prometheus/, and /vmui/
	Nodes        http.Handler
	Exits        http.Handler // /api/exits
	Releases     http.Handler // /api/releases
	Rules        http.Handler // /api/v1/rules and /api/v1/alerts
	Noise        http.Handler // /api/alerts/noise
	Alertmanager http.Handler // /api/v2/
	ProjectMap   http.Handler // /api/project-map, which agents read with their token for writing
	UI           http.Handler // everything not named here; holds no measured data
	Metrics      http.Handler
	Ready        func() error              // nil error: ready
	Reload       func(*http.Request) error // nil error: done
	Connections  ConnectionWatcher         // may be nil
}

// maxFormBytes bounds the body of every request but a write.
const maxFormBytes = 1 << 20

func (rt Routes) handler(a Access) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, scope access.Scope, h http.Handler) {
		if h != nil {
			mux.Handle(pattern, a.Require(scope, http.MaxBytesHandler(h, maxFormBytes)))
		}
	}
	mux.Handle("/api/v1/write", a.Require(access.Write, rt.Write))
	for _, path := range []string{"query", "query_range", "series", "labels", "label/{name}/values", "metadata", "status/buildinfo"} {
		handle("/api/v1/"+path, access.Read, rt.Engine)
		handle("/prometheus/api/v1/"+path, access.Read, rt.Engine)
	}
	handle("/api/v1/export", access.Read, slow(rt.Engine))
	handle("/prometheus/api/v1/export", access.Read, slow(rt.Engine))
	handle("/vmui", access.Read, rt.Engine)
	handle("/vmui/", access.Read, rt.Engine)
	handle("/prometheus/vmui/config.json", access.Read, rt.Engine)
	handle("/api/v1/rules", access.Read, rt.Rules)
	handle("/api/v1/alerts", access.Read, rt.Rules)
	if rt.Alertmanager != nil {
		mux.Handle("/api/v2/", byMethod(a.Require(access.Read, rt.Alertmanager), a.Require(access.Admin, http.MaxBytesHandler(rt.Alertmanager, maxFormBytes))))
	}
	handle("/api/nodes", access.Read, rt.Nodes)
	handle("/api/alerts/noise", access.Read, rt.Noise)
	handle("/api/exits", access.Read, rt.Exits)
	handle("/api/releases", access.Read, rt.Releases)
	handle("/api/project-map", access.Known, rt.ProjectMap)
	mux.HandleFunc("/api/", notFound)
	handle("/metrics", access.Read, rt.Metrics)
	handle("/-/reload", access.Admin, reload(rt.Reload))
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("healthy\n")) })
	mux.HandleFunc("/-/ready", ready(rt.Ready))
	handle("/debug/pprof/", access.Admin, http.HandlerFunc(pprof.Index))
	handle("/debug/pprof/cmdline", access.Admin, http.HandlerFunc(pprof.Cmdline))
	handle("/debug/pprof/profile", access.Admin, http.HandlerFunc(pprof.Profile))
	handle("/debug/pprof/symbol", access.Admin, http.HandlerFunc(pprof.Symbol))
	handle("/debug/pprof/trace", access.Admin, http.HandlerFunc(pprof.Trace))
	if rt.UI != nil {
		mux.Handle("/", rt.UI)
	} else {
		mux.Handle("/{$}", http.RedirectHandler("/vmui/", http.StatusFound))
	}
	return careful(mux)
}

// careful refuses what a page of another site makes a browser post, and forbids guessing at content types.
func careful(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// slow gives an answer that streams its own time.
func slow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Without effect where the writer has no connection, as in tests.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportTimeout))
		next.ServeHTTP(w, r)
	})
}

func byMethod(reading, changing http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			reading.ServeHTTP(w, r)
			return
		}
		changing.ServeHTTP(w, r)
	})
}
