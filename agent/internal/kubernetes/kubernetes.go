// Package kubernetes tells which containers the pods of this node run, and from one elected agent what the cluster is made of.
//
// It watches the pods of its own node only (a field selector that the API server applies), keeps of each what identity and health
// need, and no cache of anything else: the Deployment behind a pod is read off the names and confirmed by one request for the
// metadata of the owning ReplicaSet. Cluster-wide objects are watched by the one agent that holds a Lease. What the API server does
// not deliver, because it is down or because a right is missing, is named part by part in State; what was known stays.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Config says which API server, which node, and what to follow.
type Config struct {
	// Mode and Kubeconfig say where the API server is.
	Mode       Mode
	Kubeconfig string
	// Node is this node's name in the cluster.
	Node string
	// NodeLabels is told the node's labels, when they are first read and whenever they change. nil: nobody asks.
	NodeLabels func(labels map[string]string)
	// Timeout is how long one request may take, watches apart. 0 is 10 s.
	Timeout time.Duration
	// NodeEvery is how often the node's labels are read. 0 is 5 min.
	NodeEvery time.Duration
	// LeaseDuration is after how long without news of the elected agent another takes over; the others look every sixth of it, so in
	// a cluster of 1,000 nodes the API server answers some 40 such requests a second. 0 is 90 s.
	LeaseDuration time.Duration
	// Metrics is where the package's own metrics are registered. nil is nowhere.
	Metrics prometheus.Registerer
}

// ErrOff says that there is no API server to ask: the mode is Off, or Auto found neither a service account nor a kubeconfig.
var ErrOff = errors.New("kubernetes is off")

// Source is the source. New makes it, Run works it.
type Source struct {
	cfg       Config
	log       *slog.Logger
	metrics   *metrics
	state     *parts
	clients   *kubernetes.Clientset
	metadata  metadata.Interface
	host      string
	namespace string
	cluster   *cluster

	nodeMu   sync.Mutex        // guards nodeTold, and keeps the order of what is told
	nodeTold map[string]string // the node's labels; nil before they were read
}

// New checks cfg and starts nothing: an API server that does not answer is no error. ErrOff where there is none to ask.
func New(cfg Config, log *slog.Logger) (*Source, error) {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&cfg.Timeout, 10 * time.Second}, {&cfg.NodeEvery, 5 * time.Minute}, {&cfg.LeaseDuration, 90 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	config, namespace, err := connection(cfg.Mode, cfg.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if cfg.Node == "" {
		return nil, errors.New("kubernetes: the node has no name")
	}
	s := &Source{cfg: cfg, log: log, host: config.Host, namespace: namespace, state: newParts(log)}
	if s.metrics, err = newMetrics(cfg.Metrics, s); err != nil {
		return nil, fmt.Errorf("register kubernetes metrics: %w", err)
	}
	config.Wrap(s.metrics.count)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client for %s: %w", config.Host, err)
	}
	if s.clients, err = kubernetes.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("kubernetes client for %s: %w", config.Host, err)
	}
	if s.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), client); err != nil {
		return nil, fmt.Errorf("kubernetes client for %s: %w", config.Host, err)
	}
	s.cluster = newCluster(s.metrics.refused.Inc)
	return s, nil
}

// Run follows the API server until ctx ends and returns nil. The sink is called by one goroutine at a time.
func (s *Source) Run(ctx context.Context, sink Sink) error {
	g, ctx := errgroup.WithContext(ctx)
	pods := newTracker(sink, time.Now())
	s.metrics.watch(pods)
	owners := newOwners(s, pods)
	pods.wanted = owners.want
	g.Go(func() error { s.followPods(ctx, pods); return nil })
	g.Go(func() error { owners.run(ctx); return nil })
	g.Go(func() error { s.followNode(ctx); return nil })
	g.Go(func() error { return s.elect(ctx) })
	return g.Wait()
}

// Host is the API server's address.
func (s *Source) Host() string { return s.host }
