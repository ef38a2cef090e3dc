package kubernetes

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// follow lists and watches one resource into store until ctx ends; every outcome becomes the part's state. Lists are not paged: a page
// asked for at the last known version is answered as of exactly that version, and a reflector whose watch has expired never gets past it.
func (s *Source) follow(ctx context.Context, part Part, example runtime.Object, store cache.ReflectorStore,
	list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	watcher func(context.Context, metav1.ListOptions) (watch.Interface, error),
) {
	var quiet klog.Logger // what goes wrong is told by the part's state, once
	listWatch := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			answer, err := list(ctx, o)
			s.state.set(part, s.host, err)
			return answer, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			answer, err := watcher(ctx, o)
			s.state.set(part, s.host, err)
			return answer, err
		},
	}
	reflector := cache.NewReflectorWithOptions(listWatch, example, store, cache.ReflectorOptions{
		Name: "plimsoll-" + string(part), Logger: &quiet,
		Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.5, Cap: 8 * time.Second, Steps: 10},
	})
	reflector.RunWithContext(klog.NewContext(ctx, quiet))
}

// followPods follows the pods of this node.
func (s *Source) followPods(ctx context.Context, pods *tracker) {
	mine := fields.OneTermEqualSelector("spec.nodeName", s.cfg.Node).String()
	client := s.clients.CoreV1().Pods(metav1.NamespaceAll)
	s.follow(ctx, Pods, &corev1.Pod{}, podStore{pods},
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = mine
			list, err := client.List(ctx, o)
			if err == nil {
				s.placeFirst(ctx)
			}
			return list, err
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = mine
			return client.Watch(ctx, o)
		})
}

// podStore hands pods on to the tracker instead of keeping them.
type podStore struct{ tracker *tracker }

var _ cache.TransformingStore = podStore{}

func (p podStore) Add(object any) error {
	if o, ok := object.(*corev1.Pod); ok {
		p.tracker.saw(podOf(o), time.Now())
	}
	return nil
}

func (p podStore) Update(object any) error { return p.Add(object) }

func (p podStore) Delete(object any) error {
	if o, ok := object.(*corev1.Pod); ok {
		p.tracker.deleted(podOf(o), time.Now())
	}
	return nil
}

func (p podStore) Replace(objects []any, _ string) error {
	all := make([]*pod, 0, len(objects))
	for _, object := range objects {
		if o, ok := object.(*corev1.Pod); ok {
			all = append(all, podOf(o))
		}
	}
	p.tracker.replaced(all, time.Now())
	return nil
}

func (podStore) Resync() error { return nil }

// Transformer trims what the reflector holds while it collects a first list.
func (podStore) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if p, ok := object.(*corev1.Pod); ok {
			p.ManagedFields = nil
			p.Spec.Volumes = nil
		}
		return object, nil
	}
}

// longestNodePause is how long the node's labels are not asked for again after a failure.
const longestNodePause = 15 * time.Second

// followNode reads the node's labels now and then: they change rarely, and a watch per node would cost the API server more.
func (s *Source) followNode(ctx context.Context) {
	if s.cfg.NodeLabels == nil {
		return
	}
	pause := time.Second
	for {
		if err := s.askNode(ctx); err != nil {
			pause = min(2*pause, longestNodePause, s.cfg.NodeEvery)
		} else {
			pause = s.cfg.NodeEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait.Jitter(pause, 0.2)):
		}
	}
}

// askNode reads the node's labels and tells them if they are news.
func (s *Source) askNode(ctx context.Context) error {
	labels, err := s.nodeLabels(ctx)
	s.state.set(Node, s.host, err)
	if err != nil {
		return err
	}
	s.nodeMu.Lock()
	defer s.nodeMu.Unlock()
	if s.nodeTold == nil || !maps.Equal(s.nodeTold, labels) {
		s.nodeTold = labels
		s.cfg.NodeLabels(labels)
	}
	return nil
}

// placeFirst asks for the node's labels before the first pods are told, so that these have their idc and cluster from the beginning, also
// where the API server was away at the start.
func (s *Source) placeFirst(ctx context.Context) {
	s.nodeMu.Lock()
	told := s.nodeTold != nil
	s.nodeMu.Unlock()
	if s.cfg.NodeLabels != nil && !told {
		_ = s.askNode(ctx) // its state says so, and followNode asks again
	}
}

func (s *Source) nodeLabels(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	node, err := s.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).Get(ctx, s.cfg.Node, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if node.Labels == nil {
		return map[string]string{}, nil
	}
	return node.Labels, nil
}
