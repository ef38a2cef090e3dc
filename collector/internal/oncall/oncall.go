// Package oncall turns oncall.yaml, a page of text that says who is told what, into an Alertmanager configuration.
//
// The page has receivers (people's channels), routes (a project's alerts by severity, in and outside working hours) and a
// fallback for everything else. Every fault is reported with its line; secrets come from files only.
package oncall

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/robot"
)

// severities are what the alerts of the pack have, worst first. Any other severity is treated as a warning.
var severities = []string{"critical", "warning", "info"}

// Names of receivers that the compiled configuration has besides the page's.
const (
	nobody   = "nobody"
	watchdog = "watchdog"
	none     = "none" // in the page: nobody is told
)

// Plan is a page that has no fault.
type Plan struct {
	file      string
	zone      string // of times in messages and of working hours that do not say theirs; empty is UTC
	repeat    time.Duration
	receivers []receiver // in the order of the page
	hours     []hours
	routes    []route
	fallback  targets
	heartbeat *heartbeat
}

type receiver struct {
	name     string
	channels map[string][]map[string]any // Alertmanager's receiver fields, for example slack_configs
	robots   []robot.Config
}

// hours are when people work.
type hours struct {
	name, zone, from, to string
	days                 []string
}

// targets are the receivers of each severity. A severity that is not there goes elsewhere, see route.of.
type targets map[string][]string

type route struct {
	team                     string
	projects, idcs, clusters []string // names, or patterns with *
	inside, outside          targets
	hours                    string // empty: inside holds at all times
}

// heartbeat is the dead man's switch: an address outside that raises the alarm when it is no longer called.
type heartbeat struct {
	url, urlFile string
	every        time.Duration
}

// Load reads a page. The error lists all faults, each with file and line.
func Load(file string) (*Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("oncall: %w", err)
	}
	d := &document{file: file, dir: filepath.Dir(file)}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("%s:%w", file, placed(err))
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s:1: empty: receivers and fallback are required", file)
	}
	p := d.plan(root.Content[0])
	if len(d.faults) > 0 {
		return nil, errors.Join(d.faults...)
	}
	return p, nil
}

// placed turns "yaml: line 3: x" into "3: x".
func placed(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line, rest, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": ")
	if !ok || !strings.HasPrefix(text, "line ") {
		return fmt.Errorf("1: %s", text)
	}
	return fmt.Errorf("%s: %s", line, rest)
}

// Zone is the time zone of the page, empty for UTC.
func (p *Plan) Zone() string { return p.zone }

// Robots are the group robots of every receiver that has some.
func (p *Plan) Robots() map[string][]robot.Config {
	all := map[string][]robot.Config{}
	for _, r := range p.receivers {
		if len(r.robots) > 0 {
			all[r.name] = r.robots
		}
	}
	return all
}

// of says who is told of a severity by a route: in the working hours, and outside them when there are some. What the route
// leaves out goes to the fallback, an info that nobody names to nobody.
func (p *Plan) of(r route, severity string) (inside, outside []string) {
	choose := func(t targets) []string {
		if to, ok := t[severity]; ok {
			return to
		}
		return p.fallback[severity]
	}
	inside = choose(r.inside)
	if r.hours == "" {
		return inside, inside
	}
	return inside, choose(r.outside)
}

// others are who is told that receiver x fails: the fallback without it or, when that is nobody, all others.
func (p *Plan) others(x string) []string {
	var all []string
	for _, severity := range severities[:2] {
		all = append(all, p.fallback[severity]...)
	}
	but := func(names []string) []string {
		slices.Sort(names)
		return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == x })
	}
	if all = but(all); len(all) > 0 {
		return all
	}
	for _, r := range p.receivers {
		all = append(all, r.name)
	}
	return but(all)
}

// Example is an alert that stands for all that a part of the page is about.
type Example struct {
	What   string // a project, or what stands for several
	Team   string
	Labels map[string]string
}

// Examples has one for every project the page names, then one for all other projects and one for alerts without project:
// those of nodes and of Plimsoll itself.
func (p *Plan) Examples() []Example {
	var all []Example
	for _, r := range p.routes {
		labels := map[string]string{}
		what := ""
		for name, patterns := range map[string][]string{"idc": r.idcs, "cluster": r.clusters} {
			if len(patterns) > 0 {
				labels[name] = strings.ReplaceAll(patterns[0], "*", "x")
				what = fmt.Sprintf(" (%s %s)", name, strings.Join(patterns, ", ")) + what
			}
		}
		for _, project := range r.projects {
			e := Example{What: project + what, Team: r.team, Labels: map[string]string{"project": strings.ReplaceAll(project, "*", "x")}}
			maps.Copy(e.Labels, labels)
			all = append(all, e)
		}
	}
	return append(all, Example{What: "any other project", Labels: map[string]string{"project": "\x00"}}, Example{What: "no project", Labels: map[string]string{}})
}
