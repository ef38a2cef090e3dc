package narrow

// Own tells of the alerts of a name whether a rule that is not built in may have made them, and which of their annotations such
// a rule fills by queries.
type Own func(alert string) (own bool, asking []string)

// withheld stands for a text that was made by a query for everybody.
const withheld = "(made by a query that knows no projects)"

// withhold takes from alerts what was told by a query or names an expression that may be of others: a rule of somebody's own may ask for
// anything, and the figures of a node name the projects on it. A label is what the alert is stored under, and so the project's own.
func (own Own) withhold(alerts []any) []any {
	for _, a := range alerts {
		alert, _ := a.(object)
		labels, annotations := labelsOf(a), textsOf(alert["annotations"])
		mine, asking := own(labels["alertname"])
		if mine {
			delete(alert, "generatorURL")
		}
		for _, name := range asking {
			if _, has := annotations[name]; has {
				annotations[name] = withheld
			}
		}
		if _, has := annotations["usage"]; has && labels["workload"] == "" && labels["container"] == "" {
			annotations["usage"] = withheld
		}
	}
	return alerts
}

// textsOf is an object of an alert, nil for what is none.
func textsOf(v any) object {
	texts, _ := v.(object)
	return texts
}
