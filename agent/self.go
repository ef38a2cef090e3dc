package main

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// self is the agent's own process: the process_* metrics of Prometheus' client libraries, by two system calls and one small file.
// The client library's collector lists /proc/self/fd for them, which an agent that holds thousands of files can not afford every
// interval; how many it holds is plimsoll_agent_descriptors.
type self struct {
	cpu, resident, start *prometheus.Desc
	startedAt            float64 // Unix seconds

	mu    sync.Mutex // guards meter: a scrape and a round may gather at the same time
	meter shed.Meter
}

func newSelf(startedAt time.Time) *self {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return &self{
		cpu:       desc("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
		resident:  desc("process_resident_memory_bytes", "Resident memory size in bytes."),
		start:     desc("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
		startedAt: float64(startedAt.UnixMilli()) / 1000,
	}
}

// Describe is of prometheus.Collector.
func (s *self) Describe(to chan<- *prometheus.Desc) {
	to <- s.cpu
	to <- s.resident
	to <- s.start
}

// Collect is of prometheus.Collector.
func (s *self) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used, err := s.meter.Used()
	if used.CPU > 0 {
		to <- prometheus.MustNewConstMetric(s.cpu, prometheus.CounterValue, used.CPU.Seconds())
	}
	if err == nil {
		to <- prometheus.MustNewConstMetric(s.resident, prometheus.GaugeValue, float64(used.ResidentBytes))
	}
	to <- prometheus.MustNewConstMetric(s.start, prometheus.GaugeValue, s.startedAt)
}
