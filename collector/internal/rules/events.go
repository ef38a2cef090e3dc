package rules

import (
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// EventAlerts names the alerts of the event groups of cfg, sorted: those that are evaluated as soon as an event arrives and
// whose notification should not wait either. What cannot be read is left out; New and Reload say why.
func EventAlerts(cfg Config) []string {
	var texts [][]byte
	if cfg.Builtin != nil {
		names, _ := fs.Glob(cfg.Builtin, "*.yaml")
		for _, name := range names {
			text, _ := fs.ReadFile(cfg.Builtin, name)
			texts = append(texts, text)
		}
	}
	files, _ := expand(cfg.Globs, slog.New(slog.DiscardHandler))
	for _, name := range files {
		text, _ := os.ReadFile(name)
		texts = append(texts, text)
	}
	var alerts []string
	for _, text := range texts {
		var file struct {
			Groups []struct {
				Name  string
				Rules []struct{ Alert string }
			}
		}
		if yaml.Unmarshal(text, &file) != nil {
			continue
		}
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				if strings.HasPrefix(g.Name, EventPrefix) && r.Alert != "" {
					alerts = append(alerts, r.Alert)
				}
			}
		}
	}
	slices.Sort(alerts)
	return slices.Compact(alerts)
}
