package engine

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// ServeHTTP answers, within the view of the request's context, the Prometheus query API and the library's own page /vmui/, which asks under /prometheus/. What else
// the library would answer (deletion, snapshots, imports, cache resets, profiles) does not exist here.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !serves(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
		return
	}
	if err := e.enter(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer e.leave()
	now := time.Now()
	if v := view.Of(r.Context()); v != nil && !isPage(r.URL.Path) {
		own, err := narrowed(r, v)
		if err != nil {
			failed(w, http.StatusBadRequest, "bad_data", err)
			return
		}
		if r = own; strings.HasSuffix(r.URL.Path, "/api/v1/metadata") {
			e.metadata(w, r, now)
			return
		}
	}
	askForNow(r, now)
	if isPage(r.URL.Path) {
		vmselect.RequestHandler(w, r)
		return
	}
	e.answer(w, r, now)
}

// answer has the library answer when it is the request's turn.
func (e *Engine) answer(w http.ResponseWriter, r *http.Request, now time.Time) {
	scans, large := scansIn(r, now)
	turn, err := e.begin(r.Context(), scans, large)
	switch {
	case errors.Is(err, errScan):
		failed(w, http.StatusUnprocessableEntity, "execution", err)
		return
	case err != nil:
		tooManyQueries(w, err)
		return
	}
	defer turn.end()
	if !vmselect.RequestHandler(&ownWords{ResponseWriter: &turnWriter{ResponseWriter: w, turn: turn, ctx: r.Context()}, engine: e}, r) {
		http.NotFound(w, r)
	}
}

func tooManyQueries(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "5")
	failed(w, http.StatusTooManyRequests, "too_many_requests", err)
}

// failed answers as the Prometheus API does.
func failed(w http.ResponseWriter, code int, kind string, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": kind, "error": err.Error()}) // a client that left is nobody to tell
}

// askForNow gives an instant query without a time the present millisecond. The library would take the second's start and
// so miss the newest samples.
func askForNow(r *http.Request, now time.Time) {
	if strings.HasSuffix(r.URL.Path, "/api/v1/query") && r.FormValue("time") == "" {
		r.Form.Set("time", strconv.FormatFloat(float64(now.UnixMilli())/1000, 'f', 3, 64))
	}
}

// isPage tells whether a path is of the library's own page, in which there is no data.
func isPage(path string) bool {
	switch path {
	case "/vmui", "/prometheus/vmui/config.json", "/prometheus/vmui/custom-dashboards", "/prometheus/vmui/timezone":
		return true
	}
	return strings.HasPrefix(path, "/vmui/") && !strings.Contains(path, "//") && !strings.Contains(path, "/..")
}

func serves(path string) bool {
	if isPage(path) {
		return true
	}
	path = strings.TrimPrefix(path, "/prometheus")
	switch path {
	case "/api/v1/query", "/api/v1/query_range", "/api/v1/series", "/api/v1/labels", "/api/v1/metadata", "/api/v1/export", "/api/v1/status/buildinfo":
		return true
	}
	name, ok := strings.CutPrefix(path, "/api/v1/label/")
	name, values := strings.CutSuffix(name, "/values")
	return ok && values && name != "" && !strings.Contains(name, "/")
}
