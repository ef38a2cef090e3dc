package inventory

import (
	"encoding/json"
	"iter"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
)

// Ledger keeps JSON values by key on disk. What Put has returned from survives the process. A ledger.Ledger is one.
type Ledger interface {
	All() iter.Seq2[string, []byte]
	Put(key string, value []byte)
	Delete(key string)
	Sync()
}

// Keys of the ledger begin so.
const (
	slotPrefix = "slot "
	lifePrefix = "life "
)

// keptSlot is a slot in the ledger.
type keptSlot struct {
	Key        SlotKey             `json:"key"`
	Labels     identity.Labels     `json:"labels"`
	Image      string              `json:"image"`
	Discovered time.Time           `json:"discovered"`
	Empty      time.Time           `json:"empty"` // since when nothing runs in it; zero while something does
	OOMKills   uint64              `json:"oom_kills"`
	Restarts   uint64              `json:"restarts"`
	Exits      [reasonCount]uint64 `json:"exits"` // by Reason
}

// keptLife is a container in the ledger: what its counts were counted from.
type keptLife struct {
	At        time.Time         `json:"at"` // the newest news of it
	StartedAt time.Time         `json:"started_at"`
	Path      string            `json:"path"`
	Live      bool              `json:"live"`
	Container *docker.Container `json:"container,omitempty"` // as the engine told it; nil: a pod's
	OOM       keptOOM           `json:"oom"`
	Restarts  keptRestarts      `json:"restarts"`
}

type keptOOM struct {
	History bool   `json:"history"`
	Read    bool   `json:"read"`
	Base    uint64 `json:"base"`
	Kernel  uint64 `json:"kernel"`
	Events  uint64 `json:"events"`
	Flag    uint64 `json:"flag"`
	Counted uint64 `json:"counted"`
}

type keptRestarts struct {
	Starts  int `json:"starts"`
	Base    int `json:"base"`
	Last    int `json:"last"`
	Counted int `json:"counted"`
}

func (o oomTally) keep() keptOOM {
	return keptOOM{o.history, o.read, o.base, o.kernel, o.events, o.flag, o.counted}
}

func (k keptOOM) tally() oomTally {
	return oomTally{k.History, k.Read, k.Base, k.Kernel, k.Events, k.Flag, k.Counted}
}

func (r restartTally) keep() keptRestarts { return keptRestarts{r.starts, r.base, r.last, r.counted} }

func (k keptRestarts) tally() restartTally { return restartTally{k.Starts, k.Base, k.Last, k.Counted} }

// save writes a container and its slot through to the ledger.
func (t *Table) save(e *entry) {
	if t.cfg.Ledger == nil || !e.resolved {
		return
	}
	if s := e.slot; s != nil && t.slots[s.Key] == s {
		t.put(slotPrefix+s.Key.String(), keptSlot{s.Key, s.Labels, s.image, s.Discovered, s.empty(), s.OOMKills, s.Restarts, s.Exits.n})
	}
	k := keptLife{At: t.newest, StartedAt: e.StartedAt, Path: e.CgroupPath, Live: e.live, OOM: e.ooms.keep(), Restarts: e.restarts.keep()}
	if e.engine != nil {
		k.Container = e.engine.container
	}
	if t.containers[e.ID] == e {
		t.put(lifePrefix+string(e.ID), k)
	}
}

func (t *Table) put(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil { // strings, numbers and times: it can not be
		t.log.Error("encode for the ledger", "key", key, "error", err)
		return
	}
	t.cfg.Ledger.Put(key, text)
}

// empty is since when nothing runs in the slot.
func (s *slot) empty() time.Time {
	switch {
	case s.Live > 0:
		return time.Time{}
	case s.idleSince.IsZero():
		return time.Now()
	default:
		return s.idleSince
	}
}

// String is unambiguous: no part has a line feed.
func (k SlotKey) String() string {
	return strings.Join([]string{k.Namespace, k.Workload, k.Pod, k.Container}, "\n")
}

func (t *Table) forget(id cgroup.ContainerID) {
	delete(t.containers, id)
	if t.cfg.Ledger != nil {
		t.cfg.Ledger.Delete(lifePrefix + string(id))
	}
}

func (t *Table) forgetSlot(key SlotKey) {
	delete(t.slots, key)
	if t.cfg.Ledger != nil {
		t.cfg.Ledger.Delete(slotPrefix + key.String())
	}
}

// restore takes over what an earlier run of the agent had counted. What happened since its last news, not more than KeepSlots ago, is
// no history but still to be counted.
func (t *Table) restore(now time.Time) {
	lives := map[cgroup.ContainerID]keptLife{}
	var stale []string
	for key, value := range t.cfg.Ledger.All() {
		if name, ok := strings.CutPrefix(key, slotPrefix); ok {
			var k keptSlot
			if json.Unmarshal(value, &k) != nil || k.Key.String() != name || !k.Empty.IsZero() && now.Sub(k.Empty) >= t.cfg.KeepSlots || len(t.slots) >= t.cfg.MaxSlots {
				stale = append(stale, key)
				continue
			}
			t.slots[k.Key] = &slot{image: k.Image, idleSince: k.Empty, Slot: Slot{
				Key: k.Key, Labels: k.Labels, Discovered: k.Discovered, OOMKills: k.OOMKills, Restarts: k.Restarts, Exits: ExitCounts{k.Exits}, ExitsBefore: ExitCounts{k.Exits},
				Kept: true,
			}}
			continue
		}
		id, ok := strings.CutPrefix(key, lifePrefix)
		var k keptLife
		if !ok || json.Unmarshal(value, &k) != nil || k.At.After(now) || len(lives) >= t.cfg.MaxContainers || k.Container != nil && string(k.Container.ID) != id {
			stale = append(stale, key)
			continue
		}
		lives[cgroup.ContainerID(id)] = k
		if k.At.After(t.resumed) {
			t.resumed = k.At
		}
	}
	for _, key := range stale {
		t.cfg.Ledger.Delete(key)
	}
	if oldest := now.Add(-t.cfg.KeepSlots); t.resumed.Before(oldest) {
		t.resumed = time.Time{}
	} else {
		t.began, t.newest = t.resumed, t.resumed
	}
	for id, k := range lives {
		t.revive(id, k)
	}
}

// revive makes an entry of a kept container. One that ran is taken to run still, until its runtime says otherwise; its PID may be another's
// by now. A pod's container waits for the API server to name it again, and continues its tallies then.
func (t *Table) revive(id cgroup.ContainerID, k keptLife) {
	t.lives++
	e := &entry{revived: true, Container: Container{ID: id, Life: t.lives, CgroupPath: k.Path, StartedAt: k.StartedAt}, ooms: k.OOM.tally(), restarts: k.Restarts.tally()}
	t.containers[id] = e
	if k.Container == nil {
		return
	}
	c := *k.Container
	c.PID = 0
	e.Created = c.Created
	e.take(fromEngine(c))
	t.resolve(e)
	if !k.Live || !e.resolved {
		return
	}
	e.live = true
	fresh := t.enter(e, t.began)
	t.push(Event{Kind: Born, At: t.began, Container: e.Container, NewSlot: fresh})
}

// Resume is what a docker.Engine needs to make good what happened while the agent was down: since when, and which containers ran then.
// since is zero where nothing is known.
func (t *Table) Resume() (since time.Time, running []docker.Container) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.containers {
		if e.live && e.engine != nil {
			running = append(running, *e.engine.container)
		}
	}
	return t.resumed, running
}
