// Package view is the part of the data that a reader may see: the series of some projects, and of nodes if that is granted.
//
// A request carries its view in its context. What reads data asks for it there, so that a restriction holds for everything
// that is done on behalf of the request.
package view

import (
	"context"
	"strconv"
	"strings"
)

// View is what one reader sees. A nil View is everything.
type View struct {
	projects Names
	nodes    bool
}

// New is the view of the series whose label project is one of the names.
func New(projects Names) *View { return &View{projects: projects} }

// AndNodes is v with the series of nodes: those with a label node, and neither a project nor a label of a container.
func (v *View) AndNodes() *View { return &View{projects: v.projects, nodes: true} }

// containerLabels are those of which a series of a node has none. A series with one of them and without project belongs to
// a container of nobody knows whom.
func containerLabels() []string {
	return []string{"namespace", "workload", "pod", "container", "image"}
}

// Selectors are MetricsQL selectors that together match what is seen.
func (v *View) Selectors() []string {
	list := []string{`{project=~` + strconv.Quote(v.projects.text) + `,project!=""}`}
	if v.nodes {
		list = append(list, `{node!="",project="",`+strings.Join(containerLabels(), `="",`)+`=""}`)
	}
	return list
}

// Project tells whether the series of a project are seen.
func (v *View) Project(name string) bool {
	return v == nil || name != "" && v.projects.Match(name)
}

// Nodes tells whether the series of nodes are seen.
func (v *View) Nodes() bool { return v == nil || v.nodes }

// Sees tells whether a series, or an alert, with these labels is seen.
func (v *View) Sees(labels map[string]string) bool {
	if v == nil || v.Project(labels["project"]) {
		return true
	}
	if !v.nodes || labels["project"] != "" || labels["node"] == "" {
		return false
	}
	for _, name := range containerLabels() {
		if labels[name] != "" {
			return false
		}
	}
	return true
}

// String writes the view for people.
func (v *View) String() string {
	if v == nil {
		return "everything"
	}
	words := "project " + v.projects.String()
	if v.nodes {
		words += " and nodes"
	}
	return words
}

type key struct{}

// With is ctx of a request whose reader sees v.
func With(ctx context.Context, v *View) context.Context { return context.WithValue(ctx, key{}, v) }

// Of is the view of the reader on whose behalf ctx is, nil for everything.
func Of(ctx context.Context) *View {
	v, _ := ctx.Value(key{}).(*View)
	return v
}
