package sampler_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/host"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// replicas is a source of the replicas of workloads.
type replicas map[string]float64

func (r replicas) Collect(of func(labels ...wire.Label) *series.Set) {
	for workload, n := range r {
		of(wire.Label{Name: "workload", Value: workload}).Put(catalog.WorkloadReady, n)
	}
}

func TestWhatASourceHasNoMoreHasEnded(t *testing.T) {
	k := newKernel(t)
	fs, err := cgroup.Detect(k.root, k.proc)
	if err != nil {
		t.Fatal(err)
	}
	node, err := host.Open(fs, k.proc, t.TempDir(), cgroup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	out, source := &collected{t: t, values: map[string][]float64{}}, replicas{"web": 2, "db": 1}
	s, err := sampler.New(sampler.Config{FS: fs, Node: node, Containers: &scripted{}, Out: out, Sources: []sampler.Source{source}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const web, db = "workload_ready_replicas workload=web", "workload_ready_replicas workload=db"
	s.Full()
	if got := out.take(); !slices.Equal(got[web], []float64{2}) || !slices.Equal(got[db], []float64{1}) {
		t.Errorf("first round: %v %v", got[web], got[db])
	}
	delete(source, "db")
	s.Full()
	if got := out.take(); !slices.Equal(got[web], []float64{2}) || len(got[db]) != 1 || !wire.IsStale(got[db][0]) {
		t.Errorf("after one has gone: %v %v", got[web], got[db])
	}
	s.SetNode(identity.Node{IDC: "bj-a"})
	out.take()
	s.Full()
	if got := out.take(); len(got[web]) != 2 || wire.IsStale(got[web][0]) == wire.IsStale(got[web][1]) || got[db] != nil {
		t.Errorf("under a new idc: %v %v, want the end of the old series and one value of the new", got[web], got[db])
	}
}
