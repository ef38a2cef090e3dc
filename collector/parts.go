package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/ingest"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
	"github.com/plimsoll/plimsoll/collector/internal/noise"
	"github.com/plimsoll/plimsoll/collector/internal/presence"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// progress is what the operator can see of the program as a whole.
type progress struct {
	running    atomic.Bool
	reloadedOK prometheus.Gauge
	reloadedAt prometheus.Gauge
}

func (c *collector) ready() error {
	if left := c.journal.Remaining(); left > 0 {
		return fmt.Errorf("the journal is being replayed, %d bytes are left", left)
	}
	if !c.running.Load() {
		return errors.New("starting or stopping")
	}
	return nil
}

// writable tells what keeps batches from being taken, without paths: /-/ready says it to everybody. The log says more.
func (c *collector) writable() error {
	switch {
	case c.journal.Fault() != nil:
		return errors.New("the journal can not be written")
	case c.engine.ReadOnly():
		return errors.New("less disk is free than --limit.free-disk")
	}
	return nil
}

// run runs the parts in two groups that end one after the other: what takes, evaluates and publishes, then what notifies.
func (c *collector) run(ctx context.Context) error {
	defer c.close()
	lateCtx, stopLate := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLate()
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	var early, late errgroup.Group
	guard := func(g *errgroup.Group, ctx context.Context, part func(context.Context) error) {
		g.Go(func() error {
			err := part(ctx)
			if err != nil {
				fail(err) // one part that fails stops all
			}
			return err
		})
	}
	guard(&late, lateCtx, c.notify.Run)
	guard(&late, lateCtx, c.nodes.Run)
	guard(&late, lateCtx, c.census.Run)
	guard(&early, failed, c.server.Run) // writes and /-/ready are told to wait for the replay
	context.AfterFunc(failed, c.ingest.Close)
	replayed := c.replay(failed)
	if replayed != nil {
		fail(replayed) // what starts now ends at once
	}
	guard(&late, lateCtx, c.journal.Run)
	guard(&early, failed, c.rules.Run)
	guard(&early, failed, c.scraper.Run)
	guard(&early, failed, c.presence.Run)
	guard(&early, failed, c.reloadOnHangup)
	guard(&early, failed, c.access.Run)
	if c.publisher != nil {
		guard(&early, failed, c.publisher.Run)
		guard(&early, failed, c.publisher.Annotate)
	}
	c.running.Store(true)
	context.AfterFunc(failed, func() { c.running.Store(false) })
	err := early.Wait()
	stopLate()
	return errors.Join(replayed, err, late.Wait())
}

// replay gives the engine what a crash may have cost it, before rules and people rely on it. A stop meanwhile is no error:
// the journal stays for the next start.
func (c *collector) replay(ctx context.Context) error {
	err := c.journal.Replay(ctx, func(b journal.Batch) error { return c.ingest.Replay(ctx, b) })
	if ctx.Err() != nil {
		return nil
	}
	c.engine.Flush()
	return err
}

// close gives back what build opened; the engine writes its memory to disk, so that the journal is not needed any more.
func (c *collector) close() {
	if c.journal != nil {
		if err := c.journal.Close(); err != nil {
			c.log.Error("the journal did not close cleanly", "error", err)
		}
	}
	if c.engine != nil {
		if err := c.engine.Close(); err != nil {
			c.log.Error("the engine did not close cleanly", "error", err)
		} else if c.journal != nil {
			c.journal.Discard()
		}
	}
	if c.listener != nil {
		c.listener.Close() // the server may have done so
	}
}

// reload reads tokens, certificates, the project map, the list of nodes, rules and the Alertmanager's configuration again. What is wrong keeps its old state,
// the others take effect.
func (c *collector) reload(r *http.Request) error { return c.reloadAll(r.Context()) }

func (c *collector) reloadAll(ctx context.Context) error {
	err := errors.Join(c.access.Reload(), c.projects.Reload(), c.reloadRoster(), c.notify.Reload(ctx), c.rules.Reload(ctx))
	if err != nil {
		c.reloadedOK.Set(0)
		c.log.Error("reload failed; what is wrong stays as it was", "error", err)
		return fmt.Errorf("what is wrong stays as it was: %w", err)
	}
	c.reloadedOK.Set(1)
	c.reloadedAt.SetToCurrentTime()
	c.log.Info("reloaded")
	return nil
}

func (c *collector) reloadRoster() error {
	if err := c.roster.Reload(); err != nil {
		return fmt.Errorf("--inventory.nodes: %w", err)
	}
	return nil
}

func (c *collector) reloadOnHangup(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-hangup:
			_ = c.reloadAll(ctx) // logged and counted
		case <-ctx.Done():
			return nil
		}
	}
}

// registerProgram registers what belongs to no part.
func registerProgram(reg prometheus.Registerer, p *progress) {
	p.reloadedOK = prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_collector_config_last_reload_successful", Help: "1 when the last start or reload took the whole configuration."})
	p.reloadedAt = prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_collector_config_last_reload_success_timestamp_seconds", Help: "When the whole configuration was last taken."})
	p.reloadedOK.Set(1)
	p.reloadedAt.Set(float64(time.Now().Unix()))
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_collector_build_info", Help: "Always 1; the version is the label.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	reg.MustRegister(p.reloadedOK, p.reloadedAt, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// knownAgents are the agents that ever wrote.
func knownAgents(nodes *ingest.Nodes) func() []presence.Agent {
	return func() []presence.Agent {
		table := nodes.List()
		all := make([]presence.Agent, len(table))
		for i, n := range table {
			all[i] = presence.Agent{IDC: n.IDC, Cluster: n.Cluster, Node: n.Node, Name: n.Agent, Heard: n.LastReceived, Newest: n.NewestSample, Left: n.Left}
		}
		return all
	}
}

// presenceChanged stores who is lost and has the rules look at once.
func (c *collector) presenceChanged() {
	_ = c.scraper.Now() // counted; the next round makes good for it
	c.rules.Kick()
}

// eventMetrics are the metrics whose every change sets off the event rules at once.
func eventMetrics() []string {
	return []string{"container_oom_events_total", "container_exits_total", "container_restarts_total", "container_health_state", "container_health_status"}
}

// agentMetadata is what the agents' metrics mean, for /api/v1/metadata; agents send figures only.
func agentMetadata() []prompb.MetricMetadata {
	kinds := map[catalog.Kind]prompb.MetricType{catalog.Counter: prompb.MetricTypeCounter, catalog.Gauge: prompb.MetricTypeGauge}
	known := map[string]bool{}
	var out []prompb.MetricMetadata
	for _, id := range catalog.IDs() {
		m := catalog.Lookup(id)
		if !known[m.Name] {
			known[m.Name] = true
			out = append(out, prompb.MetricMetadata{MetricFamilyName: m.Name, Help: m.Help, Unit: m.Unit, Type: kinds[m.Kind]})
		}
	}
	return out
}

// runbooks are the texts behind the alerts' links.
func runbooks() fs.FS {
	sub, err := fs.Sub(alerts.FS(), "runbooks")
	if err != nil {
		return nil
	}
	return sub
}

// firing asks the engine for the summary of noise.
func firing(e store) noise.QueryFunc {
	return func(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]noise.Series, error) {
		found, err := e.QueryRange(ctx, expr, from, to, step)
		all := make([]noise.Series, len(found))
		for i, s := range found {
			all[i] = noise.Series{Labels: map[string]string{}, TimestampsMillis: s.TimestampsMillis}
			for _, l := range s.Labels {
				all[i].Labels[l.Name] = l.Value
			}
		}
		return all, err
	}
}

// acts is what people did about alerts: silences, acknowledgements and releases.
func acts(alertmanager http.Handler, acknowledged *noise.Acknowledgements, e store) noise.ActsFunc {
	released := func(ctx context.Context, from, to time.Time) ([]noise.Release, error) {
		list, err := releases.Find(ctx, samples(e), nil, from, to)
		found := make([]noise.Release, len(list))
		for i, r := range list {
			found[i] = noise.Release{At: r.At, Labels: map[string]string{"project": r.Project, "idc": r.IDC, "cluster": r.Cluster, "namespace": r.Namespace, "workload": r.Workload}}
		}
		return found, err
	}
	return noise.Together(noise.Silences(alertmanager), acknowledged.Acts, noise.Releases(released))
}

// samples asks the engine for the value of an expression at a moment.
func samples(e store) releases.QueryFunc {
	return func(ctx context.Context, expr string, at time.Time) ([]releases.Sample, error) {
		found, err := e.Query(ctx, expr, at)
		all := make([]releases.Sample, 0, len(found))
		for _, s := range found {
			if len(s.Values) == 0 {
				continue
			}
			one := releases.Sample{Labels: map[string]string{}, Value: s.Values[len(s.Values)-1]}
			for _, l := range s.Labels {
				one.Labels[l.Name] = l.Value
			}
			all = append(all, one)
		}
		return all, err
	}
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
