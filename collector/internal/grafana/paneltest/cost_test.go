package paneltest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"

	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/dashboards"
)

func TestMain(m *testing.M) {
	logger.SetOutputForTests(io.Discard)
	os.Exit(m.Run())
}

// bar is what one query may take.
const bar = 300 * time.Millisecond

// TestPanelsOverALargeFleet times every query of every dashboard over PLIMSOLL_SHOW_CONTAINERS containers, as the page asks when it is
// opened: first, and again a minute on, as a refresh does. make show-panels-10k runs it.
func TestPanelsOverALargeFleet(t *testing.T) {
	containers, err := strconv.Atoi(os.Getenv("PLIMSOLL_SHOW_CONTAINERS"))
	if err != nil {
		t.Skip("takes minutes: make show-panels-10k")
	}
	eng, now := open(t, containers)
	ask := func(ctx context.Context, expr string) ([]map[string]string, error) {
		found, err := eng.Query(ctx, expr, now)
		all := make([]map[string]string, len(found))
		for i, s := range found {
			all[i] = map[string]string{}
			for _, l := range s.Labels {
				all[i][l.Name] = l.Value
			}
		}
		return all, err
	}
	all, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]time.Duration{"Anno": time.Minute} // by reference; annotations have a step of their own
	var slowest time.Duration
	count := 0
	for _, d := range all {
		queries, err := d.Queries(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		marks, err := d.AnnotationQueries(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		queries = append(queries, marks...)
		type took struct {
			dashboards.Query
			first, again spent
			series       int
		}
		var timed []took
		for _, q := range queries {
			one := took{Query: q}
			for i, at := range []time.Time{now.Add(-time.Minute), now} {
				began, before := time.Now(), cpu()
				var found []engine.Series
				if q.Instant {
					found, err = eng.Query(t.Context(), q.Expr, at)
				} else {
					found, err = eng.QueryRange(t.Context(), q.Expr, at.Add(-d.Span()), at, max(d.Step(), steps[q.RefID]))
				}
				if err != nil {
					t.Fatalf("%s, %q, %s: %v", d.UID, q.Panel, q.RefID, err)
				}
				if one.series = len(found); i == 0 {
					one.first = spent{time.Since(began), cpu() - before}
				} else {
					one.again = spent{time.Since(began), cpu() - before}
				}
			}
			timed = append(timed, one)
		}
		slices.SortFunc(timed, func(a, b took) int { return cmp.Compare(b.first.least(), a.first.least()) })
		t.Logf("%s, %d queries, the last %s every %s", d.UID, len(queries), d.Span(), d.Step())
		for _, q := range timed {
			t.Logf("  first %s, again %s, %4d series  %s, %s", q.first, q.again, q.series, q.Panel, q.RefID)
			if slowest = max(slowest, q.first.least(), q.again.least()); max(q.first.least(), q.again.least()) > bar {
				t.Errorf("%s, %q, %s took %s, then %s; the bar is %s: %s", d.UID, q.Panel, q.RefID, q.first, q.again, bar, q.Expr)
			}
		}
		count += len(queries)
	}
	t.Logf("%d queries of %d dashboards over %d containers: the slowest took %s", count, len(all), containers, slowest)
}

// spent is what a query took: by the clock, and of CPU time over all cores.
type spent struct{ clock, cpu time.Duration }

// least is the better witness: on a machine that does other work the clock runs on, and two cores spend twice the time.
func (s spent) least() time.Duration { return min(s.clock, s.cpu) }

func (s spent) String() string {
	return fmt.Sprintf("%6.1f ms (CPU %6.1f)", s.clock.Seconds()*1000, s.cpu.Seconds()*1000)
}

// cpu is the CPU time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// open fills an engine, or takes the one that PLIMSOLL_SHOW_DIR keeps from an earlier run.
func open(t *testing.T, containers int) (*engine.Engine, time.Time) {
	t.Helper()
	dir, now := t.TempDir(), time.Now().Truncate(time.Minute)
	mark := ""
	if kept := os.Getenv("PLIMSOLL_SHOW_DIR"); kept != "" {
		dir, mark = kept, filepath.Join(kept, "now")
	}
	eng, err := engine.Open(engine.Config{DataDir: filepath.Join(dir, "store")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	if text, err := os.ReadFile(mark); err == nil {
		if now, err = time.Parse(time.RFC3339, string(text)); err != nil {
			t.Fatal(err)
		}
		return eng, now
	}
	h := history{eng: eng, now: now}
	began := time.Now()
	h.fill(t, containers)
	eng.Flush()
	t.Logf("%d containers, %d series, %d samples stored in %s", containers, h.series, h.samples, time.Since(began).Round(time.Second))
	if mark != "" {
		if err := os.WriteFile(mark, []byte(now.Format(time.RFC3339)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return eng, now
}
