package sampler

import (
	"cmp"
	"slices"

	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/series"
)

// AppendText appends the newest figures of all targets in the Prometheus text format.
func (s *Sampler) AppendText(dst []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	sets := []*series.Set{s.machine, s.node.set}
	for _, path := range sortedKeys(s.cgroups, cmp.Compare[string]) {
		sets = append(sets, s.cgroups[path].set)
	}
	targets := make([]*target, 0, len(s.targets))
	for _, t := range s.targets {
		targets = append(targets, t)
	}
	slices.SortFunc(targets, func(a, b *target) int {
		return cmp.Or(cmp.Compare(a.container.Labels.Name, b.container.Labels.Name), cmp.Compare(a.container.ID, b.container.ID))
	})
	for _, t := range targets {
		sets = append(sets, t.set)
	}
	for _, key := range sortedKeys(s.slots, compareSlots) {
		sets = append(sets, s.slots[key].set)
	}
	for i := range s.records {
		sets = append(sets, s.records[i].set)
	}
	return series.AppendText(dst, append(sets, s.sourcedSets()...))
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func compareSlots(a, b inventory.SlotKey) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container))
}
