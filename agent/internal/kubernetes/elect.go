package kubernetes

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// leaseName is the Lease, in the agent's own namespace, whose holder reports the cluster's objects.
const leaseName = "plimsoll-agent"

// elect takes part in the election until ctx ends, and follows the cluster's objects for as long as this agent is elected.
func (s *Source) elect(ctx context.Context) error {
	var quiet klog.Logger // the lock's outcomes are the part's state
	ctx = klog.NewContext(ctx, quiet)
	lock := &watchedLock{
		Interface: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Name: leaseName, Namespace: s.namespace}, Client: s.clients.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: fmt.Sprintf("%s-%d", s.cfg.Node, time.Now().UnixNano())},
		},
		source: s,
	}
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, Name: leaseName, ReleaseOnCancel: true,
			LeaseDuration: s.cfg.LeaseDuration, RenewDeadline: s.cfg.LeaseDuration * 2 / 3, RetryPeriod: s.cfg.LeaseDuration / 6,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) {
					s.log.Info("elected to report the cluster's objects", "lease", s.namespace+"/"+leaseName)
					s.metrics.leads.Store(true)
					s.followCluster(ctx)
				},
				OnStoppedLeading: func() {
					if s.metrics.leads.Swap(false) {
						s.log.Info("no longer elected to report the cluster's objects")
					}
				},
			},
		})
		if err != nil {
			return fmt.Errorf("election: %w", err)
		}
		elector.Run(ctx) // returns when the Lease is lost, too: the API server may be away
	}
	return nil
}

// watchedLock tells the outcome of every request for the Lease. Not found, and a conflict with another agent, are ordinary.
type watchedLock struct {
	resourcelock.Interface
	source *Source
}

func (l *watchedLock) note(err error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil
	}
	l.source.state.set(Lease, l.source.host, err)
}

func (l *watchedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	l.note(err)
	return record, raw, err
}

func (l *watchedLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Create(ctx, r)
	l.note(err)
	return err
}

func (l *watchedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Update(ctx, r)
	l.note(err)
	return err
}
