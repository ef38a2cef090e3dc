// Package rules evaluates Prometheus rule files over one query function and tells one notify function which alerts fire.
//
// The evaluation itself is VictoriaMetrics' vmalert in process. Around it this package loads files (errors name file and
// line), schedules groups, restores the state of alerts after a restart, and answers /api/v1/rules and /api/v1/alerts.
package rules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// Series is one result of a query. An instant query yields one value.
type Series struct {
	Labels           []prompb.Label
	Values           []float64
	TimestampsMillis []int64
}

// QueryFunc evaluates expr at the given moment. The result belongs to the caller.
type QueryFunc func(ctx context.Context, expr string, at time.Time) ([]Series, error)

// AppendFunc stores the results of recording rules and the ALERTS series. It must not keep the slice.
type AppendFunc func([]prompb.TimeSeries) error

// NotifyFunc takes alerts as Prometheus sends them to an Alertmanager: EndsAt in the future while firing, in the past once
// resolved. An error makes the same alerts come again with the next evaluation.
type NotifyFunc func(ctx context.Context, alerts ...*model.Alert) error

// Queries turns an engine's own instant query method into a QueryFunc; its series type has the shape of Series.
func Queries[S ~struct {
	Labels           []prompb.Label
	Values           []float64
	TimestampsMillis []int64
}](query func(context.Context, string, time.Time) ([]S, error)) QueryFunc {
	return func(ctx context.Context, expr string, at time.Time) ([]Series, error) {
		from, err := query(ctx, expr, at)
		if err != nil {
			return nil, err
		}
		to := make([]Series, len(from))
		for i := range from {
			to[i] = Series(from[i])
		}
		return to, nil
	}
}

// Ports are what the manager works on.
type Ports struct {
	Query  QueryFunc
	Append AppendFunc
	Notify NotifyFunc
	// Flush makes appended samples visible to Query. May be nil.
	Flush func()
}

// EventPrefix marks a group whose rules watch for events: Kick evaluates it at once, between its regular evaluations.
const EventPrefix = "event."

// Config says which rules to evaluate. The zero value evaluates none.
type Config struct {
	// Builtin is the pack that comes with the program: every *.yaml at its root. Nil: no pack.
	Builtin fs.FS
	// Globs name the user's rule files. A name without wildcard must exist.
	Globs []string
	// ExternalURL is where users reach the collector, for links in alerts, without a slash at the end.
	ExternalURL string
	// Interval of groups that do not say theirs. Default 15 s.
	Interval time.Duration
	// QueryTimeout bounds one query. Default 30 s.
	QueryTimeout time.Duration
	// MaxSeriesPerRule bounds what one recording rule may yield, MaxAlertsPerRule the alerts of one alerting rule, unless
	// their group has a limit. More fails the rule, which is counted, and its alerts stay as they were. Defaults 100,000 and
	// 10,000: ten series and one alert for each container that one collector is made for.
	MaxSeriesPerRule, MaxAlertsPerRule int
	// Describe tells what is known of a metric that rules read. Nil: nothing.
	Describe func(metric string) Input
	// ResendInterval is how often a firing alert is told again although nothing changed. Default 1 min. An alert not told
	// for four times this long is taken for resolved by the receiver.
	ResendInterval time.Duration
	// RestoreWindow is how far back the state of alerts is looked for at start. Default 1 h.
	RestoreWindow time.Duration
	// StateFile keeps the state of alerts over a restart or crash. Empty: it is read from the ALERTS series alone, which
	// may lack the last seconds.
	StateFile string
	// RestoreGrace is how long after start an alert that fired before is given to show again before it is reported as
	// resolved: the data of the time the collector was away arrives late. Default 5 min.
	RestoreGrace time.Duration
}

func (c Config) withDefaults() Config {
	setDefault(&c.Interval, 15*time.Second)
	setDefault(&c.QueryTimeout, 30*time.Second)
	setDefault(&c.MaxSeriesPerRule, 100_000)
	setDefault(&c.MaxAlertsPerRule, 10_000)
	setDefault(&c.ResendInterval, time.Minute)
	setDefault(&c.RestoreWindow, time.Hour)
	setDefault(&c.RestoreGrace, 5*time.Minute)
	c.ExternalURL = strings.TrimRight(c.ExternalURL, "/")
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Manager evaluates rule groups. Build it with New; one per process, because vmalert keeps its settings in globals.
type Manager struct {
	cfg     Config
	ports   Ports
	log     *slog.Logger
	metrics *metrics
	state   *stateFile
	kicks   chan struct{}
	silence *silence

	mu      sync.RWMutex
	groups  []*group // in file order
	ctx     context.Context
	running sync.WaitGroup
}

// New reads and checks all rule files; it starts nothing. The error lists every fault with file and line.
func New(cfg Config, ports Ports, log *slog.Logger, reg prometheus.Registerer) (*Manager, error) {
	if ports.Query == nil || ports.Append == nil || ports.Notify == nil {
		return nil, errors.New("rules: Query, Append and Notify are required")
	}
	if ports.Flush == nil {
		ports.Flush = func() {}
	}
	cfg = cfg.withDefaults()
	external, err := url.Parse(cfg.ExternalURL)
	if err != nil {
		return nil, fmt.Errorf("rules: external URL: %w", err)
	}
	if err := prepareVmalert(external); err != nil {
		return nil, err
	}
	m := &Manager{
		cfg: cfg, ports: ports, log: log, metrics: newMetrics(reg), kicks: make(chan struct{}, 1),
		silence: &silence{query: ports.Query},
	}
	defs, err := load(cfg, log)
	if err != nil {
		return nil, err
	}
	if m.state, err = openState(cfg.StateFile, cfg.RestoreWindow, time.Now()); err != nil {
		log.Warn("state of alerts is read from the ALERTS series instead", "err", err)
	}
	m.groups = m.newGroups(defs)
	return m, nil
}

// kickSpacing is the least time between two evaluations on Kick.
const kickSpacing = time.Second

// Run evaluates until ctx ends and every evaluation in flight has stopped.
func (m *Manager) Run(ctx context.Context) error {
	m.mu.Lock()
	m.ctx = ctx
	m.silence.begin(time.Now())
	for _, g := range m.groups {
		m.start(g, func(now time.Time) past { return g.pastOf(ctx, now) })
	}
	m.mu.Unlock()
	m.running.Go(func() { m.state.run(ctx, m.stateWritten) })
	m.running.Go(func() { m.watchInputs(ctx) })

	for ctx.Err() == nil {
		select {
		case <-m.kicks:
			m.evaluateEventGroups()
			sleep(ctx, kickSpacing)
		case <-ctx.Done():
		}
	}
	m.mu.Lock()
	m.ctx = nil // a reload from now on starts nothing
	m.mu.Unlock()
	m.running.Wait()
	return nil
}

// Evaluate evaluates the groups that are due at the given moment, in the order of their files, and makes the results of each
// visible to the next. It is for those who bring a clock of their own, tests and back-tests, in place of Run.
func (m *Manager) Evaluate(ctx context.Context, at time.Time) {
	m.mu.RLock()
	groups := m.groups
	m.mu.RUnlock()
	for _, g := range groups {
		if g.vmalert == nil {
			g.vmalert = newVmalertGroup(g)
			g.metrics.appear(g.def, g.interval.Seconds())
		}
		if at.Sub(g.last) >= g.interval {
			g.evaluate(ctx, at)
			m.ports.Flush()
		}
	}
}

// stateWritten counts and logs what became of a write of the state file.
func (m *Manager) stateWritten(err error) {
	if err != nil {
		m.metrics.stateFailures.Inc()
		m.log.Error("the state of alerts is not on disk", "err", err)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// start must be called with mu held, while Run runs.
func (m *Manager) start(g *group, recall func(now time.Time) past) {
	ctx, cancel := context.WithCancel(m.ctx)
	g.stop = cancel
	m.running.Go(func() {
		defer close(g.stopped)
		defer cancel()
		g.run(ctx, recall)
	})
}

// Kick asks for the event groups to be evaluated now, because data of an event has been appended. It returns at once and
// may be called for every batch: kicks within a second count as one, and the last of them is never lost.
func (m *Manager) Kick() {
	select {
	case m.kicks <- struct{}{}:
	default:
	}
}

func (m *Manager) evaluateEventGroups() {
	m.metrics.kicks.Inc()
	m.ports.Flush()
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, g := range m.groups {
		if strings.HasPrefix(g.def.Name, EventPrefix) {
			g.wake()
		}
	}
}
