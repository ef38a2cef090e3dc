package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/inhibit"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
)

// routing is what alertmanager.yml decides: routes, receivers, inhibition, time intervals. A reload builds a new one.
type routing struct {
	conf       loaded
	dispatcher *dispatch.Dispatcher
	inhibitor  *inhibit.Inhibitor
	// sending is held for reading from the decision to notify until what was notified is in the log.
	sending sync.RWMutex
}

// groupGCInterval is how often empty groups of alerts are forgotten; Alertmanager's default.
const groupGCInterval = 30 * time.Second

// newRouting builds everything and starts nothing: a configuration that cannot be built does no harm.
func (e *embedded) newRouting(conf loaded) (*routing, error) {
	conf.templates.ExternalURL = e.external
	receivers, err := conf.receivers(e.robots, e.log)
	if err != nil {
		return nil, err
	}
	r := &routing{conf: conf, inhibitor: inhibit.NewInhibitor(e.alerts, conf.config.InhibitRules, e.log, e.recorder)}
	alone := func() time.Duration { return 0 } // no peers to wait for
	pipeline := e.pipeline.New(receivers, alone, r.inhibitor, e.silencer, timeinterval.NewIntervener(intervals(conf.config)), e.marker, e.sent, nil)
	r.dispatcher = dispatch.NewDispatcher(e.alerts, dispatch.NewRoute(conf.config.Route, nil), r.noted(pipeline), e.marker, notifyTimeout, groupGCInterval, nil,
		e.log, e.recorder, e.dispatch, conf.templates)
	return r, nil
}

// notifyTimeout bounds one notification with its retries, given the group interval of the route.
func notifyTimeout(groupInterval time.Duration) time.Duration {
	return max(groupInterval, amnotify.MinTimeout)
}

// publish makes r the routing that the API shows.
func (e *embedded) publish(r *routing) {
	e.routing.Store(r)
	e.api.Update(r.conf.config, func(ctx context.Context, labels model.LabelSet) {
		r.inhibitor.Mutes(ctx, labels)
		e.silencer.Mutes(ctx, labels)
	})
}

// start lets the inhibitor see all alerts before the dispatcher notifies, so that nothing inhibited gets out.
func (r *routing) start() {
	go r.inhibitor.Run()
	r.inhibitor.WaitForLoading()
	go r.dispatcher.Run(time.Now())
	r.dispatcher.WaitForLoading()
}

// noted lets stop wait for notifications on their way.
func (r *routing) noted(next amnotify.Stage) amnotify.Stage {
	return amnotify.StageFunc(func(ctx context.Context, l *slog.Logger, alerts ...*alert.Alert) (context.Context, []*alert.Alert, error) {
		r.sending.RLock()
		defer r.sending.RUnlock()
		return next.Exec(ctx, l, alerts...)
	})
}

// stop returns when what was on its way has arrived and is in the log, else whoever follows would send it again.
func (r *routing) stop() {
	r.dispatcher.Stop() // cancels, see finishing
	r.sending.Lock()
	defer r.sending.Unlock()
	r.inhibitor.Stop()
}
