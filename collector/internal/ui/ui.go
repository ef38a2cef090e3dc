// Package ui shows the fleet in a browser: the embedded dashboards, alerts, nodes and runbooks, with nothing fetched from outside.
//
// The pages hold no measured data. The browser asks the collector's own HTTP API for it, so who may read what is decided there.
package ui

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed assets shell.html
var embedded embed.FS

// csp forbids everything that is not a file of this server: no inline script, no inline style, no foreign host, no framing by others.
const csp = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

// DefaultHome is the dashboard at "/" when Config.Home is empty and a dashboard of that uid exists.
const DefaultHome = "cont-fleet"

// Config says what to show.
type Config struct {
	// Dashboards holds Grafana classic JSON, *.json in its root. At least one is required.
	Dashboards fs.FS
	// Runbooks holds NAME.md in its root, served at /runbooks/NAME. nil means there are none.
	Runbooks fs.FS
	// Version is shown at the foot of every page. Empty shows none.
	Version string
	// Home is the uid of the dashboard at "/". Empty means DefaultHome, or the first by uid where that is absent.
	Home string
}

type site struct {
	cfg        Config
	home       string
	dashboards *dashboardSet
	assets     *assetSet
	shell      *template.Template
}

// New reads and checks everything it will serve; the handler touches no disk and keeps no state.
func New(cfg Config) (http.Handler, error) {
	if cfg.Dashboards == nil {
		return nil, errors.New("ui: Config.Dashboards is nil")
	}
	dashboards, err := loadDashboards(cfg.Dashboards)
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	home := cfg.Home
	if home == "" {
		home = DefaultHome
		if dashboards.body[home] == nil {
			home = dashboards.index[0].UID
		}
	}
	if dashboards.body[home] == nil {
		return nil, fmt.Errorf("ui: home dashboard %q: no dashboard has this uid", home)
	}
	assets, err := loadAssets(embedded)
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	shell, err := template.ParseFS(embedded, "shell.html")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	s := &site{cfg: cfg, home: home, dashboards: dashboards, assets: assets, shell: shell}
	return secured(s.routes()), nil
}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.dashboardPage(w, r, s.home) })
	mux.HandleFunc("GET /d/{uid}", func(w http.ResponseWriter, r *http.Request) { s.dashboardPage(w, r, r.PathValue("uid")) })
	mux.HandleFunc("GET /d/{uid}/{slug}", func(w http.ResponseWriter, r *http.Request) { s.dashboardPage(w, r, r.PathValue("uid")) })
	mux.HandleFunc("GET /alerts", func(w http.ResponseWriter, r *http.Request) { s.page(w, r, page{Kind: "alerts", Title: "Alerts"}) })
	mux.HandleFunc("GET /exits", func(w http.ResponseWriter, r *http.Request) { s.page(w, r, page{Kind: "exits", Title: "Exits"}) })
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, r *http.Request) { s.page(w, r, page{Kind: "nodes", Title: "Nodes"}) })
	mux.HandleFunc("GET /runbooks/{$}", s.runbookIndex)
	mux.HandleFunc("GET /runbooks/{name}", s.runbookPage)
	mux.HandleFunc("GET /ui/dashboards.json", s.dashboards.serveIndex)
	mux.HandleFunc("GET /ui/dashboards/{file}", s.dashboards.serveBody)
	mux.Handle("GET /ui/assets/", s.assets)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		s.notFound(w, r, fmt.Sprintf("There is nothing at %s.", r.URL.Path))
	})
	return mux
}

// secured sets the headers every answer carries, errors included.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Frame-Options", "SAMEORIGIN")
		next.ServeHTTP(w, r)
	})
}

// page is what shell.html needs; Kind selects the script's entry and HTML is only ever made by renderMarkdown.
type page struct {
	Kind    string // dashboard, alerts, exits, nodes, text
	Title   string
	UID     string
	Status  int // 0 means 200
	HTML    template.HTML
	Message string

	Root    string // the way up to the collector's root, whatever path a proxy put before it
	Assets  string // the way to the assets of this build
	Version string
	Modules []string
}

func (s *site) page(w http.ResponseWriter, r *http.Request, p page) {
	p.Root = root(r)
	p.Assets = p.Root + s.assets.base
	p.Version = s.cfg.Version
	p.Modules = s.assets.modules
	var buf bytes.Buffer
	if err := s.shell.Execute(&buf, p); err != nil {
		http.Error(w, "render page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	if p.Status != 0 {
		w.WriteHeader(p.Status)
	}
	_, _ = w.Write(buf.Bytes()) // a reader that has gone is no fault of ours
}

func (s *site) dashboardPage(w http.ResponseWriter, r *http.Request, uid string) {
	for _, d := range s.dashboards.index {
		if d.UID == uid {
			s.page(w, r, page{Kind: "dashboard", Title: d.Title, UID: uid})
			return
		}
	}
	known := make([]string, 0, len(s.dashboards.index))
	for _, d := range s.dashboards.index {
		known = append(known, d.UID)
	}
	s.notFound(w, r, fmt.Sprintf("No dashboard has the uid %q. There are: %s.", uid, strings.Join(known, ", ")))
}

func (s *site) notFound(w http.ResponseWriter, r *http.Request, message string) {
	s.page(w, r, page{Kind: "text", Title: "Not found", Status: http.StatusNotFound, Message: message})
}

// root leads from the page at r's path to the collector's root: "./" from /alerts, "../" from /d/UID. Links that go up so far and no
// further hold under any path that a reverse proxy puts before them.
func root(r *http.Request) string {
	if up := strings.Count(r.URL.EscapedPath(), "/") - 1; up > 0 {
		return strings.Repeat("../", up)
	}
	return "./"
}
