package notify

import (
	"context"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amnotify "github.com/prometheus/alertmanager/notify"
)

// finishing lets a notification that is on its way arrive when a reload or the end of the program cancels it. Cut off, it would
// have been taken by the receiver and not noted here, and come again.
type finishing struct{ to *amnotify.Integration }

// finishGrace is how long it may take from then on.
const finishGrace = 3 * time.Second

// Notify implements Alertmanager's notify.Notifier.
func (f finishing) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		sleep := time.NewTimer(finishGrace)
		defer sleep.Stop()
		select {
		case <-sleep.C:
			cancel()
		case <-sending.Done():
		}
	})
	defer stop()
	return f.to.Notify(sending, alerts...)
}

// finishingAll wraps what sends to one receiver.
func finishingAll(receiver string, all []amnotify.Integration) []amnotify.Integration {
	wrapped := make([]amnotify.Integration, len(all))
	for i := range all {
		wrapped[i] = amnotify.NewIntegration(finishing{&all[i]}, &all[i], all[i].Name(), all[i].Index(), receiver)
	}
	return wrapped
}
