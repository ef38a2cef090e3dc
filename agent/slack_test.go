package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestTheTimersOfEveryThreadAreSlackened(t *testing.T) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	before, err := os.ReadFile("/proc/self/timerslack_ns")
	if err != nil {
		t.Skipf("Linux before 4.6: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs CAP_SYS_NICE")
	}
	slackenTimers("/proc", slog.New(slog.DiscardHandler))
	defer func() {
		for _, task := range tasks {
			os.WriteFile(filepath.Join("/proc", task.Name(), "timerslack_ns"), bytes.TrimSpace(before), 0)
		}
	}()
	for _, task := range tasks {
		if got, err := os.ReadFile(filepath.Join("/proc", task.Name(), "timerslack_ns")); err != nil || string(got) != "1000000\n" {
			t.Errorf("thread %s: %q, %v", task.Name(), got, err)
		}
	}
	slackenTimers(t.TempDir(), slog.New(slog.DiscardHandler)) // without proc nothing happens
}
