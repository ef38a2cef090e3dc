package projectmap

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/agent/catalog"
)

// PassLabel lets a label or annotation of containers through to their series.
type PassLabel struct {
	source attribute
	// As is its name on the series.
	As string
	// MaxValues is how many different values one agent lets through at a time.
	MaxValues int
	// MaxLength is the longest value, in characters; a longer one is cut.
	MaxLength int
}

// Bounds and defaults of pass_labels.
const (
	maxPassLabels   = 8
	passValues      = 100
	maxPassValues   = 10_000
	passLength      = 64
	maxNameBytes    = 100
	reservedPurpose = "is a label of Plimsoll's own or of Prometheus; give another name with `as:`"
)

// passLabels reads a list of keys, or of {label: KEY | annotation: KEY, as: NAME, max_values: N, max_length: N}.
func (p *parser) passLabels(n *yaml.Node) []PassLabel {
	var list []PassLabel
	for _, item := range p.list(n, "pass_labels", maxPassLabels) {
		one, ok := p.passLabel(item)
		if !ok {
			continue
		}
		if slices.ContainsFunc(list, func(other PassLabel) bool { return other.As == one.As }) {
			p.fault(item.Line, "pass_labels: the name %q comes twice; give another with `as:`", one.As)
			continue
		}
		list = append(list, one)
	}
	return list
}

func (p *parser) passLabel(n *yaml.Node) (PassLabel, bool) {
	one := PassLabel{MaxValues: passValues, MaxLength: passLength}
	fields := map[string]*yaml.Node{"label": n}
	if n.Kind == yaml.MappingNode {
		fields = p.known(n, "pass_labels", "label", "annotation", "as", "max_values", "max_length")
	}
	source, sort := fields["label"], label
	switch {
	case source != nil && fields["annotation"] != nil:
		p.fault(n.Line, "pass_labels: give label or annotation, not both")
		return one, false
	case source == nil && fields["annotation"] == nil:
		p.fault(n.Line, "pass_labels: which? Give label: KEY or annotation: KEY")
		return one, false
	case source == nil:
		source, sort = fields["annotation"], annotation
	}
	key, ok := p.text(source, "pass_labels", maxKeyBytes)
	if !ok {
		return one, false
	}
	one.source, one.As = attribute{kind: sort, key: key}, labelName(key)
	if as := fields["as"]; as != nil {
		if one.As, ok = p.text(as, "as", maxNameBytes); !ok {
			return one, false
		}
		if one.As != labelName(one.As) {
			p.fault(as.Line, "as: %q is no name of a label: letters, digits and _, no digit first; for example %q", one.As, labelName(one.As))
			return one, false
		}
	}
	if len(one.As) > maxNameBytes {
		p.fault(n.Line, "pass_labels: %.40q… is too long for a name; give a shorter one with `as:`", one.As)
		return one, false
	}
	if reserved(one.As) {
		p.fault(n.Line, "pass_labels: %q %s", one.As, reservedPurpose)
		return one, false
	}
	one.MaxValues = p.number(fields["max_values"], "max_values", passValues, maxPassValues)
	one.MaxLength = p.number(fields["max_length"], "max_length", passLength, maxValueBytes)
	if one.MaxLength < shortestCut {
		p.fault(fields["max_length"].Line, "max_length: at least %d, as a cut value ends in a hash of the whole", shortestCut)
	}
	return one, true
}

// shortestCut is the least max_length: a cut value carries 9 characters of hash.
const shortestCut = 16

// labelName makes a key fit for the name of a label: letters, digits and _, no digit first.
func labelName(key string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, key)
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

// reserved tells that a name means something already on the series of a container or in an alert.
func reserved(name string) bool {
	if strings.HasPrefix(name, "__") || slices.Contains([]string{
		"project", "idc", "cluster", "node", "namespace", "workload", "pod", "container", "image", "id", "name", "team", "tier",
		"job", "instance", "collector", "le", "quantile", "reason", "alertname", "severity",
	}, name) {
		return true
	}
	for _, id := range catalog.IDs() {
		m := catalog.Lookup(id)
		if m.Varying == name {
			return true
		}
		for _, fixed := range m.Fixed {
			if fixed.Name == name {
				return true
			}
		}
	}
	return false
}
