package remote

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// ServeHTTP passes the Prometheus query API on, within the view of the request's context. What is sent is a request of its own
// with the parameters that are known; no header of the caller's goes along.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/prometheus")
	if !serves(path) {
		refuse(w, http.StatusNotFound, "not_found", "with an engine elsewhere there is no "+r.URL.Path+" here; it may be there")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, POST")
		refuse(w, http.StatusMethodNotAllowed, "bad_data", "only GET and POST")
		return
	}
	form, err := formOf(r, path, time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_data", err.Error())
		return
	}
	if v := view.Of(r.Context()); v != nil {
		if path == "/api/v1/metadata" {
			refuse(w, http.StatusForbidden, "forbidden", fmt.Sprintf("this token reads %s, and an engine elsewhere tells the meaning of metrics by no project", v))
			return
		}
		if err := narrow(form, path, v); err != nil {
			refuse(w, http.StatusBadRequest, "bad_data", err.Error())
			return
		}
	}
	resp, release, err := e.ask(r.Context(), path, form)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "unavailable", err.Error())
		return
	}
	defer release()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // one of the two left; nobody to tell
}

func serves(path string) bool {
	switch path {
	case "/api/v1/query", "/api/v1/query_range", "/api/v1/series", "/api/v1/labels", "/api/v1/metadata", "/api/v1/export":
		return true
	}
	return labelOf(path) != ""
}

// labelOf is the label whose values a path asks for, empty for another path.
func labelOf(path string) string {
	name, ok := strings.CutPrefix(path, "/api/v1/label/")
	name, values := strings.CutSuffix(name, "/values")
	if !ok || !values || !regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`).MatchString(name) {
		return ""
	}
	return name
}

// formOf are the parameters of r that are known, those of one value once.
func formOf(r *http.Request, path string, now time.Time) (url.Values, error) {
	if kind := r.Header.Get("Content-Type"); kind != "" && r.Method == http.MethodPost {
		if form, _, err := mime.ParseMediaType(kind); err != nil || form != "application/x-www-form-urlencoded" {
			return nil, fmt.Errorf("parameters are posted as application/x-www-form-urlencoded, not %.80q", kind)
		}
	}
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	form := url.Values{}
	if selectors := slices.Concat(r.Form["match[]"], r.Form["match"]); len(selectors) > 0 {
		form["match[]"] = selectors
	}
	for name, values := range r.Form {
		switch {
		case strings.HasPrefix(name, "extra_"):
			return nil, fmt.Errorf("parameter %s is not passed on", name)
		case slices.Contains([]string{"query", "time", "start", "end", "step", "timeout", "limit", "metric", "nocache", "format", "max_rows_per_line", "reduce_mem_usage"}, name):
			form.Set(name, values[0])
		}
	}
	if path == "/api/v1/query" && form.Get("time") == "" {
		form.Set("time", seconds(now))
	}
	return form, nil
}

// narrow rewrites the selectors of a request. One that has none, where none is needed, gets those of the view.
func narrow(form url.Values, path string, v *view.View) error {
	if form.Has("query") {
		query, err := rewrite(form.Get("query"), v)
		if err != nil {
			return fmt.Errorf("query: %w", err)
		}
		form.Set("query", query)
	}
	for i, selector := range form["match[]"] {
		narrowed, err := rewrite(selector, v)
		if err != nil {
			return fmt.Errorf("match[]: %w", err)
		}
		form["match[]"][i] = narrowed
	}
	if !form.Has("match[]") && (path == "/api/v1/labels" || labelOf(path) != "") {
		form["match[]"] = v.Selectors()
	}
	return nil
}

func refuse(w http.ResponseWriter, code int, kind, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": kind, "error": text}) // a client that left is nobody to tell
}
