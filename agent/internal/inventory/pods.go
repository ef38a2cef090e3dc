package inventory

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
)

// Locate finds the cgroup of a pod's container and its first process, which the API server does not tell. path is where the tree was
// seen to have it, or "". It returns "" and 0 for what it can not find.
type Locate func(podUID string, id cgroup.ContainerID, path string) (cgroupPath string, pid int)

// Pods is the table's side that the Kubernetes source feeds.
type Pods struct{ table *Table }

var _ kubernetes.Sink = Pods{}

// Pods returns it.
func (t *Table) Pods() Pods { return Pods{t} }

// podContainer is a container's place in one pod.
type podContainer struct{ podUID, container string }

// PodSeen tells that the API server knows the pod.
func (p Pods) PodSeen(podUID string) {
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	p.table.pods[podUID] = true
}

// PodGone forgets the pod.
func (p Pods) PodGone(podUID string) {
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pods, podUID)
	for place := range t.podRestarts {
		if place.podUID == podUID {
			delete(t.podRestarts, place)
		}
	}
}

// Started begins a life, or adds the pod's facts to one the engine tells.
func (p Pods) Started(c kubernetes.Container, at time.Time) {
	t := p.table
	l := fromPod(c)
	l.cgroupPath, l.pid = t.locate(c.PodUID, c.ID)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin(l, at)
}

// Changed brings new facts of a life.
func (p Pods) Changed(c kubernetes.Container, at time.Time) {
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	p.table.change(fromPod(c), at)
}

// Died ends a life, unless the engine tells it: it knows better when.
func (p Pods) Died(id cgroup.ContainerID, at time.Time, exit kubernetes.Exit) {
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.containers[id]
	if e == nil || e.engine != nil {
		return
	}
	t.finish(id, at, Exit{Code: exit.Code, Known: exit.Known, OOMKilled: exit.OOMKilled, Asked: exit.Asked})
	e.removed = true // a restarted container of a pod has another ID
}

// locate asks Config.Locate, outside the lock: it reads the tree.
func (t *Table) locate(podUID string, id cgroup.ContainerID) (path string, pid int) {
	if t.cfg.Locate == nil {
		return "", 0
	}
	t.mu.Lock()
	if u, held := t.unresolved[id]; held {
		path = u.Path
	} else if e := t.containers[id]; e != nil {
		path = e.CgroupPath
	}
	t.mu.Unlock()
	return t.cfg.Locate(podUID, id, path)
}

// locateRest finds the processes of containers whose cgroup the tree has shown only now.
func (t *Table) locateRest(now time.Time) {
	type lost struct {
		id     cgroup.ContainerID
		life   uint64
		podUID string
	}
	var all []lost
	t.mu.Lock()
	for id, e := range t.containers {
		if e.live && e.pod != nil && e.PID == 0 && e.CgroupPath != "" {
			all = append(all, lost{id, e.Life, e.pod.podUID})
		}
	}
	t.mu.Unlock()
	for _, l := range all {
		path, pid := t.locate(l.podUID, l.id)
		if pid == 0 {
			continue
		}
		t.mu.Lock()
		if e := t.containers[l.id]; e != nil && e.live && e.Life == l.life {
			e.PID, e.CgroupPath = pid, path
			e.facts.CgroupPath = path
			before := e.Labels
			t.relabel(e, now)
			if e.shown() && before == e.Labels {
				t.push(Event{Kind: Relabelled, At: now, Container: e.Container})
			}
		}
		t.mu.Unlock()
	}
}

// podRestarted takes the API server's count of restarts of a place in a pod and returns by how much it has grown under our eyes.
func (t *Table) podRestarted(l *told) (grown uint64) {
	place := podContainer{l.podUID, l.facts.Kubernetes.Container}
	before, known := t.podRestarts[place]
	if !known && l.created.Before(t.began) {
		before = l.restartCount
	}
	t.podRestarts[place] = max(before, l.restartCount)
	return uint64(max(0, l.restartCount-before))
}

// unnamed lists the cgroups that no runtime names: all that are held back, but for one of each pod the API server knows. That one is
// its sandbox, which has an ID like a container and is none.
func (t *Table) unnamed() []Unresolved {
	sandboxes := map[string]Unresolved{}
	list := make([]Unresolved, 0, len(t.unresolved))
	for _, u := range t.unresolved {
		if u.podUID == "" || !t.pods[u.podUID] {
			list = append(list, u)
			continue
		}
		s, taken := sandboxes[u.podUID]
		if taken && u.Since.Before(s.Since) { // the sandbox is the oldest
			u, s = s, u
		}
		if taken {
			list = append(list, u)
			sandboxes[u.podUID] = s
			continue
		}
		sandboxes[u.podUID] = u
	}
	return list
}

// Identify gives what is not in the table the labels a container with these facts would have: a workload its pods' project.
func (t *Table) Identify(f identity.Facts) (identity.Labels, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	labels, _, err := t.resolver.Labels(f)
	return labels, err
}
