package notify

import (
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/oncall"
	"github.com/plimsoll/plimsoll/collector/internal/robot"
)

//go:embed default.yml
var defaultConfig string

// ParseError is a fault in an Alertmanager configuration.
type ParseError struct {
	File string
	Line int // 1 is the first; 0 when the fault has no place
	Err  error
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// Check reads the files of cfg with their templates and receivers as Open would.
func Check(cfg Config) error {
	quiet := slog.New(slog.DiscardHandler)
	if len(cfg.Remote.URLs) > 0 {
		_, err := openRemote(cfg.withDefaults(), quiet, prometheus.NewRegistry())
		return err
	}
	conf, err := load(cfg)
	if err != nil {
		return err
	}
	_, err = conf.receivers(robot.New(quiet), quiet)
	return err
}

// loaded is a configuration whose parts all could be built.
type loaded struct {
	file      string // empty: the built-in default
	text      []byte
	config    *config.Config
	templates *template.Template
	robots    map[string][]robot.Config // by receiver
	plan      *oncall.Plan              // nil without oncall.yaml
}

func load(cfg Config) (loaded, error) {
	conf, err := read(cfg)
	if err != nil {
		return loaded{}, err
	}
	zone := ""
	if conf.plan != nil {
		zone = conf.plan.Zone()
	}
	if err := conf.templates.Parse(strings.NewReader(robot.Templates(zone))); err != nil {
		return loaded{}, fmt.Errorf("notify: built-in templates: %w", err)
	}
	return conf, nil
}

func read(cfg Config) (loaded, error) {
	switch {
	case cfg.OncallFile != "":
		return loadPlan(cfg)
	case cfg.ConfigFile != "":
		return loadFile(cfg.ConfigFile)
	}
	conf, err := config.Load(defaultConfig)
	if err != nil {
		return loaded{}, fmt.Errorf("notify: built-in configuration: %w", err)
	}
	tmpl, err := template.FromGlobs(nil)
	return loaded{config: conf, templates: tmpl}, err
}

// loadPlan compiles an oncall.yaml. Inhibition is as without any configuration.
func loadPlan(cfg Config) (loaded, error) {
	plan, err := oncall.Load(cfg.OncallFile)
	if err != nil {
		return loaded{}, err
	}
	var builtin struct {
		InhibitRules any `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal([]byte(defaultConfig), &builtin); err != nil {
		return loaded{}, fmt.Errorf("notify: built-in configuration: %w", err)
	}
	var events []string
	if cfg.EventAlerts != nil {
		events = cfg.EventAlerts()
	}
	text, err := plan.Compile(events, builtin.InhibitRules)
	if err != nil {
		return loaded{}, err
	}
	conf, err := config.Load(text)
	if err != nil {
		return loaded{}, fmt.Errorf("%s: %w", cfg.OncallFile, err)
	}
	tmpl, err := template.FromGlobs(nil)
	return loaded{file: cfg.OncallFile, text: []byte(text), config: conf, templates: tmpl, robots: plan.Robots(), plan: plan}, err
}

func loadFile(file string) (loaded, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return loaded{}, fmt.Errorf("notify: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return loaded{}, &ParseError{File: file, Line: lineIn(err), Err: err}
	}
	if _, err := config.Load(string(text)); err != nil {
		return loaded{}, &ParseError{File: file, Line: locate(&root, err), Err: err}
	}
	conf, err := config.LoadFile(file) // once more: it resolves file names relative to the configuration
	if err != nil {
		return loaded{}, fmt.Errorf("notify: %s: %w", file, err)
	}
	if err := secretsIn(file, &root); err != nil {
		return loaded{}, err
	}
	tmpl, err := template.FromGlobs(conf.Templates)
	if err != nil {
		return loaded{}, &ParseError{File: file, Line: lineOf(text, "templates"), Err: err}
	}
	return loaded{file: file, text: text, config: conf, templates: tmpl}, nil
}

// lineOf is the line of the first node with the given text, 0 when there is none.
func lineOf(text []byte, value string) int {
	var root yaml.Node
	if yaml.Unmarshal(text, &root) != nil {
		return 0
	}
	var find func(*yaml.Node) int
	find = func(n *yaml.Node) int {
		if n.Kind == yaml.ScalarNode && n.Value == value {
			return n.Line
		}
		for _, child := range n.Content {
			if line := find(child); line > 0 {
				return line
			}
		}
		return 0
	}
	return find(&root)
}

// lineOf is where the file names a receiver; an oncall.yaml was checked before, with its own lines.
func (l loaded) lineOf(receiver string) int {
	if l.plan != nil {
		return 0
	}
	return lineOf(l.text, receiver)
}

// receivers builds what sends for every receiver that a route names.
func (l loaded) receivers(robots *robot.Robots, log *slog.Logger) (map[string][]amnotify.Integration, error) {
	used := map[string]bool{}
	dispatch.NewRoute(l.config.Route, nil).Walk(func(r *dispatch.Route) { used[r.RouteOpts.Receiver] = true })
	built := map[string][]amnotify.Integration{}
	for _, r := range l.config.Receivers {
		if !used[r.Name] {
			log.Warn("receiver is in no route", "receiver", r.Name)
			continue
		}
		integrations, err := receiver.BuildReceiverIntegrations(r, l.templates, log)
		if err != nil {
			return nil, &ParseError{File: l.file, Line: l.lineOf(r.Name), Err: fmt.Errorf("receiver %q: %w", r.Name, err)}
		}
		for i, cfg := range l.robots[r.Name] {
			n, err := robots.Notifier(cfg, l.templates)
			if err != nil {
				return nil, &ParseError{File: l.file, Err: fmt.Errorf("receiver %q: %w", r.Name, err)}
			}
			integrations = append(integrations, amnotify.NewIntegration(n, alsoResolved{}, string(cfg.Kind), i, r.Name))
		}
		built[r.Name] = finishingAll(r.Name, integrations)
	}
	return built, nil
}

// alsoResolved makes Alertmanager tell a robot of the end of alerts too.
type alsoResolved struct{}

func (alsoResolved) SendResolved() bool { return true }
