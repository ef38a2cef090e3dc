package main

import (
	"runtime"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestUrgentThreadsShareOneMoreProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	h, done := newHaste(prometheus.NewRegistry()), make(chan struct{})
	var running, all sync.WaitGroup
	for range 3 {
		running.Add(1)
		all.Go(func() {
			h.urgently(func() error {
				running.Done()
				<-done
				return nil
			})()
		})
	}
	running.Wait()
	want := before
	if h.threads.Load() > 0 { // it takes CAP_SYS_NICE
		want++
	}
	if got := runtime.GOMAXPROCS(0); got != want {
		t.Errorf("%d processors with %d urgent threads, want %d", got, h.threads.Load(), want)
	}
	close(done)
	all.Wait()
	if n := h.threads.Load(); n != 0 {
		t.Errorf("%d urgent threads are left", n)
	}
}
