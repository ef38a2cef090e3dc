package oncall

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// plan reads the whole page. Receivers and hours come first, because the rest names them.
func (d *document) plan(root *yaml.Node) *Plan {
	p := &Plan{file: d.file, repeat: 12 * time.Hour}
	var smtp map[string]any
	var receivers, hours, routes, fallback, heartbeat *yaml.Node
	keep := func(to **yaml.Node) func(*yaml.Node) { return func(n *yaml.Node) { *to = n } }
	d.fields(root, "oncall.yaml", map[string]func(*yaml.Node){
		"timezone":  func(n *yaml.Node) { p.zone = d.zone(n, "timezone") },
		"repeat":    func(n *yaml.Node) { p.repeat = d.duration(n, "repeat", time.Minute, 7*24*time.Hour).Round(time.Second) },
		"email":     func(n *yaml.Node) { smtp = d.smtp(n) },
		"receivers": keep(&receivers), "hours": keep(&hours), "routes": keep(&routes), "fallback": keep(&fallback), "watchdog": keep(&heartbeat),
	})
	if receivers == nil {
		d.fault(root, "receivers is missing: who can be told?")
	} else {
		p.receivers = d.receivers(receivers, smtp)
	}
	if hours != nil {
		for _, e := range d.entries(hours, "hours") {
			p.hours = append(p.hours, d.hours(e, p.zone))
		}
	}
	if fallback == nil {
		d.fault(root, "fallback is missing: who is told of what no route takes?")
	} else {
		p.fallback = d.targets(p, fallback, "fallback")
		for _, severity := range severities[:2] {
			if len(p.fallback[severity]) == 0 && len(d.faults) == 0 {
				d.fault(fallback, "fallback: %s must name a receiver: an alert that no route takes must not vanish", severity)
			}
		}
	}
	if routes != nil {
		if routes.Kind != yaml.SequenceNode {
			d.fault(routes, "routes: want a list")
		}
		owners := map[string]int{}
		for _, n := range routes.Content {
			p.routes = append(p.routes, d.route(p, target(n), owners))
		}
	}
	if heartbeat != nil {
		p.heartbeat = d.heartbeat(heartbeat)
	}
	return p
}

// route reads one route. owners are the lines of projects that routes before it take as a whole.
func (d *document) route(p *Plan, n *yaml.Node, owners map[string]int) route {
	var r route
	var projects []*yaml.Node
	var outside *yaml.Node
	r.inside = targets{}
	known := map[string]func(*yaml.Node){
		"team":     func(n *yaml.Node) { r.team = d.text(n, "team") },
		"projects": func(n *yaml.Node) { projects = d.list(n, "projects") },
		"idcs":     func(n *yaml.Node) { r.idcs = values(d.list(n, "idcs")) },
		"clusters": func(n *yaml.Node) { r.clusters = values(d.list(n, "clusters")) },
		"hours": func(n *yaml.Node) {
			r.hours = d.text(n, "hours")
			if !slices.ContainsFunc(p.hours, func(h hours) bool { return h.name == r.hours }) {
				d.fault(n, "hours: %q is not defined under hours", r.hours)
			}
		},
		"outside": func(n *yaml.Node) { outside = n },
	}
	for _, severity := range severities {
		known[severity] = func(n *yaml.Node) { r.inside[severity] = d.told(p, n, severity) }
	}
	d.fields(n, "route", known)
	if outside != nil {
		r.outside = d.targets(p, outside, "outside")
		if r.hours == "" {
			d.fault(outside, "outside: outside of what? The route names no hours")
		}
	}
	r.projects = values(projects)
	if len(projects) == 0 {
		d.fault(n, "route: projects is missing")
	}
	if len(r.inside) == 0 {
		d.fault(n, "route: names nobody: give critical, warning or info")
	}
	for _, project := range projects {
		if len(r.idcs)+len(r.clusters) > 0 {
			break
		}
		if line, taken := owners[project.Value]; taken {
			d.fault(project, "project %q is already taken by the route in line %d", project.Value, line)
		}
		owners[project.Value] = n.Line
	}
	return r
}

// targets reads receivers by severity.
func (d *document) targets(p *Plan, n *yaml.Node, what string) targets {
	t := targets{}
	known := map[string]func(*yaml.Node){}
	for _, severity := range severities {
		known[severity] = func(n *yaml.Node) { t[severity] = d.told(p, n, what+" "+severity) }
	}
	d.fields(n, what, known)
	return t
}

// told reads names of receivers, or none.
func (d *document) told(p *Plan, n *yaml.Node, what string) []string {
	names := []string{}
	for _, name := range d.list(n, what) {
		switch {
		case name.Value == none && len(target(n).Content) <= 1:
		case !slices.ContainsFunc(p.receivers, func(r receiver) bool { return r.name == name.Value }):
			d.fault(name, "%s: receiver %q is not defined under receivers", what, name.Value)
		case slices.Contains(names, name.Value):
			d.fault(name, "%s: %q is named twice", what, name.Value)
		default:
			names = append(names, name.Value)
		}
	}
	return names
}

// hours reads working hours.
func (d *document) hours(e entry, zone string) hours {
	h := hours{name: e.key.Value, zone: zone, days: []string{"monday:friday"}}
	clock := func(to *string, what string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			*to = d.text(n, what)
			if _, err := time.Parse("15:04", *to); (err != nil || len(*to) != 5) && *to != "24:00" {
				d.fault(n, "%s: %q: want hours and minutes in quotes, for example \"09:30\"", what, n.Value)
			}
		}
	}
	d.fields(e.value, "hours "+h.name, map[string]func(*yaml.Node){
		"days": func(n *yaml.Node) { h.days = d.days(n) },
		"from": clock(&h.from, "from"), "to": clock(&h.to, "to"),
		"timezone": func(n *yaml.Node) { h.zone = d.zone(n, "timezone") },
	})
	if h.from == "" || h.to == "" {
		d.fault(e.key, "hours %s: from and to are required", h.name)
	} else if h.from >= h.to {
		d.fault(e.key, "hours %s: from %s is not before to %s; hours over midnight need two entries", h.name, h.from, h.to)
	}
	return h
}

// days turns mon-fri or a list of days into Alertmanager's ranges.
func (d *document) days(n *yaml.Node) []string {
	week := []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	day := func(text string) string {
		if len(text) < 3 {
			return ""
		}
		for _, name := range week {
			if strings.HasPrefix(name, strings.ToLower(text)) {
				return name
			}
		}
		return ""
	}
	var ranges []string
	for _, item := range d.list(n, "days") {
		from, to, isRange := strings.Cut(item.Value, "-")
		first, last := day(strings.TrimSpace(from)), day(strings.TrimSpace(to))
		switch {
		case !isRange && first != "":
			ranges = append(ranges, first)
		case isRange && first != "" && last != "" && slices.Index(week, first) <= slices.Index(week, last):
			// Day by day: Alertmanager's week begins on Sunday, so it would refuse sat-sun.
			ranges = append(ranges, week[slices.Index(week, first):slices.Index(week, last)+1]...)
		default:
			d.fault(item, "days: %q: want for example mon-fri or [mon, wed, sat]", item.Value)
		}
	}
	return ranges
}

func (d *document) heartbeat(n *yaml.Node) *heartbeat {
	h := &heartbeat{every: time.Minute}
	d.fields(n, "watchdog", map[string]func(*yaml.Node){
		"url":      func(n *yaml.Node) { h.url = d.address(n, "url") },
		"url_file": func(n *yaml.Node) { h.urlFile = d.secretURL(n, "url_file") },
		"every":    func(n *yaml.Node) { h.every = d.duration(n, "every", 10*time.Second, time.Hour).Round(time.Second) },
	})
	if (h.url == "") == (h.urlFile == "") {
		d.fault(n, "watchdog: give url or url_file")
	}
	return h
}

// address is a URL without credentials.
func (d *document) address(n *yaml.Node, what string) string {
	text := d.text(n, what)
	if err := plainURL(text); err != nil {
		d.fault(n, "%s: %v", what, err)
	}
	return text
}

func plainURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is not an http or https URL", text)
	case u.User != nil || u.RawQuery != "":
		return fmt.Errorf("a URL with credentials or parameters may hold a secret: put it into a file and name that")
	}
	return nil
}
