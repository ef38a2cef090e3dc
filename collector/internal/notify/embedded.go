package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/api"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"

	"github.com/plimsoll/plimsoll/collector/internal/robot"
)

// embedded is an Alertmanager: what lives as long as the process here, what its configuration decides in routing.
type embedded struct {
	cfg      Config
	log      *slog.Logger
	external *url.URL

	alerts                 *mem.Alerts
	silences               *silence.Silences
	silencer               *silence.Silencer
	sent                   *nflog.Log
	marker                 marker.GroupMarker
	api                    *api.API
	pipeline               *amnotify.PipelineBuilder
	dispatch               *dispatch.DispatcherMetrics
	robots                 *robot.Robots
	keptSent, keptSilences *durable
	recorder               eventrecorder.Recorder // the zero value records nothing

	mu      sync.Mutex // one reload at a time
	running bool
	routing atomic.Pointer[routing]
}

// alertGCInterval is how often resolved alerts are forgotten; Alertmanager's default.
const alertGCInterval = 30 * time.Minute

func openEmbedded(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*embedded, error) {
	conf, err := load(cfg)
	if err != nil {
		return nil, err
	}
	external, err := url.Parse(cfg.ExternalURL)
	if err != nil {
		return nil, fmt.Errorf("notify: external URL: %w", err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o750); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	// It would warn at every start that the feature is experimental.
	features, err := featurecontrol.NewFlags(slog.New(slog.DiscardHandler), featurecontrol.FeatureReceiverNameInMetrics)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	for _, name := range []string{"nflog", "silences"} {
		if err := mend(filepath.Join(cfg.DataDir, name)); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
	}
	own := prometheus.NewRegistry()
	e := &embedded{cfg: cfg, log: log, external: external, robots: robot.New(log), marker: marker.NewGroupMarker()}
	e.sent, err = nflog.New(nflog.Options{
		SnapshotFile: e.sentFile(), Retention: cfg.Retention, Logger: log, Metrics: own,
	})
	if err != nil {
		return nil, fmt.Errorf("notify: read %s: %w", e.sentFile(), err)
	}
	e.silences, err = silence.New(silence.Options{
		SnapshotFile: e.silencesFile(), Retention: cfg.Retention, Logger: log, Metrics: own, EventRecorder: e.recorder,
		Limits: silence.Limits{
			MaxSilences:         func() int { return cfg.MaxSilences },
			MaxSilenceSizeBytes: func() int { return cfg.MaxSilenceBytes },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("notify: read %s: %w", e.silencesFile(), err)
	}
	if err := e.keep(reg); err != nil {
		return nil, err
	}
	e.silencer = silence.NewSilencer(e.silences, log, e.recorder)
	e.alerts, err = mem.NewAlerts(context.Background(), alertGCInterval, cfg.MaxAlertsPerName, e.silencer, log, e.recorder, own, features)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	e.api, err = api.New(api.Options{
		Alerts: e.alerts, Silences: e.silences, GroupMutedFunc: e.marker.Muted, Logger: log, Registry: own,
		RequestDuration: promauto.With(own).NewHistogramVec(prometheus.HistogramOpts{
			Name: "alertmanager_http_request_duration_seconds", Help: "Latency of API requests.",
		}, []string{"handler", "method", "code"}),
		GroupFunc: func(ctx context.Context, routes func(*dispatch.Route) bool, alerts func(*alert.Alert, time.Time) bool) (dispatch.AlertGroups, map[model.Fingerprint][]string, error) {
			return e.routing.Load().dispatcher.Groups(ctx, routes, alerts)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	e.pipeline = amnotify.NewPipelineBuilder(own, features, e.recorder)
	e.dispatch = dispatch.NewDispatcherMetrics(false, own, features)
	first, err := e.newRouting(conf)
	if err != nil {
		e.alerts.Close()
		e.forget()
		return nil, err
	}
	e.publish(first)
	return e, reg.Register(newRelay(own))
}

func (e *embedded) sentFile() string     { return filepath.Join(e.cfg.DataDir, "nflog") }
func (e *embedded) silencesFile() string { return filepath.Join(e.cfg.DataDir, "silences") }

func (e *embedded) put(ctx context.Context, alerts []*model.Alert) error {
	now := time.Now()
	var faults []error
	accepted := make([]*alert.Alert, 0, len(alerts))
	for _, given := range alerts {
		a := &alert.Alert{Alert: *given, UpdatedAt: now}
		a.Labels = withoutEmpty(given.Labels)
		if err := a.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("notify: alert %s: %w", given.Labels, err))
			continue
		}
		accepted = append(accepted, a)
	}
	faults = append(faults, e.alerts.Put(ctx, accepted...))
	return errors.Join(faults...)
}

// withoutEmpty drops labels with an empty value: they are absent labels.
func withoutEmpty(labels model.LabelSet) model.LabelSet {
	kept := make(model.LabelSet, len(labels))
	for name, value := range labels {
		if value != "" {
			kept[name] = value
		}
	}
	return kept
}

func (e *embedded) handler() http.Handler {
	return owned(e.api.Register(route.New(), "/"), e.cfg.MaxSilence, time.Now)
}

func (e *embedded) reload(context.Context) error {
	conf, err := load(e.cfg)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	next, err := e.newRouting(conf)
	if err != nil {
		return err
	}
	if e.running {
		e.routing.Load().stop()
		next.start()
	}
	e.publish(next)
	e.log.Info("notification routing reloaded", "receivers", len(conf.config.Receivers))
	return nil
}

func (e *embedded) run(ctx context.Context) error {
	var snapshots sync.WaitGroup
	over := make(chan struct{})
	snapshots.Go(func() {
		e.sent.Maintenance(e.cfg.SnapshotInterval, e.sentFile(), over, collectAnd(e.sent.GC, e.keptSent))
	})
	snapshots.Go(func() {
		e.silences.Maintenance(e.cfg.SnapshotInterval, e.silencesFile(), over, collectAnd(e.silences.GC, e.keptSilences))
	})

	e.mu.Lock()
	e.running = true
	e.routing.Load().start()
	e.mu.Unlock()

	<-ctx.Done()

	e.mu.Lock()
	e.running = false
	e.routing.Load().stop()
	e.mu.Unlock()
	close(over) // each writes once more before it returns
	snapshots.Wait()
	e.alerts.Close()
	e.forget()
	return nil
}

// keep makes every change of silences and of the log of notifications durable before it takes effect for anybody.
func (e *embedded) keep(reg prometheus.Registerer) error {
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "plimsoll_collector_notify_state_write_failures_total", Help: "Changes of silences and of the log of notifications that did not reach the disk at once.",
	}, []string{"file"})
	if err := reg.Register(failed); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	var err error
	if e.keptSent, err = openDurable(e.sentFile(), e.sent.Snapshot, failed.WithLabelValues("nflog")); err != nil {
		return err
	}
	if e.keptSilences, err = openDurable(e.silencesFile(), e.silences.Snapshot, failed.WithLabelValues("silences")); err != nil {
		e.keptSent.close()
		return err
	}
	e.sent.SetBroadcast(e.keptSent.append)
	e.silences.SetBroadcast(e.keptSilences.append)
	return nil
}

func (e *embedded) forget() {
	e.keptSent.close()
	e.keptSilences.close()
}

// collectAnd forgets what is over, then writes the state anew.
func collectAnd(collect func() (int, error), d *durable) func() (int64, error) {
	return func() (int64, error) {
		if _, err := collect(); err != nil {
			return 0, err
		}
		return d.compact()
	}
}
