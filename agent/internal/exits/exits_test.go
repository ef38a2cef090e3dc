package exits_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/exits"
)

func newWatcher(t *testing.T, limit int) (*exits.Watcher[string], <-chan string) {
	t.Helper()
	w, err := exits.New[string](limit)
	if errors.Is(err, exits.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ended, done := make(chan string, 16), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- w.Run(ctx, func(key string) { ended <- key }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run did not end with its context")
		}
	})
	return w, ended
}

func process(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

func TestAnExitIsToldAtOnceAndOnce(t *testing.T) {
	w, ended := newWatcher(t, 10)
	a, b := process(t), process(t)
	for key, c := range map[string]*exec.Cmd{"a": a, "b": b} {
		if gone, err := w.Watch(key, c.Process.Pid); gone || err != nil {
			t.Fatal(gone, err)
		}
	}
	b.Process.Kill() // a zombie until it is waited for: it has ended all the same
	select {
	case key := <-ended:
		if key != "b" || w.Watched() != 1 {
			t.Fatalf("%s ended, %d watched", key, w.Watched())
		}
	case <-time.After(5 * time.Second):
		t.Fatal("not told")
	}
	select {
	case key := <-ended:
		t.Fatalf("told of %s as well", key)
	case <-time.After(100 * time.Millisecond):
	}
}

func TestAProcessThatIsGoneAlreadyIsSaidToBe(t *testing.T) {
	w, _ := newWatcher(t, 10)
	c := process(t)
	c.Process.Kill()
	c.Wait()
	if gone, err := w.Watch("a", c.Process.Pid); !gone || err != nil {
		t.Fatal(gone, err)
	}
}

func TestTheLimitHoldsAndDescriptorsAreGivenBack(t *testing.T) {
	w, _ := newWatcher(t, 1)
	c := process(t)
	before := descriptors(t)
	for range 100 {
		if _, err := w.Watch("a", c.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Watch("b", os.Getpid()); !errors.Is(err, exits.ErrFull) {
		t.Fatalf("past the limit: %v", err)
	}
	w.Forget("a")
	w.Forget("a")
	if after := descriptors(t); after > before {
		t.Fatalf("%d descriptors, then %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
