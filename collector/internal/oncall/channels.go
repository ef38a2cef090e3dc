package oncall

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/robot"
)

// receivers reads people's channels. A channel is given once or as a list.
func (d *document) receivers(n *yaml.Node, smtp map[string]any) []receiver {
	var all []receiver
	for _, e := range d.entries(n, "receivers") {
		r := receiver{name: e.key.Value, channels: map[string][]map[string]any{}}
		if slices.Contains([]string{nobody, watchdog, none, ""}, r.name) {
			d.fault(e.key, "receivers: the name %q is taken", r.name)
		}
		known := map[string]func(*yaml.Node){}
		for kind, read := range d.channels(&r, smtp) {
			known[kind] = func(n *yaml.Node) {
				if n.Kind != yaml.SequenceNode {
					read(n)
					return
				}
				for _, child := range n.Content {
					read(target(child))
				}
			}
		}
		before := len(d.faults)
		d.fields(e.value, "receiver "+r.name, known)
		if len(r.channels)+len(r.robots) == 0 && len(d.faults) == before {
			d.fault(e.key, "receiver %s has no channel", r.name)
		}
		all = append(all, r)
	}
	return all
}

// channels are the readers of each kind of channel. What they add is Alertmanager's own configuration, or a robot.
func (d *document) channels(r *receiver, smtp map[string]any) map[string]func(*yaml.Node) {
	add := func(field string, c map[string]any) {
		c["send_resolved"] = true
		r.channels[field] = append(r.channels[field], c)
	}
	// simple reads a channel of one required secret file and optional texts.
	simple := func(field, what, secret string, isURL bool, fixed map[string]any, optional ...string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			c := map[string]any{}
			for k, v := range fixed {
				c[k] = v
			}
			known := map[string]func(*yaml.Node){secret: func(n *yaml.Node) {
				if isURL {
					c[renamed(field, secret)] = d.secretURL(n, secret)
				} else {
					c[renamed(field, secret)] = d.secret(n, secret)
				}
			}}
			for _, name := range optional {
				known[name] = func(n *yaml.Node) {
					if strings.HasSuffix(name, "url") {
						c[name] = d.address(n, name)
					} else {
						c[name] = d.text(n, name)
					}
				}
			}
			d.fields(n, what, known)
			if c[renamed(field, secret)] == nil {
				d.fault(n, "%s: %s is required", what, secret)
			}
			add(field, c)
		}
	}
	return map[string]func(*yaml.Node){
		"webhook": func(n *yaml.Node) {
			c := map[string]any{}
			d.fields(n, "webhook", map[string]func(*yaml.Node){
				"url":      func(n *yaml.Node) { c["url"] = d.address(n, "url") },
				"url_file": func(n *yaml.Node) { c["url_file"] = d.secretURL(n, "url_file") },
			})
			if len(c) != 1 {
				d.fault(n, "webhook: give url or url_file")
			}
			add("webhook_configs", c)
		},
		"slack": simple("slack_configs", "slack", "url_file", true, map[string]any{
			"title": `{{ template "plimsoll.title" . }}`, "text": `{{ template "plimsoll.slack" . }}`, "title_link": "{{ .ExternalURL }}",
			"fallback": `{{ template "plimsoll.title" . }}`, "username": "Plimsoll",
			"color": `{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger{{ else }}warning{{ end }}`,
		}, "channel"),
		"pagerduty": simple("pagerduty_configs", "pagerduty", "routing_key_file", false, map[string]any{
			"description": `{{ template "plimsoll.title" . }}: {{ template "plimsoll.what" (index .Alerts 0) }}`, "client": "Plimsoll", "client_url": "{{ .ExternalURL }}",
			"severity": `{{ with .CommonLabels.severity }}{{ if match "^(critical|warning|info)$" . }}{{ . }}{{ else }}error{{ end }}{{ else }}error{{ end }}`,
			"class":    "{{ .CommonLabels.alertname }}", "group": "{{ .CommonLabels.project }}", "component": "{{ .CommonLabels.workload }}", "source": "{{ .CommonLabels.idc }}/{{ .CommonLabels.cluster }}",
			// No text of an alert: values are read as YAML once rendered, and a colon would make a map of it.
			"details": map[string]string{
				"where": `{{ template "plimsoll.place" .CommonLabels }}`, "when": `{{ template "plimsoll.when" (index .Alerts 0) }}`,
			},
			"links": []map[string]string{{"href": "{{ (index .Alerts 0).Annotations.runbook_url }}", "text": "Runbook"}, {"href": "{{ (index .Alerts 0).Annotations.dashboard_url }}", "text": "Dashboard"}},
		}, "url"),
		"opsgenie": simple("opsgenie_configs", "opsgenie", "api_key_file", false, map[string]any{
			"message": `{{ template "plimsoll.title" . }}`, "description": `{{ template "plimsoll.text" . }}`, "source": "{{ .ExternalURL }}",
			"priority": `{{ if eq .CommonLabels.severity "critical" }}P1{{ else if eq .CommonLabels.severity "info" }}P5{{ else }}P3{{ end }}`,
			"entity":   "{{ .CommonLabels.workload }}", "tags": "{{ .CommonLabels.alertname }},{{ .CommonLabels.project }}",
		}, "api_url"),
		"msteams": simple("msteamsv2_configs", "msteams", "url_file", true, map[string]any{
			"title": `{{ template "plimsoll.title" . }}`, "text": `{{ template "plimsoll.msteams" . }}`,
		}),
		"telegram": d.telegram(add),
		"email":    d.email(add, smtp),
		"dingtalk": d.robot(r, robot.DingTalk, "secret_file"),
		"wecom":    d.robot(r, robot.WeCom, ""),
		"feishu":   d.robot(r, robot.Feishu, "secret_file"),
	}
}

// renamed is Alertmanager's name of our url_file.
func renamed(field, secret string) string {
	switch field {
	case "slack_configs":
		return "api_url_file"
	case "msteamsv2_configs":
		return "webhook_url_file"
	}
	return secret
}

func (d *document) telegram(add func(string, map[string]any)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		c := map[string]any{"message": `{{ template "plimsoll.text" . }}`, "parse_mode": ""}
		d.fields(n, "telegram", map[string]func(*yaml.Node){
			"bot_token_file": func(n *yaml.Node) { c["bot_token_file"] = d.secret(n, "bot_token_file") },
			"chat_id": func(n *yaml.Node) {
				var id int64
				if n.Decode(&id) != nil || id == 0 {
					d.fault(n, "chat_id: %q is not a number", n.Value)
				}
				c["chat_id"] = id
			},
			"api_url": func(n *yaml.Node) { c["api_url"] = d.address(n, "api_url") },
		})
		if c["bot_token_file"] == nil || c["chat_id"] == nil {
			d.fault(n, "telegram: bot_token_file and chat_id are required")
		}
		add("telegram_configs", c)
	}
}

func (d *document) email(add func(string, map[string]any), smtp map[string]any) func(*yaml.Node) {
	return func(n *yaml.Node) {
		c := map[string]any{
			"html": `{{ template "plimsoll.html" . }}`, "text": `{{ template "plimsoll.text" . }}`,
			"headers": map[string]string{"Subject": `{{ template "plimsoll.title" . }}`},
		}
		for k, v := range smtp {
			c[k] = v
		}
		d.fields(n, "email", map[string]func(*yaml.Node){
			"to": func(n *yaml.Node) { c["to"] = strings.Join(values(d.list(n, "to")), ", ") },
		})
		switch {
		case c["to"] == nil:
			d.fault(n, "email: to is required")
		case smtp == nil:
			d.fault(n, "email: the page has no email section that names the mail server")
		}
		add("email_configs", c)
	}
}

// smtp is the mail server of all e-mail.
func (d *document) smtp(n *yaml.Node) map[string]any {
	c := map[string]any{}
	d.fields(n, "email", map[string]func(*yaml.Node){
		"smarthost":     func(n *yaml.Node) { c["smarthost"] = d.text(n, "smarthost") },
		"from":          func(n *yaml.Node) { c["from"] = d.text(n, "from") },
		"username":      func(n *yaml.Node) { c["auth_username"] = d.text(n, "username") },
		"password_file": func(n *yaml.Node) { c["auth_password_file"] = d.secret(n, "password_file") },
		"require_tls": func(n *yaml.Node) {
			var on bool
			if n.Decode(&on) != nil {
				d.fault(n, "require_tls: true or false")
			}
			c["require_tls"] = on
		},
	})
	if c["smarthost"] == nil || c["from"] == nil {
		d.fault(n, "email: smarthost (host:port) and from are required")
	}
	return c
}

func (d *document) robot(r *receiver, kind robot.Kind, secret string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		cfg := robot.Config{Kind: kind}
		known := map[string]func(*yaml.Node){
			"url_file": func(n *yaml.Node) { cfg.URLFile = d.secretURL(n, "url_file") },
			"mention": func(n *yaml.Node) {
				users := values(d.list(n, "mention"))
				if slices.ContainsFunc(users, func(u string) bool { return strings.ContainsAny(u, ",<> ") }) {
					d.fault(n, "mention: want mobile numbers or user ids")
				}
				cfg.Mention = strings.Join(users, ",")
			},
		}
		if secret != "" {
			known[secret] = func(n *yaml.Node) { cfg.SecretFile = d.secret(n, secret) }
		}
		d.fields(n, string(kind), known)
		if cfg.URLFile == "" {
			d.fault(n, "%s: url_file is required", kind)
		}
		r.robots = append(r.robots, cfg)
	}
}

// secret is a file that must be there and hold something.
func (d *document) secret(n *yaml.Node, what string) string {
	path := d.path(n, what)
	if path == "" {
		return ""
	}
	if _, err := content(path); err != nil {
		d.fault(n, "%s: %v", what, err)
	}
	return path
}

// secretURL is a file that holds a URL.
func (d *document) secretURL(n *yaml.Node, what string) string {
	path := d.path(n, what)
	if path == "" {
		return ""
	}
	text, err := content(path)
	if err != nil {
		d.fault(n, "%s: %v", what, err)
		return path
	}
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		d.fault(n, "%s: %s does not hold an http or https URL", what, path) // without the text: it is a secret
	}
	return path
}

func content(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if trimmed := strings.TrimSpace(string(text)); trimmed != "" {
		return trimmed, nil
	}
	return "", fmt.Errorf("%s is empty", path)
}
