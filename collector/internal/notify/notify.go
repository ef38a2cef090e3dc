// Package notify carries alerts to people: an Alertmanager in process, or an external one it posts to.
//
// The embedded one is made of Alertmanager's own packages: routing, grouping, inhibition, silences, repeats, receivers and
// API v2 are as in a stand-alone Alertmanager, configured by the same alertmanager.yml or by an oncall.yaml, which is compiled to one.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// Config says where alerts go. One of OncallFile, ConfigFile and Remote, or none of them.
type Config struct {
	// DataDir is where silences and the log of notifications are kept. Required unless Remote has a URL.
	DataDir string
	// OncallFile is an oncall.yaml, see package oncall.
	OncallFile string
	// EventAlerts names the alerts that tell of an event, which an oncall.yaml sends without waiting for company. It is
	// asked with every reload. Nil: there are none.
	EventAlerts func() []string
	// ConfigFile is an alertmanager.yml. Without it and OncallFile alerts are grouped, inhibited and shown, and nobody is notified.
	ConfigFile string
	// Remote is an external Alertmanager that gets the alerts instead.
	Remote Remote
	// ExternalURL is where users reach the collector, for links in notifications.
	ExternalURL string
	// SnapshotInterval is how often the files of silences and of the log of notifications are written anew, without what
	// is over. Changes are appended to them at once. Default 1 min.
	SnapshotInterval time.Duration
	// Retention of expired silences and of the log of notifications. Default 120 h.
	Retention time.Duration
	// MaxAlertsPerName bounds the alerts of one name that are kept; more are dropped and counted. Default 20,000.
	MaxAlertsPerName int
	// MaxSilence bounds how long a silence may last from now on. Default 30 days.
	MaxSilence time.Duration
	// MaxSilences bounds the silences, MaxSilenceBytes the size of one. Defaults 10,000 and 64 KiB.
	MaxSilences     int
	MaxSilenceBytes int
}

func (c Config) withDefaults() Config {
	setDefault(&c.SnapshotInterval, time.Minute)
	setDefault(&c.Retention, 120*time.Hour)
	setDefault(&c.MaxAlertsPerName, 20_000)
	setDefault(&c.MaxSilence, 30*24*time.Hour)
	setDefault(&c.MaxSilences, 10_000)
	setDefault(&c.MaxSilenceBytes, 64<<10)
	setDefault(&c.Remote.Timeout, 10*time.Second)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// destination is one of the two ways alerts can go.
type destination interface {
	put(ctx context.Context, alerts []*model.Alert) error
	handler() http.Handler
	reload(ctx context.Context) error
	run(ctx context.Context) error
}

// Manager delivers alerts. Build it with Open.
type Manager struct{ to destination }

// Open reads the configuration, the silences and the log of notifications. Notifying begins with Run; alerts put before
// wait for it. An error in the configuration names file and line.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Manager, error) {
	cfg = cfg.withDefaults()
	given := 0
	for _, setting := range []bool{cfg.OncallFile != "", cfg.ConfigFile != "", len(cfg.Remote.URLs) > 0} {
		if setting {
			given++
		}
	}
	if given > 1 {
		return nil, errors.New("notify: oncall.yaml, an Alertmanager configuration and the URL of an external Alertmanager exclude each other")
	}
	var (
		to  destination
		err error
	)
	if len(cfg.Remote.URLs) > 0 {
		to, err = openRemote(cfg, log, reg)
	} else {
		to, err = openEmbedded(cfg, log, reg)
	}
	if err != nil {
		return nil, err
	}
	return &Manager{to: to}, nil
}

// Put takes alerts as Prometheus sends them: labels, annotations, StartsAt, EndsAt in the future while firing and in the
// past once resolved. What is wrong with single alerts is reported after the others were taken.
func (m *Manager) Put(ctx context.Context, alerts ...*model.Alert) error {
	return m.to.put(ctx, alerts)
}

// Handler serves Alertmanager's API v2 under /api/v2/; with an external Alertmanager it passes requests on.
func (m *Manager) Handler() http.Handler { return m.to.handler() }

// Reload reads oncall.yaml, or alertmanager.yml and its templates, again. When they are broken the old ones stay in force.
func (m *Manager) Reload(ctx context.Context) error { return m.to.reload(ctx) }

// Run notifies until ctx ends, then writes silences and the log of notifications a last time.
func (m *Manager) Run(ctx context.Context) error { return m.to.run(ctx) }
