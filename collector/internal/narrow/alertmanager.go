package narrow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

const (
	silencesPath = "/api/v2/silences"
	silencePath  = "/api/v2/silence/"
)

// Silencing tells whether a request makes or ends a silence.
func Silencing(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == silencesPath || r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, silencePath)
}

// Alertmanager is for /api/v2/. A bound reader sees the alerts of their projects and the silences that name one of them, and
// makes and ends such silences.
func Alertmanager(next http.Handler, own Own) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := view.Of(r.Context())
		switch {
		case Silencing(r) && r.Method == http.MethodPost:
			postSilence(w, r, next)
		case Silencing(r):
			deleteSilence(w, r, next)
		case v == nil:
			next.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			forbid(w, v, "only silences are made here")
		default:
			own.readAlertmanager(w, r, next, v)
		}
	})
}

func (own Own) readAlertmanager(w http.ResponseWriter, r *http.Request, next http.Handler, v *view.View) {
	if id, ok := strings.CutPrefix(r.URL.Path, silencePath); ok {
		if owns(w, r, next, id) {
			if got, err := ask(next, r, http.MethodGet, silencePath+id, nil, nil); err == nil {
				got.Pass(w)
			}
		}
		return
	}
	narrowed, known := map[string]func(*view.View, []any) any{
		"/api/v2/alerts":        func(v *view.View, all []any) any { return own.alertsOf(v, all) },
		"/api/v2/alerts/groups": own.groupsOf,
		silencesPath:            silencesOf,
	}[r.URL.Path]
	if r.URL.Path == "/api/v2/status" {
		status(w, r, next)
		return
	}
	if !known {
		forbid(w, v, fmt.Sprintf("%s tells of everybody", r.URL.Path))
		return
	}
	asked, parameters := r.URL.Query(), url.Values{}
	for _, name := range []string{"active", "silenced", "inhibited", "muted", "unprocessed", "filter", "receiver"} {
		if values := asked[name]; len(values) > 0 {
			parameters[name] = values
		}
	}
	got, err := ask(next, r, http.MethodGet, r.URL.Path, parameters, nil)
	if err != nil || got.Code != http.StatusOK {
		got.Pass(w)
		return
	}
	var all []any
	if err := got.Decode(&all); err != nil {
		reply(w, http.StatusInternalServerError, r.URL.Path+": "+err.Error())
		return
	}
	reply(w, http.StatusOK, narrowed(v, all))
}

// alertsOf are the alerts that v sees. Which alert of others inhibits one is not told, only that one does.
func (own Own) alertsOf(v *view.View, all []any) []any {
	kept := own.withhold(seen(v, all))
	mine := map[any]bool{}
	for _, a := range kept {
		mine[a.(object)["fingerprint"]] = true
	}
	for _, a := range kept {
		state, _ := a.(object)["status"].(object)
		by, _ := state["inhibitedBy"].([]any)
		for i := range by {
			if !mine[by[i]] {
				by[i] = "an alert of others"
			}
		}
	}
	return kept
}

func (own Own) groupsOf(v *view.View, all []any) any {
	kept := []any{}
	for _, g := range all {
		group, _ := g.(object)
		list, _ := group["alerts"].([]any)
		if mine := own.alertsOf(v, list); len(mine) > 0 {
			group["alerts"] = mine
			kept = append(kept, group)
		}
	}
	return kept
}

func silencesOf(v *view.View, all []any) any {
	kept := []any{}
	for _, one := range all {
		var s silence
		if text, err := json.Marshal(one); err == nil && json.Unmarshal(text, &s) == nil && s.within(v) {
			kept = append(kept, one)
		}
	}
	return kept
}

// status leaves out the configuration, which names every receiver.
func status(w http.ResponseWriter, r *http.Request, next http.Handler) {
	got, err := ask(next, r, http.MethodGet, r.URL.Path, nil, nil)
	var all object
	if err != nil || got.Code != http.StatusOK || got.Decode(&all) != nil {
		reply(w, http.StatusBadGateway, "the Alertmanager does not tell its status")
		return
	}
	reply(w, http.StatusOK, object{"config": object{"original": ""}, "cluster": object{"status": "disabled", "peers": []any{}}, "uptime": all["uptime"], "versionInfo": all["versionInfo"]})
}
