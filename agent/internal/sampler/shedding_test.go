package sampler_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// gauge is what the test says the process uses.
type gauge struct {
	cores    float64
	resident int64
	at       time.Time
	used     time.Duration
}

func (g *gauge) Used() (shed.Use, error) {
	if now := time.Now(); !g.at.IsZero() {
		g.used, g.at = g.used+time.Duration(g.cores*float64(now.Sub(g.at))), now
	} else {
		g.at = now
	}
	return shed.Use{CPU: g.used, ResidentBytes: g.resident}, nil
}

// over is a sampler of five containers with a limit of 0.1 cores and 100 MB.
func over(t *testing.T, edit func(*sampler.Config)) (kernel, *scripted, *collected, *sampler.Sampler, *gauge, *prometheus.Registry) {
	k, in, use, reg := newKernel(t), &scripted{wake: make(chan struct{}, 1)}, &gauge{}, prometheus.NewRegistry()
	k.process(t)
	out := &collected{t: t, values: map[string][]float64{}}
	s := with(t, k, in, out, "pressure_peaks", "", func(c *sampler.Config) {
		c.Limits, c.Used, c.Metrics, c.SlowInterval = shed.Limits{CPUCores: 0.1, MemoryBytes: 100 << 20}, use.Used, reg, 15*time.Second
		if edit != nil {
			edit(c)
		}
	})
	in.events = []inventory.Event{bornAs(77)}
	return k, in, out, s, use, reg
}

// own is a metric of the agent's own.
func own(t *testing.T, reg *prometheus.Registry, name, what string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == what {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, what)
	return 0
}

func TestOverItsCPULimitTheAgentLeavesOutWorkInOrderAndShowsNothingFalse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, out, s, use, reg := over(t, nil)
		usage := 1_000_000
		// interval is 14 one-second passes in which the container runs, and a full round.
		interval := func() map[string][]float64 {
			for range 14 {
				time.Sleep(time.Second)
				usage += 100_000
				k.container(t, usage, 0)
				s.Peaks()
			}
			time.Sleep(time.Second)
			s.Full()
			return out.take()
		}
		s.Full()
		interval()
		use.cores = 0.2 // twice the limit: a step each interval
		shown := []string{"container_memory_working_set_peak_bytes", "container_cpu_throttled_peak_ratio", "container_cpu_peak_cores", "container_file_descriptors"}
		expect := func(left int, got map[string][]float64) {
			t.Helper()
			for i, name := range shown {
				v := got[name+" id=/docker/A workload=web"]
				if i >= left && (len(v) != 1 || v[0] != v[0]) {
					t.Errorf("with %d steps taken %s is %v, want a value", left, name, v)
				} else if i < left && len(v) > 0 && v[0] == v[0] {
					t.Errorf("with %d steps taken %s is %v, want none", left, name, v)
				}
			}
		}
		expect(0, interval()) // what has been used by its end is known at its end
		for left := 1; left <= 4; left++ {
			expect(left, interval())
			for w := range shed.Births {
				if v := own(t, reg, "plimsoll_agent_shedding", w.String()); (v == 1) != (int(w) <= left) {
					t.Errorf("plimsoll_agent_shedding{what=%q} is %v after %d steps", w, v, left+1)
				}
			}
		}
		full := 0
		for range 8 {
			full += len(interval()["container_memory_rss id=/docker/A workload=web"])
		}
		if full != 2 && full != 3 { // the first of the eight may still be one of half the rounds
			t.Errorf("%d full readings in 8 intervals, want a quarter", full)
		}
		for what, least := range map[string]float64{"memory-peaks": 14, "stall-peaks": 14, "cpu-peaks": 14, "slow-groups": 2, "quarter-rounds": 5} {
			if v := own(t, reg, "plimsoll_agent_shed_total", what); v < least {
				t.Errorf("plimsoll_agent_shed_total{what=%q} is %v, want %v or more", what, v, least)
			}
		}
		use.cores = 0.01
		for range 6*4 + 1 {
			interval()
		}
		expect(0, interval())
		if v := own(t, reg, "plimsoll_agent_shedding", "memory-peaks"); v != 0 {
			t.Error("memory peaks are left out when there is room again")
		}
	})
}

func TestHalfTheRoundsAreHalfTheContainersInEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s, use, _ := over(t, func(c *sampler.Config) { c.Limits.CPUCores = 0.1 })
		k.many(t, in, 40)
		s.Full()
		use.cores = 0.2
		for range 5 {
			time.Sleep(15 * time.Second)
			s.Full()
		}
		use.cores = 0.09 // no step in either direction
		out.take()
		seen := map[string]int{}
		for range 6 {
			time.Sleep(15 * time.Second)
			s.Full()
			n := 0
			for key := range out.take() {
				if strings.HasPrefix(key, "container_memory_rss id=/docker/") {
					seen[key]++
					n++
				}
			}
			if n < 10 || n > 31 {
				t.Errorf("%d of 41 containers in one round", n)
			}
		}
		for key, n := range seen {
			if n != 3 {
				t.Errorf("%s was read %d times in 6 rounds", key, n)
			}
		}
		if len(seen) != 41 {
			t.Errorf("%d of 41 containers were read", len(seen))
		}
	})
}

func TestShortOfMemoryNewContainersWaitAndTheirExitsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s, use, reg := over(t, nil)
		s.Full()
		use.resident = 200 << 20
		for range 2 {
			time.Sleep(15 * time.Second)
			s.Full()
		}
		if v := out.take()["container_processes id=/docker/A workload=web"]; len(v) < 2 || v[len(v)-1] == v[len(v)-1] {
			t.Errorf("the slow groups are %v, want them to end", v)
		}
		k.many(t, in, 2)
		second, third := in.events[0], in.events[1]
		s.Events()
		third.Kind, third.Exit = inventory.Died, inventory.Exit{Known: true, Code: 3, Reason: inventory.Failed}
		in.events = []inventory.Event{third}
		s.Events()
		got := out.take()
		for key := range got {
			if strings.HasPrefix(key, "container_memory_rss") {
				t.Errorf("%s is shown although memory is short", key)
			}
		}
		if v := got["container_exit_code id=/docker/A workload=web1"]; !slices.Equal(v, []float64{3}) {
			t.Errorf("the exit record is %v", v)
		}
		if v := own(t, reg, "plimsoll_agent_shed_total", "births"); v != 2 {
			t.Errorf("%v births were counted", v)
		}
		use.resident = 10 << 20
		in.live = []inventory.Container{bornAs(77).Container, second.Container}
		for range 9 {
			time.Sleep(15 * time.Second)
			s.Full()
		}
		if v := out.take()["container_memory_rss id=/docker/A workload=web0"]; len(v) == 0 {
			t.Error("with memory again, the container that waited is not shown")
		}
	})
}

// An agent that starts beside a thousand containers opens them a few at a time, in the order of events.
func TestManyBirthsAreTakenAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in := newKernel(t), &scripted{wake: make(chan struct{}, 1)}
		out := &collected{t: t, values: map[string][]float64{}}
		s := with(t, k, in, out, "", "", func(c *sampler.Config) { c.BirthsAtOnce, c.Budget = 10, cgroup.NewBudget(10_000) })
		k.many(t, in, 45)
		last := in.events[44]
		last.Kind = inventory.Died
		in.events = append(in.events, last)
		shown := func() (n int) {
			for key := range out.take() {
				if strings.HasPrefix(key, "container_last_seen id=/docker/") {
					n++
				}
			}
			return n
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		for i := range 4 {
			synctest.Wait()
			if n := shown(); n != 10 {
				t.Errorf("%d births in go %d, want 10", n, i)
			}
			in.wake <- struct{}{} // other events do not shorten the rest
			synctest.Wait()
			if n := shown(); n != 0 {
				t.Errorf("%d births during a rest", n)
			}
			time.Sleep(50*time.Millisecond + 1)
		}
		synctest.Wait()
		if n := shown(); n != 5 {
			t.Errorf("%d births in the last go, want 5, and a death behind them", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestLimitsBelowZeroAreRefused(t *testing.T) {
	if _, err := sampler.New(sampler.Config{Limits: shed.Limits{CPUCores: -1}}, nil); err == nil {
		t.Error("a negative limit is taken")
	} else if !strings.Contains(err.Error(), "limits") {
		t.Error(fmt.Errorf("the error does not say what is wrong: %w", err))
	}
}
