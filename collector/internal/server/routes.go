package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/access"
	"github.com/plimsoll/plimsoll/collector/internal/narrow"
)

// Access decides whether a request may do what its route does. A token that is bound to projects passes RequireNarrowed only.
type Access interface {
	Require(access.Scope, http.Handler) http.Handler
	RequireNarrowed(access.Scope, http.Handler) http.Handler
	TLS() *tls.Config
}

// ConnectionWatcher learns of connections as http.Server tells of them.
type ConnectionWatcher interface {
	Opened(context.Context, net.Conn) context.Context
	State(net.Conn, http.ConnState)
}

// Routes are who answers. Write, Engine, Nodes, Metrics and Ready are required; a nil one of the others is a 404 or,
// for UI, the engine's own page. Those said to narrow hold to the view of the request's context, by querying the engine with it.
type Routes struct {
	Write            http.Handler
	Engine           http.Handler           // the query API under /api/v1/ and /prometheus/, and /vmui/; narrows
	Nodes            http.Handler           // /api/nodes
	Exits            http.Handler           // /api/exits; narrows
	Releases         http.Handler           // /api/releases; narrows
	Rules            http.Handler           // /api/v1/rules and /api/v1/alerts
	BuiltinRules     func(file string) bool // whose rules say the same to everybody
	OwnAlerts        narrow.Own             // which alerts were made by rules that are not built in; needed with Rules and Alertmanager
	Noise            http.Handler           // /api/alerts/noise; narrows
	Acknowledgements http.Handler           // /api/alerts/acknowledgements
	Alertmanager     http.Handler           // /api/v2/
	ProjectMap       http.Handler           // /api/project-map, which agents read with their token for writing
	UI               http.Handler           // everything not named here; holds no measured data
	Metrics          http.Handler
	Ready            func() error              // nil error: ready
	Writable         func() error              // nil error: what is written is taken
	Reload           func(*http.Request) error // nil error: done
	Connections      ConnectionWatcher         // may be nil
	Path             string                    // under which a reverse proxy serves the collector, "/plimsoll"; empty for none
}

// maxFormBytes bounds the body of every request but a write.
const maxFormBytes = 1 << 20

func (rt Routes) handler(a Access) http.Handler {
	mux := http.NewServeMux()
	told := newDesk().told
	handle := func(pattern string, scope access.Scope, h http.Handler) {
		if h != nil {
			mux.Handle(pattern, a.Require(scope, http.MaxBytesHandler(h, maxFormBytes)))
		}
	}
	narrowed := func(pattern string, scope access.Scope, h http.Handler) {
		if h != nil {
			mux.Handle(pattern, a.RequireNarrowed(scope, http.MaxBytesHandler(h, maxFormBytes)))
		}
	}
	mux.Handle("/api/v1/write", a.Require(access.Write, rt.Write))
	for _, path := range []string{"query", "query_range", "series", "labels", "label/{name}/values", "metadata", "status/buildinfo"} {
		narrowed("/api/v1/"+path, access.Read, rt.Engine)
		narrowed("/prometheus/api/v1/"+path, access.Read, rt.Engine)
	}
	narrowed("/api/v1/export", access.Read, slow(rt.Engine))
	narrowed("/prometheus/api/v1/export", access.Read, slow(rt.Engine))
	narrowed("/vmui", access.Read, rt.Engine)
	narrowed("/vmui/", access.Read, rt.Engine)
	for _, path := range []string{"config.json", "custom-dashboards", "timezone"} {
		narrowed("/prometheus/vmui/"+path, access.Read, rt.Engine)
	}
	if rt.Rules != nil {
		narrowed("/api/v1/rules", access.Read, told(narrow.Rules(rt.Rules, rt.BuiltinRules, rt.OwnAlerts)))
		narrowed("/api/v1/alerts", access.Read, told(narrow.Rules(rt.Rules, rt.BuiltinRules, rt.OwnAlerts)))
	}
	if rt.Alertmanager != nil {
		mux.Handle("/api/v2/", alertmanager(a, told, http.MaxBytesHandler(narrow.Alertmanager(rt.Alertmanager, rt.OwnAlerts), maxFormBytes)))
	}
	narrowed("/api/nodes", access.Read, told(narrow.Nodes(rt.Nodes)))
	narrowed("/api/alerts/noise", access.Read, rt.Noise)
	if rt.Acknowledgements != nil {
		mux.Handle("GET /api/alerts/acknowledgements", a.Require(access.Read, rt.Acknowledgements))
		mux.Handle("POST /api/alerts/acknowledgements", a.Require(access.Admin, http.MaxBytesHandler(rt.Acknowledgements, maxFormBytes)))
	}
	narrowed("/api/exits", access.Read, rt.Exits)
	narrowed("/api/releases", access.Read, rt.Releases)
	if rt.ProjectMap != nil {
		narrowed("/api/project-map", access.Known, narrow.ProjectMap(rt.ProjectMap))
	}
	mux.HandleFunc("/api/", notFound)
	handle("/metrics", access.Read, told(rt.Metrics))
	handle("/-/reload", access.Admin, reload(rt.Reload))
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("healthy\n")) })
	mux.HandleFunc("/-/ready", ready(rt.Ready, rt.Writable))
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
	return careful(under(rt.Path, mux))
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

// alertmanager asks for the scope that what is done needs.
func alertmanager(a Access, told func(http.Handler) http.Handler, h http.Handler) http.Handler {
	reading, silencing, changing := a.RequireNarrowed(access.Read, told(h)), a.RequireNarrowed(access.Silence, h), a.Require(access.Admin, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			reading.ServeHTTP(w, r)
		case narrow.Silencing(r):
			silencing.ServeHTTP(w, r)
		default:
			changing.ServeHTTP(w, r)
		}
	})
}
