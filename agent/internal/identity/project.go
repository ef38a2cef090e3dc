package identity

import "strings"

// Projects decides which project a container belongs to, and by which rule, so that the decision can be explained.
type Projects interface {
	Project(f Facts) (project, rule string)
}

// Unassigned is the project of containers no rule matches.
const Unassigned = "unassigned"

// Defaults are the built-in rules, which come after all others: the first of these that says something decides.
//
//	label project
//	label app.kubernetes.io/part-of
//	Kubernetes namespace
//	Swarm stack
//	Compose project
type Defaults struct{}

// Project applies the rules; the project is Unassigned when none says anything. Blanks around a value do not count.
func (Defaults) Project(f Facts) (project, rule string) {
	for _, candidate := range [...]struct{ value, rule string }{
		{f.Labels["project"], "default: label project"},
		{f.Labels["app.kubernetes.io/part-of"], "default: label app.kubernetes.io/part-of"},
		{f.Kubernetes.Namespace, "default: namespace"},
		{f.Swarm.Stack, "default: stack"},
		{f.Compose.Project, "default: compose project"},
	} {
		if value := strings.TrimSpace(candidate.value); value != "" {
			return value, candidate.rule
		}
	}
	return Unassigned, "default: nothing matched"
}
