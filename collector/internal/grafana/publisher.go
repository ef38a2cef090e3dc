// Package grafana keeps Plimsoll's data source, folder and dashboards in a Grafana as this collector ships them.
//
// It publishes when Grafana can be reached, looks again at every interval, and writes only what differs: a second
// round writes nothing, and Grafana's version history grows only when something changed. What a person changed in
// Grafana is put back (their version stays in Grafana's history, and the log names it); a copy under another uid is
// left alone. What file provisioning manages is left to it. Only dashboards that this package itself published are
// ever deleted. A Grafana that is down, slow or refuses the token costs one log line and a metric, never the collector.
package grafana

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/dashboards"
)

// Names in Grafana. They never change: links, saved queries and permissions hang on them.
const (
	DatasourceUID = "plimsoll"
	FolderUID     = "plimsoll"

	ownTag       = "plimsoll" // every dashboard of ours has the tag and the prefix
	ownUIDPrefix = "cont-"
)

// Config says where Grafana is and where it finds the collector.
type Config struct {
	// URL of Grafana, with its sub-path if it has one: https://grafana.example/monitoring. With user:password in it and
	// no TokenFile, basic authentication is used.
	URL string
	// TokenFile holds the token of a service account: role Admin, or Editor when somebody else makes the data source.
	// It is read at every round, so a rotated token needs no restart.
	TokenFile string
	// FolderTitle is the folder's name. Default "Plimsoll".
	FolderTitle string
	// DatasourceURL is this collector as Grafana reaches it.
	DatasourceURL string
	// DatasourceTokenFile holds a read token of this collector, which Grafana then sends. Empty sends none.
	DatasourceTokenFile string
	// Interval is how often Grafana is compared with what is shipped. 0 is 10 minutes.
	Interval time.Duration
	// Timeout of one request. 0 is 10 seconds.
	Timeout time.Duration
	// Edits says what becomes of what a person changed in Grafana. Empty is Repair.
	Edits Edits
	// Editable dashboards can be changed in Grafana; otherwise a person makes a copy to change.
	Editable bool
	// ReadOnly compares and reports, and writes nothing to Grafana.
	ReadOnly bool
	// Moments are posted as annotations, and AnnotationsFile keeps which were. Without one of the two none are.
	Moments         MomentsFunc
	AnnotationsFile string
}

// Edits is a policy for dashboards of ours that a person changed, moved or deleted the tag of.
type Edits string

const (
	Repair Edits = "repair" // put back; the person's version stays in Grafana's history
	Keep   Edits = "keep"   // left as it is until the person deletes it, counted as skipped
)

func (c Config) withDefaults() Config {
	if c.FolderTitle == "" {
		c.FolderTitle = "Plimsoll"
	}
	if c.Interval == 0 {
		c.Interval = 10 * time.Minute
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Edits == "" {
		c.Edits = Repair
	}
	return c
}

// Publisher is one Grafana to publish to.
type Publisher struct {
	cfg     Config
	url     *url.URL
	shipped []content
	log     *slog.Logger
	metrics *metrics

	round   sync.Mutex
	written map[string]int64 // by uid: the version Grafana gave our last write
}

// New checks the configuration and reads the dashboards; it connects to nothing.
func New(cfg Config, shipped fs.FS, log *slog.Logger, reg prometheus.Registerer) (*Publisher, error) {
	cfg = cfg.withDefaults()
	at, err := absoluteURL("grafana.url", cfg.URL)
	if err != nil {
		return nil, err
	}
	if _, err := absoluteURL("grafana.datasource-url", cfg.DatasourceURL); err != nil {
		return nil, err
	}
	if cfg.Edits != Repair && cfg.Edits != Keep {
		return nil, fmt.Errorf("grafana.edits: %q is neither %s nor %s", cfg.Edits, Repair, Keep)
	}
	if cfg.Interval < 0 || cfg.Timeout < 0 {
		return nil, fmt.Errorf("grafana: interval %s and timeout %s must not be negative", cfg.Interval, cfg.Timeout)
	}
	all, err := dashboards.Load(shipped)
	if err != nil {
		return nil, fmt.Errorf("grafana: %w", err)
	}
	p := &Publisher{cfg: cfg, url: at, log: log.With("grafana", at.Redacted()), written: map[string]int64{}}
	for _, d := range all {
		c, err := newContent(d, cfg.Editable)
		if err != nil {
			return nil, fmt.Errorf("grafana: dashboard %s: %w", d.File, err)
		}
		p.shipped = append(p.shipped, c)
	}
	p.metrics, err = newMetrics(reg, p.targets())
	if err != nil {
		return nil, fmt.Errorf("grafana: register metrics: %w", err)
	}
	return p, nil
}

func absoluteURL(name, value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s: %q is not an absolute http or https URL", name, u.Redacted())
	}
	return u, nil
}

// targets are the values of the metric label target.
func (p *Publisher) targets() []string {
	all := []string{targetGrafana, targetDatasource, targetFolder, targetAnnotations}
	for _, c := range p.shipped {
		all = append(all, c.uid)
	}
	return all
}

// Publish makes one round. The Report is also good when there is an error, which joins all its problems.
func (p *Publisher) Publish(ctx context.Context) (Report, error) {
	p.round.Lock()
	defer p.round.Unlock()
	r := &round{p: p}
	r.run(ctx)
	p.metrics.observe(r.report, time.Now())
	return r.report, errors.Join(r.report.errors()...)
}

// round is one visit to Grafana.
type round struct {
	p      *Publisher
	api    *client
	report Report
}

func (r *round) run(ctx context.Context) {
	api, err := r.p.connect(ctx)
	if err != nil {
		r.fail(targetGrafana, err)
		return
	}
	r.api = api
	s, err := r.putDatasource(ctx)
	switch {
	case errors.Is(err, errUnauthorized):
		r.fail(targetGrafana, err)
		return
	case err != nil:
		r.fail(targetDatasource, err)
	default:
		r.done(targetDatasource, s)
	}
	r.done(targetGrafana, reached)
	folder, err := r.folder(ctx)
	if err != nil {
		return
	}
	for _, c := range r.p.shipped {
		r.dashboard(ctx, c, folder)
	}
	r.prune(ctx, folder)
}
