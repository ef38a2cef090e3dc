package view

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Names are label values that are allowed: literal ones, and patterns in which * stands for any characters, also for none.
type Names struct {
	list []string
	text string // of the expression that matches one of them, without anchors
	expr *regexp.Regexp
}

// NewNames compiles names; at least one is needed.
func NewNames(list []string) (Names, error) {
	if len(list) == 0 {
		return Names{}, fmt.Errorf("no name is given")
	}
	alternatives := make([]string, len(list))
	for i, name := range list {
		parts := strings.Split(name, "*")
		for j := range parts {
			parts[j] = regexp.QuoteMeta(parts[j])
		}
		alternatives[i] = strings.Join(parts, ".*")
	}
	text := strings.Join(alternatives, "|")
	expr, err := regexp.Compile(`(?s)\A(?:` + text + `)\z`)
	if err != nil {
		return Names{}, fmt.Errorf("names %q: %w", list, err)
	}
	return Names{list: slices.Clone(list), text: text, expr: expr}, nil
}

// Match tells whether value is one of the names.
func (n Names) Match(value string) bool { return n.expr != nil && n.expr.MatchString(value) }

// Only is the one value there is, when the names are a single literal.
func (n Names) Only() (value string, ok bool) {
	if len(n.list) != 1 || n.list[0] == "" || strings.Contains(n.list[0], "*") {
		return "", false
	}
	return n.list[0], true
}

// String writes the names for people.
func (n Names) String() string {
	quoted := make([]string, len(n.list))
	for i, name := range n.list {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, " or ")
}
