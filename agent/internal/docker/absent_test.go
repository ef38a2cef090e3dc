package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// A node of Kubernetes whose pods run on containerd had a source down for ever, and an alert for it.
func TestANodeThatNeedsNoEngineIsNotWithoutOne(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	for _, optional := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out lockedBuffer
			reg := prometheus.NewRegistry()
			e, err := New(Config{Host: "unix://" + socket, Optional: optional, Metrics: reg}, slog.New(slog.NewTextHandler(&out, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Probe(t.Context()); errors.Is(err, ErrAbsent) != optional || !strings.Contains(err.Error(), socket) {
				t.Errorf("optional %t: probe says %v", optional, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := e.Run(ctx, &ledger{}); err != nil {
				t.Fatal(err)
			}
			if e.State().Absent != optional || e.State().Up {
				t.Errorf("optional %t: %+v", optional, e.State())
			}
			shown := 1
			if optional {
				shown = 0
			}
			if n, err := testutil.GatherAndCount(reg, "plimsoll_agent_source_up"); err != nil || n != shown {
				t.Errorf("optional %t: %d series of the source's state, want %d (%v)", optional, n, shown, err)
			}
			if warned := strings.Count(strings.Join(out.lines(), "\n"), "level=WARN"); warned != shown {
				t.Errorf("optional %t: %d warnings, want %d:\n%s", optional, warned, shown, strings.Join(out.lines(), "\n"))
			}
		})
	}
}

func TestAnEngineThatWasThereIsMissed(t *testing.T) {
	onStage(t, func(_ *puppet, e *Engine, _ *ledger, _ func() []string) {
		e.cfg.Optional = true // set before anything failed
		if !e.State().Up {
			t.Fatalf("the engine is not up: %+v", e.State())
		}
		e.setDown(fs.ErrNotExist, time.Now())
		if s := e.State(); s.Absent || s.Up {
			t.Errorf("an engine that went away is %+v", s)
		}
	})
}

// Containers of an engine that was down at the start had series without idc for up to five seconds, and then others.
func TestWhereTheEngineIsIsToldBeforeItsContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &puppet{running: map[cgroup.ContainerID]inspection{"c1": container1(time.Now())}, refused: fs.ErrNotExist, isManager: true, swarmSays: Swarm{Manager: true, NodeLabels: map[string]string{"idc": "bj1"}}}
		l := &ledger{}
		before := []string{}
		e, err := New(Config{Connected: func(info Info, swarm Swarm) {
			before = append(before, fmt.Sprintf("%s %s, %d told", info.Version, swarm.NodeLabels["idc"], len(l.of("c1"))))
		}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		e.connect = p.connect
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		time.AfterFunc(time.Minute, func() { p.set(func() { p.refused = nil }) })
		if err := e.Run(ctx, l); err != nil {
			t.Fatal(err)
		}
		if len(before) != 1 || before[0] != "x bj1, 0 told" || len(l.of("c1")) == 0 {
			t.Errorf("connected: %q; then %d things told of c1", before, len(l.of("c1")))
		}
	})
}
