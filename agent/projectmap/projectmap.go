// Package projectmap decides from one YAML file which project a container belongs to, and says which rule decided.
//
// The file is ordered rules, then built-in defaults, then a name for what nobody claims; README.md beside this file is its
// reference. A Map is parsed and compiled once and is immutable: it may be used by any number of goroutines.
package projectmap

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Container is what is known of a container, in no runtime's words. Empty is not known; an absent value matches nothing.
type Container struct {
	Labels, Annotations map[string]string
	// Namespace, Workload, Pod, Container, Image, Name, IDC, Cluster and Node are as in the labels of the series: the
	// namespace is that of Kubernetes, the stack or the Compose project.
	Namespace, Workload, Pod, Container, Image, Name string
	IDC, Cluster, Node                               string
	// Stack is Swarm's, ComposeProject Docker Compose's.
	Stack, ComposeProject string
	// Runtime is kubernetes, swarm, compose or docker.
	Runtime string
}

// Decision is what the map says of a container.
type Decision struct {
	Project string // never empty
	// Team and Tier become labels of the container's series. Contact does not: it is for those who read alerts.
	Team, Tier, Contact string
	// Unassigned: no rule and no default claimed it; Project is the map's name for that.
	Unassigned bool
	// Rule names what decided, for people: `rule payments`, `rule at line 7`, `default: label.project`, `nothing matched`.
	Rule string
	// Index is the rule's place in the file, from 0; -1 when no rule decided.
	Index int
	// Passed are the labels to let through to the series.
	Passed []Passed
}

// Passed is one label let through. Value is as the container has it: its user makes it fit for a label.
type Passed struct {
	Label PassLabel
	Value string
}

// Map is a compiled project map.
type Map struct {
	file       string
	text       []byte
	hash       string
	rules      []rule
	defaults   []attribute
	unassigned string
	owners     map[string]owner // of section projects
	pass       []PassLabel
	cases      []testCase
}

type rule struct {
	name       string // may be empty
	line       int
	conditions []condition
	project    template
	owner      owner
}

// owner is who answers for a project. In a rule the captures of its conditions may form the values.
type owner struct{ team, tier, contact template }

// Unassigned is the built-in name for the project of containers nothing claims.
const Unassigned = "unassigned"

// HashHeader is in every answer of a collector's /api/project-map: the map's hash, or NoMap. An answer without it is not a
// Plimsoll collector's. The ETag of a map is its hash in quotes.
const (
	HashHeader = "Plimsoll-Project-Map"
	NoMap      = "none"
)

// PlaceHeader is in such an answer where the asker's token has a place: idc and cluster of those who have none of their own, encoded as a
// query (idc=bj1&cluster=k1).
const PlaceHeader = "Plimsoll-Place"

// Builtin is the map in force where nobody wrote one: no rules, all defaults.
func Builtin() *Map {
	return &Map{defaults: builtinDefaults(), unassigned: Unassigned}
}

// builtinDefaults are asked in this order; the first that says something decides.
func builtinDefaults() []attribute {
	return []attribute{{kind: label, key: "project"}, {kind: label, key: "app.kubernetes.io/part-of"}, {kind: namespace}, {kind: stack}, {kind: composeProject}}
}

// Decide finds the project of c: the first rule whose conditions all hold decides, and when its captures are empty the
// container is unassigned all the same. Then come the defaults.
func (m *Map) Decide(c Container) Decision {
	d := m.decide(&c)
	if d.Project == "" {
		d.Project, d.Unassigned = m.unassigned, true
	}
	if o, known := m.owners[d.Project]; known && !d.Unassigned {
		d.Team = cmp.Or(d.Team, o.team.expand(nil))
		d.Tier = cmp.Or(d.Tier, o.tier.expand(nil))
		d.Contact = cmp.Or(d.Contact, o.contact.expand(nil))
	}
	for _, p := range m.pass {
		if value := p.source.of(&c); value != "" {
			d.Passed = append(d.Passed, Passed{Label: p, Value: value})
		}
	}
	return d
}

func (m *Map) decide(c *Container) Decision {
	for i := range m.rules {
		r := &m.rules[i]
		captures, ok := r.match(c)
		if !ok {
			continue
		}
		return Decision{
			Project: r.project.expand(captures), Team: r.owner.team.expand(captures), Tier: r.owner.tier.expand(captures),
			Contact: r.owner.contact.expand(captures), Rule: r.label(), Index: i,
		}
	}
	for _, a := range m.defaults {
		if value := a.of(c); value != "" {
			return Decision{Project: value, Rule: "default: " + a.String(), Index: -1}
		}
	}
	return Decision{Rule: "nothing matched", Index: -1}
}

// match tells whether all conditions hold and what they captured, in the order they are written in.
func (r *rule) match(c *Container) (captures []string, ok bool) {
	for i := range r.conditions {
		got, ok := r.conditions[i].match(c)
		if !ok {
			return nil, false
		}
		captures = append(captures, got...)
	}
	return captures, true
}

// label names the rule for people.
func (r *rule) label() string {
	if r.name != "" {
		return "rule " + r.name
	}
	return "rule at line " + itoa(r.line)
}

// Unassigned is the project of containers nothing claims.
func (m *Map) Unassigned() string { return m.unassigned }

// Text is the file as parsed; nil of the built-in map. The caller must not change it.
func (m *Map) Text() []byte { return m.text }

// Hash tells versions of the file apart: 16 hex digits, empty for the built-in map.
func (m *Map) Hash() string { return m.hash }

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Rules is the number of rules.
func (m *Map) Rules() int { return len(m.rules) }

// Tests is the number of tests in the file's own test section.
func (m *Map) Tests() int { return len(m.cases) }

// Owner says who answers for a project: its entry in section projects, else the first rule that gives the project as it is
// written. Captures are not followed backwards.
func (m *Map) Owner(project string) (team, tier, contact string) {
	if o, known := m.owners[project]; known {
		team, tier, contact = o.team.expand(nil), o.tier.expand(nil), o.contact.expand(nil)
	}
	for i := range m.rules {
		r := &m.rules[i]
		if text, literal := r.project.literal(); literal && text == project {
			team, tier, contact = cmp.Or(team, plain(r.owner.team)), cmp.Or(tier, plain(r.owner.tier)), cmp.Or(contact, plain(r.owner.contact))
		}
	}
	return team, tier, contact
}

// Projects lists the projects whose names are written in the file, sorted.
func (m *Map) Projects() []string {
	names := map[string]bool{}
	for name := range m.owners {
		names[name] = true
	}
	for i := range m.rules {
		if text, literal := m.rules[i].project.literal(); literal {
			names[text] = true
		}
	}
	return sorted(names)
}

func plain(t template) string {
	text, literal := t.literal()
	if !literal {
		return ""
	}
	return strings.TrimSpace(text)
}
