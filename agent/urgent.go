package main

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/urgent"
)

// haste counts the threads that hear of births and deaths and run before everything else.
type haste struct {
	threads atomic.Int64
	room    sync.Once
}

func newHaste(reg prometheus.Registerer) *haste {
	h := &haste{}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_urgent_threads", Help: "Threads that hear of births and deaths and run before everything else on the node, 1 ms of any 10 at most. 0: not allowed, which takes CAP_SYS_NICE, all CPUs and room beside other such threads; on a busy node final readings may come too late."},
		func() float64 { return float64(h.threads.Load()) }))
	return h
}

// urgently makes run one of them where that is allowed.
func (h *haste) urgently(run func() error) func() error {
	return func() error {
		end, err := urgent.Begin()
		if err != nil {
			return run()
		}
		h.threads.Add(1)
		// One more processor of Go's for all of them, so that they do not wait for threads that hold the others and wait themselves. None of
		// them works for long, and each processor that idles is looked through whenever a goroutine wakes another.
		h.room.Do(func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) })
		defer h.threads.Add(-1)
		defer end()
		return run()
	}
}
