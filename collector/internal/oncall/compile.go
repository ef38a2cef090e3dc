package oncall

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// node is a part of an Alertmanager configuration.
type node = map[string]any

// How fast and how often. What watches for events does not wait for company; everything else gives the alert that explains
// the others (a lost cluster) ten seconds to come.
const (
	groupWait          = "10s"
	groupInterval      = "1m"
	eventGroupWait     = "500ms"
	eventGroupInterval = "15s"
)

// Compile writes the Alertmanager configuration. events are the names of the alerts that tell of an event; inhibit are the
// inhibition rules, as in an Alertmanager configuration.
func (p *Plan) Compile(events []string, inhibit any) (string, error) {
	c := compiler{plan: p, events: events}
	root := node{
		"receiver": nobody, "group_by": []string{"project", "idc", "cluster", "alertname"},
		"group_wait": groupWait, "group_interval": groupInterval, "repeat_interval": p.repeat.String(),
		"routes": c.routes(),
	}
	receivers := []node{{"name": nobody}}
	if h := p.heartbeat; h != nil {
		hook := node{"send_resolved": false}
		if h.url != "" {
			hook["url"] = h.url
		} else {
			hook["url_file"] = h.urlFile
		}
		receivers = append(receivers, node{"name": watchdog, "webhook_configs": []node{hook}})
	}
	for _, r := range p.receivers {
		n := node{"name": r.name}
		for kind, list := range r.channels {
			n[kind] = list
		}
		receivers = append(receivers, n)
	}
	var intervals []node
	for _, h := range p.hours {
		interval := node{"times": []node{{"start_time": h.from, "end_time": h.to}}, "weekdays": h.days}
		if h.zone != "" {
			interval["location"] = h.zone
		}
		intervals = append(intervals, node{"name": h.name, "time_intervals": []node{interval}})
	}
	text, err := yaml.Marshal(node{"route": root, "receivers": receivers, "time_intervals": intervals, "inhibit_rules": inhibit})
	if err != nil {
		return "", fmt.Errorf("oncall: %w", err)
	}
	return string(text), nil
}

type compiler struct {
	plan   *Plan
	events []string
}

// routes are tried one after the other; the first that matches has the alert.
func (c compiler) routes() []node {
	p := c.plan
	heartbeat := node{"matchers": []string{`alertname="Watchdog"`}, "receiver": nobody}
	if h := p.heartbeat; h != nil {
		heartbeat["receiver"] = watchdog
		heartbeat["group_wait"], heartbeat["group_interval"] = "0s", h.every.String()
		// Below the interval: at its end the last call is a little younger than it.
		heartbeat["repeat_interval"] = (h.every * 3 / 4).Round(time.Second).String()
	}
	all := []node{heartbeat, {"matchers": []string{`severity="none"`}, "receiver": nobody}}

	var failing []node
	for _, r := range p.receivers {
		failing = append(failing, node{
			"matchers": []string{matcher("receiver", "=", r.name)}, "receiver": nobody, "routes": c.legs(p.others(r.name), nil, ""),
		})
	}
	failing = append(failing, node{"receiver": nobody, "routes": c.legs(p.others(""), nil, "")})
	all = append(all, node{"matchers": []string{`alertname="NotificationFailing"`}, "receiver": nobody, "routes": failing})

	for _, r := range p.routes {
		matchers := []string{oneOf("project", r.projects)}
		if len(r.idcs) > 0 {
			matchers = append(matchers, oneOf("idc", r.idcs))
		}
		if len(r.clusters) > 0 {
			matchers = append(matchers, oneOf("cluster", r.clusters))
		}
		all = append(all, node{"matchers": matchers, "receiver": nobody, "routes": c.bySeverity(r)})
	}
	return append(all, node{"receiver": nobody, "routes": c.bySeverity(route{inside: p.fallback})})
}

func (c compiler) bySeverity(r route) []node {
	var all []node
	for _, severity := range severities {
		m := matcher("severity", "=", severity)
		if severity == "warning" {
			m = `severity!~"critical|info"`
		}
		inside, outside := c.plan.of(r, severity)
		all = append(all, node{"matchers": []string{m}, "receiver": nobody, "routes": c.legs(inside, outside, r.hours)})
	}
	return all
}

// legs tell each receiver, so that each has its own counters, silences nothing of the others and can fail alone. With hours,
// inside are told in them and outside at other times; who is in both at all times.
func (c compiler) legs(inside, outside []string, hours string) []node {
	times := map[string][]string{} // the field of Alertmanager that limits a receiver, by receiver
	var order []string
	add := func(names []string, field string) {
		for _, name := range names {
			if _, seen := times[name]; !seen {
				order = append(order, name)
			}
			times[name] = append(times[name], field)
		}
	}
	add(inside, "active_time_intervals")
	if hours != "" {
		add(outside, "mute_time_intervals")
	}
	var all []node
	for _, name := range order {
		leg := node{"receiver": name, "continue": true}
		event := node{
			"matchers": []string{`alertname=~"` + strings.Join(c.events, "|") + `"`}, "group_by": []string{"project", "idc", "cluster", "alertname", "workload"},
			"group_wait": eventGroupWait, "group_interval": eventGroupInterval,
		}
		if hours != "" && len(times[name]) == 1 {
			leg[times[name][0]], event[times[name][0]] = []string{hours}, []string{hours} // a child does not inherit them
		}
		if len(c.events) > 0 {
			leg["routes"] = []node{event}
		}
		all = append(all, leg)
	}
	return all
}

// oneOf matches names in which * stands for anything.
func oneOf(label string, patterns []string) string {
	var all []string
	for _, pattern := range patterns {
		all = append(all, strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*"))
	}
	return matcher(label, "=~", strings.Join(all, "|"))
}

func matcher(label, operator, value string) string {
	return label + operator + `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}
