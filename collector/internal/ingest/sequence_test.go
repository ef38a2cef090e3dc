package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

func TestDeliveriesTellLateFromLost(t *testing.T) {
	f := func(what string, batches [][3]any, want string) {
		t.Helper()
		var d Deliveries
		for _, b := range batches {
			d.received(b[0].(string), uint64(b[1].(int)), uint64(b[2].(int)))
		}
		got := fmt.Sprintf("last %d late %d missing %d repeated %d changes %d gaps %v", d.LastSequence, d.late(), d.Missing, d.Repeated, d.AgentChanges, d.Gaps)
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}
	f("in order", [][3]any{{"a", 1, 1}, {"a", 2, 2}, {"a", 3, 3}}, "last 3 late 0 missing 0 repeated 0 changes 0 gaps []")
	f("known from the middle on", [][3]any{{"a", 500, 498}}, "last 500 late 2 missing 0 repeated 0 changes 0 gaps [[498 499]]")
	f("fresh first", [][3]any{{"a", 1, 1}, {"a", 9, 2}, {"a", 10, 2}}, "last 10 late 7 missing 0 repeated 0 changes 0 gaps [[2 8]]")
	f("then the backlog", [][3]any{{"a", 1, 1}, {"a", 9, 2}, {"a", 2, 2}, {"a", 4, 3}}, "last 9 late 5 missing 0 repeated 0 changes 0 gaps [[3 3] [5 8]]")
	f("a resend after a lost answer", [][3]any{{"a", 1, 1}, {"a", 1, 1}}, "last 1 late 0 missing 0 repeated 1 changes 0 gaps []")
	f("dropped at the agent", [][3]any{{"a", 1, 1}, {"a", 9, 6}}, "last 9 late 3 missing 4 repeated 0 changes 0 gaps [[6 8]]")
	f("dropped while it waited", [][3]any{{"a", 1, 1}, {"a", 9, 2}, {"a", 10, 10}}, "last 10 late 0 missing 7 repeated 0 changes 0 gaps []")
	f("the agent was restarted", [][3]any{{"a", 7, 7}, {"a", 7, 7}, {"a", 8, 8}}, "last 8 late 0 missing 0 repeated 1 changes 0 gaps []")
	f("the agent lost its disk", [][3]any{{"a", 1, 1}, {"a", 5, 2}, {"b", 1, 1}}, "last 1 late 0 missing 3 repeated 0 changes 1 gaps []")
	var many [][3]any
	for n := 1; n <= 2*mostGaps+21; n += 2 {
		many = append(many, [3]any{"a", n, 1})
	}
	var d Deliveries
	for _, b := range many {
		d.received("a", uint64(b[1].(int)), 1)
	}
	if len(d.Gaps) != mostGaps {
		t.Errorf("%d gaps are kept", len(d.Gaps))
	}
}

func TestHeadersWithoutSenseCountAsNone(t *testing.T) {
	for _, h := range [][3]string{{"", "1", "1"}, {"a", "", "1"}, {"a", "0", "0"}, {"a", "1", "2"}, {"a", "-1", "1"}, {"a b", "1", "1"}, {strings.Repeat("a", 65), "1", "1"}, {"a", "18446744073709551615", "1"}} {
		header := http.Header{}
		header.Set(agentHeader, h[0])
		header.Set(sequenceHeader, h[1])
		header.Set(firstHeader, h[2])
		if agent, n, first := sequence(header); agent != "" || n != 0 || first != 0 {
			t.Errorf("%q was taken", h)
		}
	}
}

// Two agents that have one node name and a spool each made a new agent of the node with every batch, and nobody was told.
func TestAgentsThatShareANodeNameAreToldFromOnesThatStartAnew(t *testing.T) {
	f := func(what string, agents string, changes, conflicts uint64) {
		t.Helper()
		var d Deliveries
		for i := range agents {
			d.received(agents[i:i+1], uint64(i+1), uint64(i+1))
		}
		if d.AgentChanges != changes || d.AgentConflicts != conflicts || len(d.Former) > mostFormer {
			t.Errorf("%s: %d changes, %d conflicts, formerly %v; want %d and %d", what, d.AgentChanges, d.AgentConflicts, d.Former, changes, conflicts)
		}
	}
	f("one agent", "aaaaaaaa", 0, 0)
	f("a reinstalled one", "aaaabbbb", 1, 0)
	f("reinstalled again and again", "abcdefghijkl", 11, 0)
	f("an old disk was put back", "aaabbbaaa", 1, 1)
	f("two agents", "abababab", 1, 6)
	f("two agents, one the more often", "aabaaabaab", 1, 4)
	f("four agents", "abcdabcdabcd", 3, 8)
}

// The copy of a machine has the name of its spool and of its node.
func TestCopiesOfAnAgentAreToldFromOneThatIsStartedAgain(t *testing.T) {
	f := func(what, runs string, conflicts uint64) {
		t.Helper()
		nodes := OpenNodes(NodesConfig{}, quiet(), prometheus.NewRegistry())
		id := NodeID{Node: "n"}
		for i := range runs {
			name := strings.TrimSpace(runs[i : i+1]) // none: of a journal, or of an agent that says none
			nodes.note(id, "1", "", time.Now(), time.Now())
			nodes.deliver(id, true, journal.Batch{Agent: "a", Sequence: uint64(i + 1), First: uint64(i + 1), Run: name})
		}
		if got := nodes.List()[0]; got.AgentConflicts != conflicts || got.AgentChanges != 0 || got.LastSequence != uint64(len(runs)) {
			t.Errorf("%s: %+v, want %d conflicts", what, got.Deliveries, conflicts)
		}
	}
	f("one run", "rrrrrr", 0)
	f("started again", "rrrsss", 0)
	f("started again and again", "rstuvwxyz", 0)
	f("a replay between", "rrr  rrr", 0)
	f("the last batch of the run before came late", "rrrsrss", 2)
	f("two agents", "rsrsrsrs", 6)
	f("two agents and a replay", "rsrs    rsrs", 6)
	f("no runs", "      ", 0)
}

func TestSharedNodeNamesAreServedAndKept(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	b.nodes.cfg.File = filepath.Join(t.TempDir(), "nodes.json")
	for n := 1; n <= 3; n++ {
		b.sequenced("first", n, n, "n9")
		b.sequenced("second", n, n, "n9")
	}
	const labels = `{cluster="c",idc="i",node="n9"}`
	if changes, conflicts := b.metric(t, "plimsoll_collector_agent_changes_total"+labels), b.metric(t, "plimsoll_collector_agent_conflicts_total"+labels); changes != 1 || conflicts != 4 {
		t.Errorf("%v changes, %v conflicts", changes, conflicts)
	}
	if err := b.nodes.save(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	OpenNodes(b.nodes.cfg, quiet(), prometheus.NewRegistry()).ServeHTTP(w, httptest.NewRequest("GET", "/api/nodes", nil))
	for _, want := range []string{`"agent_id":"second"`, `"agent_changes":1`, `"agent_conflicts":4`, `"former_agent_ids":["first"]`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
}

func TestAnAgentsNameThatComesFromTwoNodesIsAConflictOfBoth(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	conflicts := func(node string) float64 {
		return b.metric(t, `plimsoll_collector_agent_conflicts_total{cluster="c",idc="i",node="`+node+`"}`)
	}
	b.sequenced("moving", 1, 1, "n10")
	b.sequenced("moving", 2, 2, "n11")
	b.sequenced("moving", 3, 3, "n11")
	if conflicts("n10") != 0 || conflicts("n11") != 0 {
		t.Errorf("an agent that moved: %v, %v conflicts", conflicts("n10"), conflicts("n11"))
	}
	for n := 1; n <= 3; n++ {
		b.sequenced("copied", n, n, "n12")
		b.sequenced("copied", n, n, "n13")
	}
	if conflicts("n12") != 2 || conflicts("n13") != 2 {
		t.Errorf("a name of two nodes: %v, %v conflicts", conflicts("n12"), conflicts("n13"))
	}
	b.sequenced("copied", 4, 4, "n12")
	b.sequenced("copied", 6, 4, "") // whose it is, its last batch said
	if late := b.metric(t, `plimsoll_collector_agent_late_batches{cluster="c",idc="i",node="n12"}`); late != 1 {
		t.Errorf("%v batches of the node are late", late)
	}
}

// sequenced posts a batch as an agent does; with presence it says whose it is.
func (b bench) sequenced(agent string, number, first int, presence string) *httptest.ResponseRecorder {
	body := message([]string{"__name__", "sequenced", "node", "n9"})
	if presence != "" {
		body = wire.AppendSeries(body, encoded([]string{"__name__", presenceMetric, "cluster", "c", "idc", "i", "node", presence, "version", "1"}), 1, time.Now().Add(-90*time.Second).UnixMilli())
	}
	r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(snap(body)))
	r.Header.Set(agentHeader, agent)
	r.Header.Set(sequenceHeader, fmt.Sprint(number))
	r.Header.Set(firstHeader, fmt.Sprint(first))
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func TestTheCollectorKnowsPerNodeWhatIsLateAndLost(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	b.nodes.cfg.File = filepath.Join(t.TempDir(), "nodes.json")
	for _, w := range []*httptest.ResponseRecorder{
		b.sequenced("a1", 1, 1, "n9"), b.sequenced("a1", 5, 3, ""), b.sequenced("stranger", 3, 3, ""),
	} {
		if w.Code != 204 || w.Header().Get("X-Plimsoll-Any-Order") != "1" {
			t.Fatal(w.Code, w.Body)
		}
	}
	const labels = `{cluster="c",idc="i",node="n9"}`
	if missing, late := b.metric(t, "plimsoll_collector_agent_missing_batches_total"+labels), b.metric(t, "plimsoll_collector_agent_late_batches"+labels); missing != 1 || late != 2 {
		t.Errorf("missing %v, late %v", missing, late)
	}
	if lag := b.metric(t, "plimsoll_collector_agent_lag_seconds"+labels); lag < 89 || lag > 110 {
		t.Errorf("lag %v", lag)
	}
	if err := b.nodes.save(); err != nil {
		t.Fatal(err)
	}
	again := OpenNodes(b.nodes.cfg, quiet(), prometheus.NewRegistry())
	again.observe(nil, journal.Batch{Agent: "a1", Sequence: 3, First: 3, Received: time.Now()}, "") // as replayed or late
	w := httptest.NewRecorder()
	again.ServeHTTP(w, httptest.NewRequest("GET", "/api/nodes", nil))
	for _, want := range []string{`"last_seq":5`, `"missing_batches":1`, `"late_batches":1`, `"gaps":[[4,4]]`, `"agent_id":"a1"`, `"lag_seconds":9`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
}

// notebook is a journal that fails as told.
type notebook struct {
	err  error
	kept []journal.Batch
	open int
}

func (n *notebook) Append(b journal.Batch) (func(), error) {
	if n.err != nil {
		return nil, n.err
	}
	b.Body = bytes.Clone(b.Body)
	n.kept = append(n.kept, b)
	n.open++
	return func() { n.open-- }, nil
}

func TestWhatTheJournalDoesNotTakeIsNotAcknowledged(t *testing.T) {
	for err, want := range map[error]int{journal.ErrFull: 503, journal.ErrDisk: 503, journal.ErrReplaying: 503, journal.ErrClosed: 503, journal.ErrTooLarge: 413} {
		b := newBench(t, Limits{}, stub{})
		b.journal = &notebook{err: fmt.Errorf("%w: why", err)}
		w := b.post("snappy", snap(message([]string{"__name__", "x"})))
		if w.Code != want || !strings.Contains(w.Body.String(), "why") || (want == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: %d %q %s", err, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
}

// A batch that comes again, by replay or from an agent that missed the answer, changes no answer of the engine, nor do
// stale markers in it.
func TestReplayCountsNothingTwice(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	kept := &notebook{}
	b.journal = kept
	zero := time.Now().Add(-5 * time.Minute).Truncate(time.Second)
	for n := range 20 {
		at := zero.Add(time.Duration(n) * 10 * time.Second).UnixMilli()
		body := wire.AppendSeries(nil, encoded([]string{"__name__", "replayed_total", "kind", "counter"}), float64(n*n), at)
		value := 0.1 + float64(n)
		if n == 12 {
			value = wire.Stale()
		}
		body = wire.AppendSeries(body, encoded([]string{"__name__", "replayed_gauge", "kind", "gauge"}), value, at)
		if w := b.post("zstd", zstandard(body)); w.Code != 204 {
			t.Fatal(w.Code, w.Body)
		}
	}
	ask := func() string {
		shared.Flush()
		out := ""
		for _, expr := range []string{"count_over_time(replayed_total[1h])", "sum_over_time(replayed_total[1h])", "increase(replayed_total[10m])", "rate(replayed_total[3m])",
			"count_over_time(replayed_gauge[1h])", "sum_over_time(replayed_gauge[1h])", "stale_samples_over_time(replayed_gauge[1h])", "changes(replayed_gauge[1h])"} {
			found, err := shared.Query(t.Context(), expr, zero.Add(4*time.Minute))
			if err != nil || len(found) != 1 {
				t.Fatalf("%s: %v %v", expr, found, err)
			}
			out += fmt.Sprintln(expr, found[0].Values)
		}
		return out
	}
	before := ask()
	for range 3 {
		for _, batch := range kept.kept {
			if err := b.Replay(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		if after := ask(); after != before {
			t.Fatalf("before\n%s\nafter\n%s", before, after)
		}
	}
	if !strings.Contains(before, "count_over_time(replayed_total[1h]) [20]") || !strings.Contains(before, "stale_samples_over_time(replayed_gauge[1h]) [1]") {
		t.Error(before)
	}
	if kept.open != 0 {
		t.Errorf("%d batches are said to be on their way", kept.open)
	}
}

func TestReplayWaitsForAnEngineThatTakesNothing(t *testing.T) {
	b := newBench(t, Limits{}, stub{err: engine.ErrReadOnly})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	batch := journal.Batch{Encoding: "snappy", Body: snap(message([]string{"__name__", "x"})), Received: time.Now()}
	if err := b.Replay(ctx, batch); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	batch.Body = []byte("no snappy")
	if err := b.Replay(t.Context(), batch); err != nil {
		t.Errorf("a batch that can not be read: %v", err)
	}
}
