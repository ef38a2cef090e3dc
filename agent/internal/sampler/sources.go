package sampler

import (
	"cmp"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// Source adds series of its own to every full round: what the API server says about the cluster.
type Source interface {
	// Collect puts what there is now. of returns the set of the series with these labels, besides idc and cluster, to put values into;
	// a set that is not asked for in a round has ended. The labels of a set are given in the same order each time.
	Collect(of func(labels ...wire.Label) *series.Set)
}

// sourced is one set of a source.
type sourced struct {
	set   *series.Set
	round uint64 // in which it was last asked for
}

// sourcedSet is what a source's Collect is given: the set with these labels and idc and cluster, which are part of its key.
func (s *Sampler) sourcedSet(labels ...wire.Label) *series.Set {
	labels = append(labels, wire.Label{Name: "cluster", Value: s.cfg.NodeLabels.Cluster}, wire.Label{Name: "idc", Value: s.cfg.NodeLabels.IDC})
	s.key = wire.AppendLabels(s.key[:0], labels)
	k := s.sourced[string(s.key)]
	if k == nil {
		k = &sourced{set: series.New(labels)}
		s.sourced[string(s.key)] = k
	}
	if k.round != s.round {
		k.round = s.round
		k.set.Begin()
	}
	return k.set
}

// sampleSources adds the sets of every source to the batch and ends those that no source has any more, those under an old idc or cluster
// included.
func (s *Sampler) sampleSources() {
	for _, source := range s.cfg.Sources {
		source.Collect(s.sourcedSet)
	}
	now := time.Now().UnixMilli()
	for key, k := range s.sourced {
		if k.round == s.round {
			s.batch.add(k.set, now)
			continue
		}
		s.batch.end(k.set, now)
		delete(s.sourced, key)
	}
}

// sourcedSets are the sets of the sources, in the order of their labels.
func (s *Sampler) sourcedSets() []*series.Set {
	keys := sortedKeys(s.sourced, cmp.Compare[string])
	return slices.Collect(func(yield func(*series.Set) bool) {
		for _, key := range keys {
			if !yield(s.sourced[key].set) {
				return
			}
		}
	})
}

// putResources puts what a container of a pod asks for and may have. 0 is none, and a series of none is absent.
func putResources(set *series.Set, r inventory.Resources) {
	for _, one := range [...]struct {
		id    catalog.ID
		value float64
	}{
		{catalog.RequestCPU, r.CPURequestCores}, {catalog.LimitCPU, r.CPULimitCores},
		{catalog.RequestMemory, r.MemoryRequestBytes}, {catalog.LimitMemory, r.MemoryLimitBytes},
	} {
		if one.value > 0 {
			set.Put(one.id, one.value)
		}
	}
}
