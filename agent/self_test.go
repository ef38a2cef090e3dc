package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestTheAgentTellsOfItsOwnProcess(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newSelf(time.Unix(1_700_000_000, 0)))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	if v := got["process_resident_memory_bytes"]; v < 1<<20 || v > 1<<30 {
		t.Errorf("resident memory %v bytes in %v", v, got)
	}
	if v := got["process_cpu_seconds_total"]; v <= 0 || v > 3600 {
		t.Errorf("CPU time %v s in %v", v, got)
	}
	if v := got["process_start_time_seconds"]; v != 1_700_000_000 {
		t.Errorf("start %v", v)
	}
}
