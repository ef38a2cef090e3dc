package sampler

import (
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/host"
	"github.com/plimsoll/plimsoll/agent/internal/layers"
	"github.com/plimsoll/plimsoll/agent/internal/process"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// slow reads the groups that cost by the process, descriptor or connection: every target once per slow interval, spread over the full
// rounds, their series in a set of their own so that each sample carries the time it was read.
type slow struct {
	proc    *process.Proc
	every   uint64 // full rounds in a slow interval
	budget  time.Duration
	buf     []byte
	pids    []int
	pages   []cgroup.HugePages
	nodes   []cgroup.NUMAPages
	stats   []process.TCPStat
	volumes []host.Filesystem
}

// slowGroups are all that are read here.
const slowGroups = 1<<catalog.GroupProcess | 1<<catalog.GroupTCP | 1<<catalog.GroupSockets | 1<<catalog.GroupHugetlb | 1<<catalog.GroupNUMA |
	1<<catalog.GroupSchedstat | 1<<catalog.GroupLayers

// Layers tells what a container keeps on disk, as far as it is known by now. A layers.Walker is one.
type Layers interface {
	Sizes(id cgroup.ContainerID, pid int) (layers.Sizes, bool)
	// Suspend begins no walk before then.
	Suspend(until time.Time)
}

// slowSource is what a container's cgroup is asked for here.
type slowSource interface {
	PIDs(dst []int, buf []byte) ([]int, error)
	HugePages(dst []cgroup.HugePages, buf []byte) ([]cgroup.HugePages, error)
	NUMA(dst []cgroup.NUMAPages, buf []byte) ([]cgroup.NUMAPages, error)
}

// turnOf is decided by the id, so that what is done to containers in turn is spread, also over those born together.
func turnOf(id cgroup.ContainerID) uint64 {
	h := fnv.New32a()
	h.Write([]byte(id))
	return uint64(h.Sum32())
}

// sampleSlow reads the targets whose time has come until the round's budget is spent; the rest wait for the next round.
func (s *Sampler) sampleSlow() {
	if s.view.left.Has(shed.SlowGroups) {
		s.shedSlow(time.Now())
		return
	}
	if s.cfg.Groups.Has(catalog.GroupFilesystem) && s.round >= s.node.slowDue {
		s.sampleFilesystems()
		s.node.slowDue = s.round + s.slow.every
	}
	if s.cfg.Groups&slowGroups == 0 {
		return
	}
	began, deferred := time.Now(), 0
	for _, t := range s.targets {
		if t.slowDue == 0 {
			t.slowDue = s.round + t.turn%s.slow.every
		}
		switch {
		case s.round < t.slowDue || !t.exited.IsZero() || t.ended:
		case time.Since(began) > s.slow.budget:
			deferred++
		default:
			s.sampleTargetSlow(t)
			t.slowDue = s.round + s.slow.every
		}
	}
	s.metrics.slowDeferred.Add(float64(deferred))
}

func (s *Sampler) sampleFilesystems() {
	var err error
	if s.slow.volumes, err = s.cfg.Node.Filesystems(s.slow.volumes[:0]); err != nil {
		s.metrics.targetErrors.Inc()
	}
	set := s.node.set.Slow()
	set.Begin()
	for _, f := range s.slow.volumes {
		set.PutFor(catalog.FSUsage, f.Device, float64(f.UsedBytes))
		set.PutFor(catalog.FSLimit, f.Device, float64(f.TotalBytes))
		if f.Inodes > 0 {
			set.PutFor(catalog.FSInodesTotal, f.Device, float64(f.Inodes))
			set.PutFor(catalog.FSInodesFree, f.Device, float64(f.InodesFree))
		}
	}
	s.batch.add(set, time.Now().UnixMilli())
}

func (s *Sampler) sampleTargetSlow(t *target) {
	from, ok := t.under().(slowSource)
	if !ok {
		return
	}
	groups, set := s.cfg.Groups, t.set.Slow()
	set.Begin()
	if groups&(1<<catalog.GroupProcess|1<<catalog.GroupSockets|1<<catalog.GroupSchedstat) != 0 {
		var err error
		if s.slow.pids, err = from.PIDs(s.slow.pids[:0], s.slow.buf); err != nil {
			if errors.Is(err, cgroup.ErrGone) {
				return // ended a moment ago: its series end with it
			}
			s.metrics.targetErrors.Inc()
		} else {
			s.putProcesses(t, set, s.slow.pids)
		}
	}
	if pid := t.container.PID; pid > 0 && t.container.OwnNetwork() {
		s.putNetwork(set, pid)
	}
	if groups.Has(catalog.GroupHugetlb) {
		s.putHugePages(set, from)
	}
	if groups.Has(catalog.GroupNUMA) {
		s.putNUMA(set, from)
	}
	if groups.Has(catalog.GroupLayers) && s.cfg.Layers != nil && t.container.PID > 0 {
		s.putLayers(t, set)
	}
	s.batch.add(set, time.Now().UnixMilli())
}

func (s *Sampler) putProcesses(t *target, set *series.Set, pids []int) {
	groups := s.cfg.Groups
	if groups.Has(catalog.GroupProcess) {
		d := s.slow.proc.Descriptors(pids, t.container.PID)
		set.Put(catalog.Processes, float64(d.Processes))
		if d.Known {
			set.Put(catalog.FileDescriptors, float64(d.Open))
			if d.MostLimit > 0 {
				set.Put(catalog.FileDescriptorsRatio, float64(d.Most)/float64(d.MostLimit))
			}
		}
		if d.FirstLimit != 0 {
			set.Put(catalog.UlimitOpenFiles, float64(d.FirstLimit))
		}
	}
	if groups.Has(catalog.GroupSockets) {
		if n, ok := s.slow.proc.Sockets(pids); ok {
			set.Put(catalog.SocketsOpen, float64(n))
		}
	}
	if groups.Has(catalog.GroupSchedstat) {
		sum := s.slow.proc.Schedule(pids, &t.schedules)
		set.Put(catalog.SchedstatRun, sum.Run.Seconds())
		set.Put(catalog.SchedstatRunqueue, sum.Runqueue.Seconds())
		set.Put(catalog.SchedstatPeriods, float64(sum.Periods))
	}
}

func (s *Sampler) putNetwork(set *series.Set, pid int) {
	if s.cfg.Groups.Has(catalog.GroupTCP) {
		s.slow.stats = s.slow.proc.TCPStats(s.slow.stats[:0], pid)
		for _, stat := range s.slow.stats {
			set.PutFor(catalog.TCPStats, stat.Name, float64(stat.Value))
		}
	}
	if !s.cfg.Groups.Has(catalog.GroupSockets) {
		return
	}
	for _, f := range [...]struct {
		name string
		id   catalog.ID
	}{{"net/tcp", catalog.TCPUsage}, {"net/tcp6", catalog.TCP6Usage}} {
		states, ok := s.slow.proc.TCPStates(pid, f.name)
		for i, name := range process.TCPStateNames() {
			if ok {
				set.PutFor(f.id, name, float64(states[i]))
			}
		}
	}
	for _, f := range [...]struct {
		name string
		id   catalog.ID
	}{{"net/udp", catalog.UDPUsage}, {"net/udp6", catalog.UDP6Usage}} {
		if u, ok := s.slow.proc.UDPSockets(pid, f.name); ok {
			set.PutFor(f.id, "listen", float64(u.Sockets))
			set.PutFor(f.id, "dropped", float64(u.Dropped))
			set.PutFor(f.id, "rxqueued", float64(u.ReceiveQueued))
			set.PutFor(f.id, "txqueued", float64(u.TransmitQueued))
		}
	}
}

func (s *Sampler) putNUMA(set *series.Set, from slowSource) {
	var err error
	if s.slow.nodes, err = from.NUMA(s.slow.nodes[:0], s.slow.buf); err != nil {
		return // gone
	}
	for _, n := range s.slow.nodes {
		node := strconv.FormatUint(n.Node, 10)
		for _, f := range [...]struct {
			has   cgroup.NUMAHas
			id    catalog.ID
			pages uint64
		}{
			{cgroup.HasNUMAFile, catalog.NUMAFile, n.File}, {cgroup.HasNUMAAnon, catalog.NUMAAnon, n.Anon}, {cgroup.HasNUMAUnevictable, catalog.NUMAUnevictable, n.Unevictable},
			{cgroup.HasNUMAFileTree, catalog.NUMAFileTree, n.FileTree}, {cgroup.HasNUMAAnonTree, catalog.NUMAAnonTree, n.AnonTree}, {cgroup.HasNUMAUnevictableTree, catalog.NUMAUnevictableTree, n.UnevictableTree},
		} {
			if n.Has&f.has != 0 {
				set.PutFor(f.id, node, float64(f.pages))
			}
		}
	}
}

func (s *Sampler) putLayers(t *target, set *series.Set) {
	sizes, ok := s.cfg.Layers.Sizes(t.container.ID, t.container.PID)
	if !ok {
		return
	}
	device := s.view.deviceName(sizes.Major, sizes.Minor)
	set.PutFor(catalog.FSUsage, device, float64(sizes.Bytes))
	set.PutFor(catalog.FSInodesUsed, device, float64(sizes.Inodes))
	for _, v := range sizes.Volumes {
		set.PutFor(catalog.VolumeUsage, v.Point, float64(v.Bytes))
	}
}

func (s *Sampler) putHugePages(set *series.Set, from slowSource) {
	var err error
	if s.slow.pages, err = from.HugePages(s.slow.pages[:0], s.slow.buf); err != nil {
		return // gone
	}
	for _, h := range s.slow.pages {
		set.PutFor(catalog.HugetlbUsage, h.Size, float64(h.UsageBytes))
		if h.HasFailcnt {
			set.PutFor(catalog.HugetlbFailcnt, h.Size, float64(h.Failcnt))
		}
		if h.HasMax {
			set.PutFor(catalog.HugetlbMax, h.Size, float64(h.MaxBytes))
		}
	}
}
