package access

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// parseReach reads to what the scopes are bound. A bound of a scope that the token has not is a mistake.
func (t *token) parseReach(path string, fields map[string]*yaml.Node) (err error) {
	if place := fields["place"]; place != nil {
		if t.Place, err = parsePlace(path, t.Name, place); err != nil {
			return err
		}
	}
	if write := fields["write"]; write != nil {
		if !t.may(Write) {
			return fmt.Errorf("%s:%d: `write` of token %q bounds the scope write, which it has not", path, write.Line, t.Name)
		}
		if t.Bounds, err = parseBounds(path, t.Name, write); err != nil {
			return err
		}
	}
	projects, nodes := fields["projects"], fields["nodes"]
	switch {
	case projects == nil && nodes == nil:
		return nil
	case projects == nil:
		return fmt.Errorf("%s:%d: `nodes` of token %q goes with `projects`; without them it reads everything", path, nodes.Line, t.Name)
	case t.may(Admin):
		return fmt.Errorf("%s:%d: token %q has the scope admin, which is not bound to projects", path, projects.Line, t.Name)
	case !t.may(Read) && !t.may(Silence):
		return fmt.Errorf("%s:%d: `projects` of token %q bounds the scopes read and silence, of which it has none", path, projects.Line, t.Name)
	}
	names, err := parseNames(path, t.Name, "projects", projects)
	if err != nil {
		return err
	}
	t.view = view.New(names)
	if nodes == nil {
		return nil
	}
	var granted bool
	if err := nodes.Decode(&granted); err != nil || nodes.Tag != "!!bool" {
		return fmt.Errorf("%s:%d: nodes of token %q is %q, not true or false", path, nodes.Line, t.Name, nodes.Value)
	}
	if granted {
		t.view = t.view.AndNodes()
	}
	return nil
}

// parseBounds reads what may be written. A label that is not named is not bound; "" among its names allows series without it.
func parseBounds(path, name string, node *yaml.Node) ([]Bound, error) {
	labels := []string{"idc", "cluster", "node", "project"}
	fields, err := fieldsOf(path, node, append(labels, "otherwise")...)
	if err != nil {
		return nil, err
	}
	overwrite := false
	if policy := fields["otherwise"]; policy != nil {
		if policy.Value != "reject" && policy.Value != "overwrite" {
			return nil, fmt.Errorf("%s:%d: otherwise of token %q is %q, not reject or overwrite", path, policy.Line, name, policy.Value)
		}
		overwrite = policy.Value == "overwrite"
	}
	var bounds []Bound
	for _, label := range labels {
		field := fields[label]
		if field == nil {
			continue
		}
		bound := Bound{Label: label}
		if bound.Names, err = parseNames(path, name, label, field); err != nil {
			return nil, err
		}
		if overwrite {
			only, ok := bound.Names.Only()
			if !ok {
				return nil, fmt.Errorf("%s:%d: %s of token %q has several names or a *, so it is not known what to overwrite with", path, field.Line, label, name)
			}
			bound.Instead = only
		}
		bounds = append(bounds, bound)
	}
	if len(bounds) == 0 {
		return nil, fmt.Errorf("%s:%d: `write` of token %q bounds nothing; known are %v", path, node.Line, name, labels)
	}
	return bounds, nil
}

// mostNames bounds a list of names, longestPlace each of them.
const mostNames = 1000

func parseNames(path, token, field string, node *yaml.Node) (view.Names, error) {
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 || len(node.Content) > mostNames {
		return view.Names{}, fmt.Errorf("%s:%d: %s of token %q is not a list of 1 to %d names, for example [shop, \"shop-*\"]", path, node.Line, field, token, mostNames)
	}
	var list []string
	for _, n := range node.Content {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || len(n.Value) > longestPlace {
			return view.Names{}, fmt.Errorf("%s:%d: %s of token %q: %q is not a name of at most %d bytes; quote what YAML reads as a number or a truth", path, n.Line, field, token, n.Value, longestPlace)
		}
		list = append(list, n.Value)
	}
	names, err := view.NewNames(list)
	if err != nil {
		return view.Names{}, fmt.Errorf("%s:%d: %s of token %q: %w", path, node.Line, field, token, err)
	}
	return names, nil
}
