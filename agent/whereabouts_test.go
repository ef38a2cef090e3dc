package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAConflictAndAnAbsenceOfIDCOrClusterAreMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := newWhereabouts(config{node: "n1", idc: "bj1"}, reg)
	value := func(name, label string) float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.Metric {
				if f.GetName() == name && m.Label[0].GetValue() == label {
					return m.GetGauge().GetValue()
				}
			}
		}
		t.Fatalf("no %s{label=%q}", name, label)
		return 0
	}
	if value("plimsoll_agent_identity_missing", "cluster") != 1 || value("plimsoll_agent_identity_missing", "idc") != 0 {
		t.Error("nobody has said the cluster yet")
	}
	w.say(byNodeLabels, "sh2", "k8s-1")
	w.say(byEngine, "", "swarm-1")
	w.say(byToken, "", "k8s-1")
	if n := w.node(); n.IDC != "bj1" || n.Cluster != "k8s-1" || n.Node != "n1" {
		t.Errorf("the node is at %+v", n)
	}
	if value("plimsoll_agent_identity_conflict", "idc") != 1 || value("plimsoll_agent_identity_conflict", "cluster") != 1 || value("plimsoll_agent_identity_missing", "cluster") != 0 {
		t.Error("two conflicts and no absence should be counted")
	}
	select {
	case <-w.changed:
	default:
		t.Error("nobody was told that something changed")
	}
}
