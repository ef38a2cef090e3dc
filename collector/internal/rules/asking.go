package rules

import (
	"slices"
	template "text/template/parse"
)

// preamble gives the variables that vmalert gives templates.
const preamble = `{{ $value := . }}{{ $type := . }}{{ $labels := . }}{{ $expr := . }}{{ $interval := . }}{{ $externalLabels := . }}{{ $externalURL := . }}` +
	`{{ $alertID := . }}{{ $groupID := . }}{{ $activeAt := . }}{{ $for := . }}{{ $isPartial := . }}`

// asking names the templates among texts that ask a query.
func asking(texts map[string]string) (names []string) {
	for name, text := range texts {
		tree := template.New(name)
		tree.Mode = template.SkipFuncCheck
		trees := map[string]*template.Tree{}
		// What can not be parsed here is not known to be harmless.
		if _, err := tree.Parse(preamble+text, "", "", trees); err != nil || slices.ContainsFunc(nodesOf(trees), asks) {
			names = append(names, name)
		}
	}
	return names
}

// asks tells whether a node is the function that queries.
func asks(n template.Node) bool {
	called, is := n.(*template.IdentifierNode)
	return is && called.Ident == "query"
}

// nodesOf are all nodes of some templates.
func nodesOf(trees map[string]*template.Tree) (all []template.Node) {
	var walk func(template.Node)
	list := func(l *template.ListNode) {
		if l != nil {
			for _, n := range l.Nodes {
				walk(n)
			}
		}
	}
	branch := func(b *template.BranchNode) {
		walk(b.Pipe)
		list(b.List)
		list(b.ElseList)
	}
	walk = func(n template.Node) {
		all = append(all, n)
		switch n := n.(type) {
		case *template.ListNode:
			list(n)
		case *template.ActionNode:
			walk(n.Pipe)
		case *template.PipeNode:
			if n != nil {
				for _, c := range n.Cmds {
					walk(c)
				}
			}
		case *template.CommandNode:
			for _, arg := range n.Args {
				walk(arg)
			}
		case *template.ChainNode:
			walk(n.Node)
		case *template.IfNode:
			branch(&n.BranchNode)
		case *template.RangeNode:
			branch(&n.BranchNode)
		case *template.WithNode:
			branch(&n.BranchNode)
		case *template.TemplateNode:
			walk(n.Pipe)
		}
	}
	for _, tree := range trees {
		list(tree.Root)
	}
	return all
}

// Own tells of the alerts of a name whether a rule that is not built in may have made them, and which of their annotations such a
// rule fills by queries. What nobody knows is taken for a person's.
func (m *Manager) Own(alert string) (own bool, asking []string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	known := false
	for _, g := range m.groups {
		names, has := g.def.Asking[alert]
		if !has {
			continue
		}
		known = true
		if !Builtin(g.def.File) {
			own = true
			asking = append(asking, names...)
		}
	}
	return own || !known, asking
}
