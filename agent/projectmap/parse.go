package projectmap

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file. They are far beyond what a company needs and keep a wrong file from costing an agent its memory.
const (
	maxFileBytes    = 1 << 20
	maxRules        = 2000
	maxProjects     = 5000
	maxCases        = 5000
	maxConditions   = 16  // of a rule
	maxAlternatives = 500 // of a condition
	maxPatternBytes = 1000
	maxValueBytes   = 200 // of a project, a team: the longest label value
	maxKeyBytes     = 317 // of a label's name: a Kubernetes prefix of 253, a slash, a name of 63
)

// MaxFileBytes is the largest file Parse takes.
const MaxFileBytes = maxFileBytes

// Parse reads and compiles a map. file is its name for messages. The error is of type Faults and has all that is wrong, each
// with its line. An empty file is a fault: it was more likely cut off than meant. The result does not refer to text.
func Parse(file string, text []byte) (*Map, error) {
	p := &parser{file: file}
	m := Builtin()
	m.file, m.text, m.hash = file, bytes.Clone(text), hashOf(text)
	root := p.document(text)
	if err := p.err(); err != nil {
		return nil, err
	}
	if root == nil || isNull(root) {
		p.fault(1, "the file is empty; a map without rules is `rules: []`")
		return nil, p.err()
	}
	fields := p.known(root, "the file", "rules", "projects", "defaults", "unassigned", "pass_labels", "tests")
	for _, n := range p.list(fields["rules"], "rules", maxRules) {
		m.rules = append(m.rules, p.rule(n))
	}
	p.uniqueNames(m.rules)
	m.owners = p.projects(fields["projects"])
	m.defaults = p.defaults(fields["defaults"])
	if text, ok := p.text(fields["unassigned"], "unassigned", maxValueBytes); ok {
		m.unassigned = text
	}
	m.pass = p.passLabels(fields["pass_labels"])
	for _, n := range p.list(fields["tests"], "tests", maxCases) {
		m.cases = append(m.cases, p.testCase(n, m))
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// rule reads one rule. After a fault what it returns is of no use.
func (p *parser) rule(n *yaml.Node) rule {
	r := rule{line: n.Line}
	fields := p.known(n, "the rule", "name", "match", "project", "team", "tier", "contact")
	r.name, _ = p.text(fields["name"], "name", maxValueBytes)
	var names []string
	switch match := fields["match"]; {
	case match == nil || isNull(match) || match.Kind == yaml.MappingNode && len(match.Content) == 0:
		p.fault(n.Line, "the rule has no match; to claim what no other rule claims, match `name: \"*\"` in the last rule")
	default:
		list := p.fields(match, "match")
		if len(list) > maxConditions {
			p.fault(match.Line, "match: %d conditions, the most is %d", len(list), maxConditions)
			list = nil
		}
		for _, f := range list {
			c := p.condition(f)
			r.conditions = append(r.conditions, c)
			if len(c.patterns) > 0 {
				names = append(names, c.patterns[0].names...)
			}
		}
	}
	if fields["project"] == nil {
		p.fault(n.Line, "the rule has no project")
	}
	r.project = p.template(fields["project"], "project", names)
	r.owner = p.owner(fields, names)
	return r
}

func (p *parser) owner(fields map[string]*yaml.Node, names []string) owner {
	return owner{
		team:    p.template(fields["team"], "team", names),
		tier:    p.template(fields["tier"], "tier", names),
		contact: p.template(fields["contact"], "contact", names),
	}
}

func (p *parser) template(n *yaml.Node, what string, names []string) template {
	text, ok := p.text(n, what, maxValueBytes)
	if !ok {
		return nil
	}
	t, err := parseTemplate(text, names)
	if err != nil {
		p.fault(n.Line, "%s %q: %v", what, text, err)
	}
	return t
}

// condition reads `attribute: pattern` or `attribute: [pattern, …]`.
func (p *parser) condition(f field) condition {
	c := condition{}
	var ok bool
	if c.attribute, ok = parseAttribute(f.name); !ok || len(c.attribute.key) > maxKeyBytes {
		hint := ""
		if f.name == "label" || f.name == "labels" || f.name == "annotation" || f.name == "annotations" {
			hint = "; write the key behind a dot: " + strings.TrimSuffix(f.name, "s") + ".KEY: value"
		}
		p.fault(f.line, "match: %q is nothing to look at%s; known are %s", f.name, hint, attributeWords())
		return c
	}
	items := []*yaml.Node{f.value}
	if f.value.Kind == yaml.SequenceNode {
		items = p.list(f.value, f.name, maxAlternatives)
		if len(f.value.Content) == 0 {
			p.fault(f.line, "%s: the list is empty", f.name)
		}
	}
	for _, item := range items {
		one, ok := p.pattern(item, f.name)
		if !ok {
			continue
		}
		if len(c.patterns) > 0 && !slices.Equal(one.names, c.patterns[0].names) {
			p.fault(item.Line, "%s: %q captures other parts than %q before it, so that $1 would have two meanings", f.name, one.source, c.patterns[0].source)
			continue
		}
		c.patterns = append(c.patterns, one)
	}
	return c
}

// pattern reads a plain value, which is a glob if it has * ? or a backslash, or {exact: …}, {glob: …}, {regexp: …}.
func (p *parser) pattern(n *yaml.Node, what string) (pattern, bool) {
	how := ""
	if n.Kind == yaml.MappingNode {
		fields := p.fields(n, what)
		if len(fields) != 1 || !slices.Contains([]string{"exact", "glob", "regexp"}, fields[0].name) {
			p.fault(n.Line, "%s must be a plain value, {exact: …}, {glob: …} or {regexp: …}", what)
			return pattern{}, false
		}
		how, n = fields[0].name, fields[0].value
	}
	text, ok := p.text(n, what, maxPatternBytes)
	if !ok {
		return pattern{}, false
	}
	if how == "" && hasGlob(text) {
		how = "glob"
	}
	one, err := exactly(text), error(nil)
	switch how {
	case "glob":
		one, err = compileGlob(text)
	case "regexp":
		one, err = compileRegexp(text)
	}
	if err != nil {
		p.fault(n.Line, "%s: %v", what, err)
		return pattern{}, false
	}
	return one, true
}

func (p *parser) uniqueNames(rules []rule) {
	lines := map[string]int{}
	for _, r := range rules {
		if first, taken := lines[r.name]; taken && r.name != "" {
			p.fault(r.line, "the name %q is taken by the rule at line %d", r.name, first)
		}
		lines[r.name] = r.line
	}
}

// projects reads the section of that name: who answers for a project, however it was found.
func (p *parser) projects(n *yaml.Node) map[string]owner {
	if n == nil || isNull(n) {
		return nil
	}
	list := p.fields(n, "projects")
	if len(list) > maxProjects {
		p.fault(n.Line, "projects: %d, the most is %d", len(list), maxProjects)
		return nil
	}
	owners := map[string]owner{}
	for _, f := range list {
		if strings.TrimSpace(f.name) == "" || len(f.name) > maxValueBytes {
			p.fault(f.line, "projects: %.40q is no name of a project", f.name)
			continue
		}
		owners[f.name] = p.owner(p.known(f.value, "project "+f.name, "team", "tier", "contact"), nil)
	}
	return owners
}

// defaults reads on, off or a list of attributes.
func (p *parser) defaults(n *yaml.Node) []attribute {
	if n == nil {
		return builtinDefaults()
	}
	if n.Kind == yaml.ScalarNode {
		switch n.Value {
		case "on", "true":
			return builtinDefaults()
		case "off", "false":
			return nil
		}
	}
	if n.Kind != yaml.SequenceNode {
		p.fault(n.Line, "defaults must be on, off, or a list in the order to ask in, for example [label.project, namespace]")
		return nil
	}
	var order []attribute
	for _, item := range p.list(n, "defaults", maxConditions) {
		text, ok := p.text(item, "defaults", maxKeyBytes+len("annotation."))
		if !ok {
			continue
		}
		a, ok := parseAttribute(text)
		if !ok {
			p.fault(item.Line, "defaults: %q is nothing to look at; known are %s", text, attributeWords())
			continue
		}
		order = append(order, a)
	}
	return order
}
