package urgent_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/agent/internal/urgent"
)

func policy(t *testing.T) uint32 {
	t.Helper()
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a.Policy
}

func TestAGoroutineIsUrgentUntilItsEnd(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := begin(t)
	if got := policy(t); got != unix.SCHED_DEADLINE {
		t.Errorf("policy %d while urgent", got)
	}
	others := make(chan uint32)
	go func() { // a thread made from this one, perhaps
		runtime.LockOSThread()
		others <- policy(t)
	}()
	if got := <-others; got != unix.SCHED_NORMAL {
		t.Errorf("policy %d of another goroutine", got)
	}
	if err := exec.Command("true").Run(); err != nil {
		t.Errorf("start a process: %v", err)
	}
	end()
	if got := policy(t); got != unix.SCHED_NORMAL {
		t.Errorf("policy %d after the end", got)
	}
}

// The kernel keeps the share: a goroutine that does not stop leaves the CPU to others.
func TestAnUrgentGoroutineIsHeldToItsShare(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := begin(t)
	defer end()
	began, before := time.Now(), threadTime(t)
	for time.Since(began) < 300*time.Millisecond {
	}
	if share := (threadTime(t) - before).Seconds() / time.Since(began).Seconds(); share > 0.2 {
		t.Errorf("it took %.0f %% of a CPU, 10 %% are its share", 100*share)
	}
}

func begin(t *testing.T) (end func()) {
	t.Helper()
	end, err := urgent.Begin()
	switch {
	case errors.Is(err, unix.EBUSY):
		t.Skip("other threads have taken what the kernel promises: ", err)
	case err != nil && os.Getenv("CI") != "true":
		t.Skip("needs CAP_SYS_NICE and all CPUs: ", err)
	case err != nil:
		t.Fatal(err)
	}
	return end
}

func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		t.Fatal(err)
	}
	return time.Duration(at.Nano())
}
