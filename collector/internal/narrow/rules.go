package narrow

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// Rules is for /api/v1/rules and /api/v1/alerts. A bound reader sees the alerts of their projects; of the rules those whose
// file builtin knows, as these say the same to everybody, and those whose own label project is theirs. Another rule's
// expression may name what is not theirs, and so may what a query of it says in an alert.
func Rules(next http.Handler, builtin func(file string) bool, own Own) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := view.Of(r.Context())
		if v == nil {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet {
			forbid(w, v, "rules and alerts are read with GET")
			return
		}
		asked := r.URL.Query()
		parameters := url.Values{}
		for _, name := range []string{"type", "rule_name[]", "rule_group[]", "file[]"} {
			parameters[name] = asked[name]
		}
		got, err := ask(next, r, http.MethodGet, r.URL.Path, parameters, nil)
		if err != nil || got.Code != http.StatusOK {
			got.Pass(w)
			return
		}
		var all struct{ Data object }
		if err := got.Decode(&all); err != nil {
			reply(w, http.StatusInternalServerError, object{"status": "error", "error": "rules: " + err.Error()})
			return
		}
		if strings.HasSuffix(r.URL.Path, "/alerts") {
			reply(w, http.StatusOK, object{"status": "success", "data": object{"alerts": own.withhold(seen(v, all.Data["alerts"]))}})
			return
		}
		groups := []any{}
		list, _ := all.Data["groups"].([]any)
		for _, g := range list {
			group, _ := g.(object)
			file, _ := group["file"].(string)
			group["rules"] = own.rulesOf(v, group["rules"], builtin(file), asked.Get("exclude_alerts") == "true")
			if len(group["rules"].([]any)) > 0 {
				groups = append(groups, group)
			}
		}
		reply(w, http.StatusOK, object{"status": "success", "data": object{"groups": groups}})
	})
}

// rulesOf are the rules of a group that v may know, their state told from the alerts that v sees.
func (own Own) rulesOf(v *view.View, list any, builtin, withoutAlerts bool) []any {
	all, _ := list.([]any)
	kept := []any{}
	for _, one := range all {
		rule, _ := one.(object)
		if !builtin && !v.Project(labelsOf(rule)["project"]) {
			continue
		}
		delete(rule, "armed") // whether somebody, whoever it be, has the series a rule needs
		delete(rule, "missing")
		if text, _ := rule["lastError"].(string); text != "" {
			rule["lastError"] = "what went wrong may name what is not yours"
		}
		if alerts, ok := rule["alerts"]; ok {
			mine := own.withhold(seen(v, alerts))
			rule["state"] = stateOf(mine)
			if rule["alerts"] = mine; withoutAlerts {
				rule["alerts"] = []any{}
			}
		}
		kept = append(kept, rule)
	}
	return kept
}

func stateOf(alerts []any) string {
	state := "inactive"
	for _, a := range alerts {
		switch a.(object)["state"] {
		case "firing":
			return "firing"
		case "pending":
			state = "pending"
		}
	}
	return state
}
