// Package narrow shows a reader who is bound to projects only what is theirs of the answers that are not made by querying the engine.
//
// Each handler here stands before the one that answers everybody else, and passes on requests without a view untouched. What
// is asked on behalf of a bound reader is a request of its own, made of the parts that are understood, so that no header,
// parameter or spelling reaches next that was not looked at.
package narrow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/plimsoll/plimsoll/collector/internal/access"
	"github.com/plimsoll/plimsoll/collector/internal/inprocess"
	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// object is a JSON object as it came.
type object = map[string]any

// ask makes a request of its own to next and returns the answer.
func ask(next http.Handler, r *http.Request, method, path string, parameters url.Values, body []byte) (*inprocess.Answer, error) {
	target := &url.URL{Path: path, RawQuery: parameters.Encode()}
	inner, err := http.NewRequestWithContext(r.Context(), method, target.String(), bytes.NewReader(body))
	if err != nil {
		return &inprocess.Answer{Code: http.StatusInternalServerError}, fmt.Errorf("ask %s: %w", path, err)
	}
	if body != nil {
		inner.Header.Set("Content-Type", "application/json")
	}
	inner.RemoteAddr = r.RemoteAddr
	return inprocess.Ask(next, inner), nil
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a client that left is nobody to tell
}

// forbid tells a bound reader what is not theirs.
func forbid(w http.ResponseWriter, v *view.View, what string) {
	reply(w, http.StatusForbidden, object{"status": "error", "errorType": "forbidden", "error": fmt.Sprintf("this token reads %s: %s", v, what)})
}

// labelsOf are the labels of an alert.
func labelsOf(alert any) map[string]string {
	labels := map[string]string{}
	fields, _ := alert.(object)
	of, _ := fields["labels"].(object)
	for name, value := range of {
		if text, ok := value.(string); ok {
			labels[name] = text
		}
	}
	return labels
}

// seen are the alerts of a list that v sees.
func seen(v *view.View, list any) []any {
	all, _ := list.([]any)
	kept := []any{}
	for _, alert := range all {
		if v.Sees(labelsOf(alert)) {
			kept = append(kept, alert)
		}
	}
	return kept
}

// Nodes is for what tells of every node: all of it or nothing.
func Nodes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := view.Of(r.Context()); !v.Nodes() {
			forbid(w, v, "the table of nodes needs `nodes: true`")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ProjectMap shows a bound reader the projects that are theirs, as JSON. The map itself names all others; a sender needs it whole.
func ProjectMap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := view.Of(r.Context())
		if v == nil || access.CallerOf(r.Context()).Writes {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet || r.URL.Query().Get("format") != "json" {
			forbid(w, v, "of the project map there is ?format=json, with the projects of the token")
			return
		}
		got, err := ask(next, r, http.MethodGet, r.URL.Path, url.Values{"format": {"json"}}, nil)
		if err != nil || got.Code != http.StatusOK {
			got.Pass(w)
			return
		}
		var all struct {
			Projects []object
		}
		if err := got.Decode(&all); err != nil {
			reply(w, http.StatusInternalServerError, object{"status": "error", "error": "project map: " + err.Error()})
			return
		}
		kept := []object{}
		for _, p := range all.Projects {
			if name, _ := p["project"].(string); v.Project(name) {
				kept = append(kept, p)
			}
		}
		reply(w, http.StatusOK, object{"projects": kept})
	})
}

// readAll reads a body that the server bounds.
func readAll(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return body, nil
}
