package rules

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/notifier"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/rule"
	"github.com/prometheus/common/model"
)

// group evaluates the rules of one definition, one after the other, in one goroutine.
type group struct {
	def      definition
	interval time.Duration
	// recallable are the names of alerts no other group has: ALERTS series of that name are this group's.
	recallable []string

	cfg     Config
	ports   Ports
	metrics *metrics
	state   *stateFile
	log     *slog.Logger
	silence *silence
	// ownInputs tells whether an expression rests on what the collector itself measures.
	ownInputs func(expr string) bool

	woken   chan struct{}
	stop    context.CancelFunc // set when started
	stopped chan struct{}

	// Only the goroutine of run uses these.
	vmalert   *rule.Group
	told      map[model.Fingerprint]told
	last      time.Time
	broken    map[string]bool // rules whose last evaluation failed
	saved     past            // what the state file has
	savedKeep map[model.Fingerprint]time.Time

	view atomic.Pointer[groupView]
	arms atomic.Pointer[[]armed] // by rule; nil until the inputs were looked for
	left past                    // what was known when run returned; read after stopped is closed
}

func (m *Manager) newGroups(defs []definition) []*group {
	owners := map[string]int{}
	for _, def := range defs {
		for name := range alertNames(def) {
			owners[name]++
		}
	}
	groups, own := make([]*group, len(defs)), ownInputs(defs)
	for i, def := range defs {
		g := &group{
			def: def, interval: def.Interval, cfg: m.cfg, ports: m.ports, metrics: m.metrics, state: m.state,
			silence: m.silence, ownInputs: own,
			log:   m.log.With("file", def.File, "group", def.Name),
			woken: make(chan struct{}, 1), stopped: make(chan struct{}),
			told: map[model.Fingerprint]told{}, broken: map[string]bool{},
		}
		setDefault(&g.interval, m.cfg.Interval)
		for name := range alertNames(def) {
			if owners[name] == 1 {
				g.recallable = append(g.recallable, name)
			}
		}
		g.view.Store(newGroupView(g))
		groups[i] = g
	}
	return groups
}

func alertNames(def definition) map[string]time.Duration {
	names := map[string]time.Duration{}
	for _, r := range def.Rules {
		if r.Alert != "" {
			names[r.Alert] = r.For.Duration()
		}
	}
	return names
}

func (g *group) wake() {
	select {
	case g.woken <- struct{}{}:
	default:
	}
}

// spacing keeps a group from being evaluated twice within a second: results carry whole seconds.
const spacing = time.Second

// run evaluates at once, then at fixed moments of the interval, and whenever woken, until ctx ends.
func (g *group) run(ctx context.Context, recall func(now time.Time) past) {
	g.vmalert = newVmalertGroup(g)
	defer closeVmalertGroup(g.vmalert)
	g.metrics.appear(g.def, g.interval.Seconds())
	defer g.metrics.disappear(g.def)

	now := time.Now()
	g.resume(ctx, now, recall(now))
	g.evaluate(ctx, now)

	next := g.nextTick(time.Now())
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			g.left = g.leave()
			return
		case <-g.woken:
		case <-timer.C:
			following := g.nextTick(time.Now())
			missed := max(0, following.Sub(next)/g.interval-1) // 0 too when the clock was set back
			g.metrics.missed.WithLabelValues(g.def.File, g.def.Name).Add(float64(missed))
			next = following
			timer.Reset(time.Until(next))
		}
		if wait := spacing - time.Since(g.last); wait > 0 {
			sleep(ctx, wait)
		}
		g.evaluate(ctx, time.Now())
	}
}

// nextTick is the first moment after now that is the group's own offset into a multiple of the interval, so that groups do
// not all evaluate at the same moment and keep theirs over restarts.
func (g *group) nextTick(now time.Time) time.Time {
	h := fnv.New64a()
	fmt.Fprint(h, g.def.key())
	offset := time.Duration(h.Sum64() % uint64(g.interval))
	tick := now.Truncate(g.interval).Add(offset)
	if !tick.After(now) {
		tick = tick.Add(g.interval)
	}
	return tick
}

// evaluate evaluates every rule at the given moment, stores the results and tells about the alerts.
func (g *group) evaluate(ctx context.Context, at time.Time) {
	g.last = at
	begin := time.Now()
	var out results
	g.count(g.vmalert.ExecOnce(ctx, &out, at))
	if ctx.Err() != nil {
		return
	}
	if len(out.series) > 0 {
		g.outcome(storing, g.ports.Append(out.series))
	}
	g.tell(ctx, at)
	g.save()
	took := time.Since(begin)
	g.metrics.duration.WithLabelValues(g.def.File, g.def.Name).Set(took.Seconds())
	g.view.Store(g.observe(at, took))
}

// count reads one error per rule, in the order of the rules: the group's concurrency is 1.
func (g *group) count(errs chan error) {
	i := 0
	for err := range errs {
		name := g.def.Rules[i].Name()
		g.metrics.evaluations.WithLabelValues(g.def.File, g.def.Name, name).Inc()
		g.outcome(name, err)
		i++
	}
}

// outcome counts a failure and logs when a rule starts to fail and when it is well again.
func (g *group) outcome(name string, err error) {
	switch {
	case err == nil && g.broken[name]:
		delete(g.broken, name)
		g.log.Info("rule evaluates again", "rule", name)
	case err != nil:
		g.metrics.failures.WithLabelValues(g.def.File, g.def.Name, name).Inc()
		if !g.broken[name] {
			g.log.Error("rule fails", "rule", name, "err", err)
		}
		g.broken[name] = true
	}
}

// tell sends the alerts that fire and were not told for a while, and those that were told and no longer fire.
func (g *group) tell(ctx context.Context, at time.Time) {
	var alerts []*model.Alert
	firing := map[model.Fingerprint]told{}
	expires := at.Add(4 * max(g.cfg.ResendInterval, g.interval))
	for a := range g.active(notifier.StateFiring) {
		alert := g.alert(a, expires)
		fingerprint := alert.Labels.Fingerprint()
		before, known := g.told[fingerprint]
		if known {
			alert.StartsAt = before.alert.StartsAt
		}
		if known && before.heldUntil.IsZero() && at.Sub(before.at) < g.cfg.ResendInterval {
			firing[fingerprint] = before
			continue
		}
		firing[fingerprint] = told{alert: alert, at: at}
		alerts = append(alerts, alert)
	}
	for fingerprint, before := range g.told {
		if _, fires := firing[fingerprint]; fires {
			continue
		}
		if at.Before(before.heldUntil) {
			firing[fingerprint] = before
			continue
		}
		alerts = append(alerts, before.resolved(at))
	}
	if len(alerts) > 0 {
		if err := g.ports.Notify(ctx, alerts...); err != nil {
			if !errors.Is(err, context.Canceled) {
				g.log.Error("alerts not delivered, will be repeated", "alerts", len(alerts), "err", err)
			}
			return
		}
	}
	g.told = firing
}

// alert is a in the form an Alertmanager takes.
func (g *group) alert(a *notifier.Alert, expires time.Time) *model.Alert {
	return &model.Alert{
		Labels:       labelSet(a.Labels),
		Annotations:  labelSet(a.Annotations),
		StartsAt:     a.Start,
		EndsAt:       expires,
		GeneratorURL: generatorURL(g.cfg.ExternalURL, a.Expr),
	}
}
