package kubernetes

import (
	"maps"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// tracker decides what to tell the sink. It is a step function: pods, deletions and owners go in, calls of the sink and wishes for
// owners come out; it reads no clock and asks nobody. Every input may be late or repeated: a life is told once.
type tracker struct {
	sink   Sink
	began  time.Time   // what ended before it is history
	wanted func(owner) // an owner whose own owner is to be asked for

	mu     sync.Mutex
	pods   map[string]*record // by UID
	owners map[string]string  // UID of an owner -> workload, as the API server confirmed it
}

type record struct {
	pod  *pod
	live map[string]Container             // told and running, by container name
	dead map[string][2]cgroup.ContainerID // the last two lives told dead, which a status goes on showing
}

func newTracker(sink Sink, began time.Time) *tracker {
	return &tracker{sink: sink, began: began, wanted: func(owner) {}, pods: map[string]*record{}, owners: map[string]string{}}
}

func (t *tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pods)
}

// saw takes the newest state of one pod.
func (t *tracker) saw(p *pod, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.see(p, now)
}

func (t *tracker) see(p *pod, now time.Time) {
	r := t.pods[p.uid]
	if r == nil {
		r = &record{live: map[string]Container{}, dead: map[string][2]cgroup.ContainerID{}}
		t.pods[p.uid] = r
		t.sink.PodSeen(p.cgroupUID)
	}
	r.pod = p
	workload := t.workload(p)
	for i := range p.containers {
		t.seeContainer(r, &p.containers[i], workload, now)
	}
}

func (t *tracker) seeContainer(r *record, k *podContainer, workload string, now time.Time) {
	told, live := r.live[k.name]
	if live && (!k.running || told.ID != k.id) {
		t.end(r, told, endIn(k, told.ID, now))
		live = false
	}
	// A life between two reports was never seen running; it has counted all the same.
	for _, e := range [...]end{k.ends[1], k.ends[0]} {
		if dead := r.dead[k.name]; e.id == "" || e.id == dead[0] || e.id == dead[1] || e.at.Before(t.began) {
			continue
		}
		missed := *k
		missed.id, missed.startedAt = e.id, e.startedAt
		c := r.pod.container(&missed, workload)
		t.sink.Started(c, e.startedAt)
		t.end(r, c, e)
	}
	if !k.running {
		return
	}
	c := r.pod.container(k, workload)
	switch {
	case !live:
		r.live[k.name] = c
		t.sink.Started(c, k.startedAt)
	case !same(told, c):
		r.live[k.name] = c
		t.sink.Changed(c, now)
	}
}

func (t *tracker) end(r *record, c Container, e end) {
	delete(r.live, c.Name)
	r.dead[c.Name] = [2]cgroup.ContainerID{c.ID, r.dead[c.Name][0]}
	e.exit.Asked = e.exit.Asked || !r.pod.deletion.IsZero() && e.at.After(r.pod.deletion.Add(-clockSkew))
	t.sink.Died(c.ID, e.at, e.exit)
}

// clockSkew is how far the clock of the API server, which dates the deletion, may be ahead of the node's, which dates the end.
const clockSkew = 5 * time.Second

// endIn finds how life id ended; unknown if the status does not tell any more.
func endIn(k *podContainer, id cgroup.ContainerID, now time.Time) end {
	for _, e := range k.ends {
		if e.id == id {
			return e
		}
	}
	return end{id: id, at: now}
}

// deleted takes the end of a pod; p is its last state.
func (t *tracker) deleted(p *pod, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pods[p.uid] == nil {
		return
	}
	t.see(p, now)
	t.remove(p.uid, now)
}

func (t *tracker) remove(uid string, now time.Time) {
	r := t.pods[uid]
	for _, c := range r.live {
		t.end(r, c, end{id: c.ID, at: now, exit: Exit{Asked: true}})
	}
	delete(t.pods, uid)
	t.sink.PodGone(r.pod.cgroupUID)
	for _, other := range t.pods {
		if other.pod.owner.uid == r.pod.owner.uid {
			return
		}
	}
	delete(t.owners, r.pod.owner.uid)
}

// replaced takes all pods there are: what is not among them is gone.
func (t *tracker) replaced(all []*pod, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	there := make(map[string]bool, len(all))
	for _, p := range all {
		there[p.uid] = true
		t.see(p, now)
	}
	for uid := range t.pods {
		if !there[uid] {
			t.remove(uid, now)
		}
	}
}

// owned takes what the API server says about an owner: the workload of its pods.
func (t *tracker) owned(uid, workload string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	used := false
	for _, r := range t.pods {
		if r.pod.owner.uid != uid {
			continue
		}
		used = true
		for name, c := range r.live {
			if c.Workload != workload {
				c.Workload = workload
				r.live[name] = c
				t.sink.Changed(c, now)
			}
		}
	}
	if used {
		t.owners[uid] = workload
	}
}

// same compares what may change in a life.
func same(a, b Container) bool {
	return a.Workload == b.Workload && a.Health == b.Health && a.RestartCount == b.RestartCount && a.Resources == b.Resources &&
		a.Image == b.Image && a.StartedAt.Equal(b.StartedAt) && maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}
