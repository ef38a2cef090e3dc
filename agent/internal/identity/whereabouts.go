package identity

import (
	"cmp"
	"fmt"
)

// Claim is what one source says about where the node is. Empty means not said.
type Claim struct{ Source, IDC, Cluster string }

// Conflict is a label on which two sources disagree; the first is believed.
type Conflict struct{ Label, Believed, Source, Value, OtherSource string }

// String says it in one line.
func (c Conflict) String() string {
	return fmt.Sprintf("%s is %q by %s, and %q by %s", c.Label, c.Believed, c.Source, c.Value, c.OtherSource)
}

// Settle takes idc and cluster each from the first claim that says something, and lists the claims that say something else.
func Settle(node string, claims []Claim) (n Node, conflicts []Conflict) {
	n.Node = node
	for _, label := range [...]struct {
		name string
		to   *string
		of   func(Claim) string
	}{
		{"idc", &n.IDC, func(c Claim) string { return c.IDC }},
		{"cluster", &n.Cluster, func(c Claim) string { return c.Cluster }},
	} {
		believed := ""
		for _, c := range claims {
			said := label.of(c)
			switch {
			case said == "" || said == *label.to:
			case believed == "":
				*label.to, believed = said, c.Source
			default:
				conflicts = append(conflicts, Conflict{label.name, *label.to, believed, said, c.Source})
			}
		}
	}
	return n, conflicts
}

// FirstOf returns the value of the first of these labels that has one.
func FirstOf(labels map[string]string, names []string) (value string) {
	for _, name := range names {
		value = cmp.Or(value, labels[name])
	}
	return value
}
