package shed_test

import (
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// process is one whose use the test decides, looked at every 15 s.
type process struct {
	t     *testing.T
	limit *shed.Limiter
	now   time.Time
	used  shed.Use
}

func limited(t *testing.T, l shed.Limits) *process {
	t.Helper()
	limit, err := shed.New(l)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, limit: limit, now: time.Unix(1_700_000_000, 0), used: shed.Use{CPU: 5 * time.Second, ResidentBytes: 10 << 20}}
	limit.Step(p.now, p.used)
	return p
}

// window passes with so much in use and returns what is left out after it.
func (p *process) window(cores float64, residentBytes int64) string {
	p.now = p.now.Add(shed.Window)
	p.used.CPU += time.Duration(cores * float64(shed.Window))
	p.used.ResidentBytes = residentBytes
	return p.limit.Step(p.now, p.used).String()
}

func (p *process) want(want, got string) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("left out: %q, want %q", got, want)
	}
}

func TestWorkIsLeftOutInTheDocumentedOrderAndComesBackInTheOther(t *testing.T) {
	p := limited(t, shed.Limits{CPUCores: 0.1})
	order := []string{"memory-peaks", "stall-peaks", "cpu-peaks", "slow-groups", "half-rounds", "quarter-rounds"}
	p.want("", p.window(0.12, 0)) // one window may be chance
	p.want("memory-peaks", p.window(0.12, 0))
	for n := 2; n <= len(order); n++ {
		p.want(strings.Join(order[:n], " "), p.window(0.2, 0)) // far over the limit it goes faster
	}
	p.want(strings.Join(order, " "), p.window(0.2, 0)) // there is nothing more to leave out
	for n := len(order) - 1; n >= 0; n-- {
		for range 3 {
			p.want(strings.Join(order[:n+1], " "), p.window(0.01, 0))
		}
		p.want(strings.Join(order[:n], " "), p.window(0.01, 0))
	}
}

func TestCloseToTheLimitNothingChanges(t *testing.T) {
	p := limited(t, shed.Limits{CPUCores: 0.1})
	p.window(0.2, 0)
	for range 50 {
		p.want("memory-peaks", p.window(0.09, 0))
	}
}

// Work that comes back and proves too much again would otherwise go on and off for ever.
func TestWorkThatWasTooMuchAgainIsAwaitedLonger(t *testing.T) {
	p := limited(t, shed.Limits{CPUCores: 0.1})
	waits := func() (windows int) {
		p.want("memory-peaks", p.window(0.2, 0))
		for p.window(0.05, 0) != "" {
			windows++
		}
		return windows
	}
	last := 0
	for i := range 6 {
		n := waits()
		if n <= last && n < 63 {
			t.Errorf("after %d relapses it comes back after %d windows, before after %d", i, n, last)
		}
		last = n
	}
	for range 20 {
		p.want("", p.window(0.05, 0))
	}
	if n := waits(); n != 3 {
		t.Errorf("after a long time with room it comes back after %d windows, want 3 and the one that brings it", n)
	}
}

func TestMemoryHasAnOrderOfItsOwn(t *testing.T) {
	p := limited(t, shed.Limits{CPUCores: 0.1, MemoryBytes: 100 << 20})
	p.want("slow-groups", p.window(0.01, 200<<20))
	p.want("slow-groups births", p.window(0.01, 200<<20))
	p.want("memory-peaks slow-groups births", p.window(0.3, 200<<20))
}

func TestABurstWithinAWindowIsAveraged(t *testing.T) {
	limit, err := shed.New(shed.Limits{CPUCores: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	now, used := time.Unix(1_700_000_000, 0), shed.Use{}
	for second := range 120 {
		if second%15 == 3 {
			used.CPU += time.Second
		}
		used.CPU += 10 * time.Millisecond
		if set := limit.Step(now.Add(time.Duration(second)*time.Second), used); set != 0 && second < 15 {
			t.Errorf("after %d s %b is left out", second, set)
		}
	}
	if c := limit.Cores(); c < 0.07 || c > 0.09 {
		t.Errorf("%v cores, want 1.15 s in 15", c)
	}
}

func TestWithoutLimitsNothingIsLeftOut(t *testing.T) {
	p := limited(t, shed.Limits{})
	for range 10 {
		p.want("", p.window(64, 1<<40))
	}
	if _, err := shed.New(shed.Limits{CPUCores: -1}); err == nil {
		t.Error("a limit below 0 is taken")
	}
}

func TestTheKernelSaysWhatThisProcessUsed(t *testing.T) {
	var m shed.Meter
	before, err := m.Used()
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
	}
	after, err := m.Used()
	if err != nil || after.CPU <= before.CPU || after.ResidentBytes < 1<<20 || after.ResidentBytes > 1<<32 {
		t.Errorf("%+v, then %+v, %v", before, after, err)
	}
}
