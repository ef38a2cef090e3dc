package kubernetes

import (
	"context"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// workload is the top owner of a pod: what the API server has confirmed, else what the names say. The names are right for everything
// that Kubernetes' own controllers make, so a pod never waits for the confirmation; a ReplicaSet or Job somebody made by hand with a
// name that looks generated is corrected by it.
func (t *tracker) workload(p *pod) string {
	switch p.owner.kind {
	case "":
		return p.name
	case "Node":
		return strings.TrimSuffix(p.name, "-"+p.node)
	case "ReplicaSet", "Job":
		if confirmed, known := t.owners[p.owner.uid]; known {
			return confirmed
		}
		t.wanted(owner{kind: p.owner.kind, name: p.namespace + "/" + p.owner.name, uid: p.owner.uid})
		if p.owner.kind == "Job" {
			return cronJobOf(p.owner.name)
		}
		return deploymentOf(p.owner.name, p.labels["pod-template-hash"])
	default: // StatefulSet, DaemonSet, or a controller of someone else's
		return p.owner.name
	}
}

// Characters of generated names: a pod template hash is a decimal number in k8s.io/apimachinery's SafeEncodeString, which maps the ten
// digits to these.
const (
	hashAlphabet = "456789bcdf"
	digits       = "0123456789"
)

// deploymentOf cuts the pod template hash off a ReplicaSet's name: web-7d4b9c6f58 -> web.
func deploymentOf(replicaSet, hash string) string {
	if name, ok := strings.CutSuffix(replicaSet, "-"+hash); ok && hash != "" && name != "" {
		return name
	}
	i := strings.LastIndexByte(replicaSet, '-')
	if i > 0 && len(replicaSet)-i-1 >= 6 && strings.Trim(replicaSet[i+1:], hashAlphabet) == "" {
		return replicaSet[:i]
	}
	return replicaSet
}

// cronJobOf cuts the scheduled minute off a Job's name: backup-28912345 -> backup.
func cronJobOf(job string) string {
	i := strings.LastIndexByte(job, '-')
	if i > 0 && len(job)-i-1 >= 8 && strings.Trim(job[i+1:], digits) == "" {
		return job[:i]
	}
	return job
}

// owners confirms the owners of ReplicaSets and Jobs, one metadata request per UID, one at a time.
type owners struct {
	source *Source
	pods   *tracker
	wake   chan struct{}

	mu    sync.Mutex
	asked map[string]time.Time // UID -> not again before
	queue []owner
}

const (
	// mostOwners bounds the memory of what was asked; past it everything may be asked again.
	mostOwners = 4096
	// askAgain is the pause before an owner is asked for again when the API server did not say.
	askAgain = time.Minute
)

func newOwners(s *Source, pods *tracker) *owners {
	return &owners{source: s, pods: pods, wake: make(chan struct{}, 1), asked: map[string]time.Time{}}
}

// want queues a wish; the tracker repeats it with every state of the pod until the owner is confirmed.
func (o *owners) want(w owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.asked) >= mostOwners {
		clear(o.asked)
		o.queue = nil
	}
	if next, asked := o.asked[w.uid]; asked && time.Now().Before(next) {
		return
	}
	o.asked[w.uid] = time.Now().Add(askAgain)
	o.queue = append(o.queue, w)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *owners) next() (owner, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return owner{}, false
	}
	w := o.queue[0]
	o.queue = o.queue[1:]
	return w, true
}

func (o *owners) run(ctx context.Context) {
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-again.C:
			o.pods.wish()
		}
		for ctx.Err() == nil {
			w, any := o.next()
			if !any {
				break
			}
			o.ask(ctx, w)
		}
	}
}

// wish repeats the wishes that are not fulfilled, for pods that nothing happens to.
func (t *tracker) wish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.pods {
		t.workload(r.pod)
	}
}

func (o *owners) ask(ctx context.Context, w owner) {
	ctx, cancel := context.WithTimeout(ctx, o.source.cfg.Timeout)
	defer cancel()
	namespace, name, _ := strings.Cut(w.name, "/")
	part, resource := ReplicaSets, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
	if w.kind == "Job" {
		part, resource = Jobs, schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	}
	found, err := o.source.metadata.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && string(found.UID) != w.uid {
		o.source.state.set(part, o.source.host, nil)
		return // deleted before it could be asked for: the names have to do
	}
	o.source.state.set(part, o.source.host, err)
	if err != nil {
		return
	}
	workload := name
	if top := metav1.GetControllerOf(found); top != nil {
		workload = top.Name
	}
	o.pods.owned(w.uid, workload, time.Now())
}
