package projectmap

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// testCase is one entry of the test section: a container, and what must become of it. Empty is not asked.
type testCase struct {
	name                         string
	line                         int
	given                        Container
	project, rule                string
	team, tier, contact          string
	askTeam, askTier, askContact bool
}

// Words for expected rules that are no rule.
const (
	ruleDefault = "default" // one of the defaults
	ruleNone    = "none"    // nothing matched
)

func (p *parser) testCase(n *yaml.Node, m *Map) testCase {
	c := testCase{line: n.Line}
	fields := p.known(n, "the test", "name", "given", "project", "rule", "team", "tier", "contact")
	c.name, _ = p.text(fields["name"], "name", maxValueBytes)
	if given := fields["given"]; given == nil {
		p.fault(n.Line, "the test has no given")
	} else {
		c.given = p.given(given, "given")
	}
	if fields["project"] == nil {
		p.fault(n.Line, "the test expects no project; what nothing claims is %q", m.unassigned)
	}
	c.project, _ = p.text(fields["project"], "project", maxValueBytes)
	c.team, c.askTeam = p.text(fields["team"], "team", maxValueBytes)
	c.tier, c.askTier = p.text(fields["tier"], "tier", maxValueBytes)
	c.contact, c.askContact = p.text(fields["contact"], "contact", maxValueBytes)
	var ok bool
	if c.rule, ok = p.text(fields["rule"], "rule", maxValueBytes); ok && c.rule != ruleDefault && c.rule != ruleNone {
		for i := range m.rules {
			if m.rules[i].name == c.rule {
				return c
			}
		}
		p.fault(fields["rule"].Line, "rule: no rule has the name %q; a test may also expect %s or %s", c.rule, ruleDefault, ruleNone)
	}
	return c
}

// Verify runs the file's own test section. The error is of type Faults and names every test that fails, with its line.
func (m *Map) Verify() error {
	p := &parser{file: m.file}
	for _, c := range m.cases {
		got := m.Decide(c.given)
		var wrong []string
		ask := func(what string, asked bool, got, want string) {
			if asked && got != want {
				wrong = append(wrong, fmt.Sprintf("%s %q, expected %q", what, got, want))
			}
		}
		ask("project", true, got.Project, c.project)
		ask("rule", c.rule != "", m.ruleWord(got), c.rule)
		ask("team", c.askTeam, got.Team, c.team)
		ask("tier", c.askTier, got.Tier, c.tier)
		ask("contact", c.askContact, got.Contact, c.contact)
		if len(wrong) > 0 {
			name := ""
			if c.name != "" {
				name = " " + c.name
			}
			p.fault(c.line, "test%s fails: %s (decided by %s)", name, strings.Join(wrong, "; "), got.Rule)
		}
	}
	return p.err()
}

// ruleWord is what a test writes to expect what decided d.
func (m *Map) ruleWord(d Decision) string {
	switch {
	case d.Index >= 0:
		return m.rules[d.Index].name
	case d.Unassigned:
		return ruleNone
	default:
		return ruleDefault
	}
}
