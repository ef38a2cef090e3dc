package ingest

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
)

func TestAnAgentIsKnownByItsBuildInfo(t *testing.T) {
	b := newBench(t, Limits{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}, stub{})
	at := time.Unix(1_700_000_000, 0).UnixMilli()
	agent := func(version string) []byte {
		return encoded([]string{"__name__", "plimsoll_agent_build_info", "cluster", "c1", "idc", "east", "node", "n1", "version", version})
	}
	body := wire.AppendSeries(nil, agent("1.1"), 1, at)
	body = wire.AppendSeries(body, agent("1.0"), wire.Stale(), at)
	body = wire.AppendSeries(body, encoded([]string{"__name__", "up", "node", "n2"}), 1, at)
	if w := b.post("snappy", snap(body)); w.Code != 204 {
		t.Fatal(w.Body)
	}
	b.nodes.cfg.Now = b.limits.Now
	if got := b.metric(t, `plimsoll_collector_agent_last_received_timestamp_seconds{cluster="c1",idc="east",node="n1"}`); got != 1_700_000_000 {
		t.Errorf("got %v", got)
	}
	w := httptest.NewRecorder()
	b.nodes.ServeHTTP(w, httptest.NewRequest("GET", "/api/nodes", nil))
	var got struct {
		Status string
		Data   []map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if n := got.Data; got.Status != "success" || len(n) != 1 || n[0]["node"] != "n1" || n[0]["idc"] != "east" || n[0]["cluster"] != "c1" || n[0]["agent_version"] != "1.1" || !strings.HasSuffix(n[0]["last_received"].(string), "Z") {
		t.Errorf("got %s", w.Body)
	}
}

func TestTheTableOfNodesIsBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	reg := prometheus.NewRegistry()
	n := OpenNodes(NodesConfig{Most: 2, Now: func() time.Time { return now }}, quiet(), reg)
	n.note(NodeID{Node: "old"}, "1", "", now, time.Time{})
	n.note(NodeID{Node: "b"}, "1", "", now.Add(time.Second), time.Time{})
	n.note(NodeID{Node: "c"}, "1", "", now.Add(2*time.Second), time.Time{})
	if got := n.List(); len(got) != 2 || got[0].Node != "b" || got[1].Node != "c" {
		t.Errorf("got %v", got)
	}
	now = now.Add(8 * 24 * time.Hour)
	if got := n.List(); len(got) != 0 {
		t.Errorf("after 8 days of silence: %v", got)
	}
	if metric(t, reg, `plimsoll_collector_nodes_forgotten_total{reason="table_full"}`) != 1 || metric(t, reg, `plimsoll_collector_nodes_forgotten_total{reason="silent"}`) != 2 {
		t.Error("the forgotten are not counted")
	}
}

func TestASilentAgentIsStillMissedAfterARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nodes.json")
	n := OpenNodes(NodesConfig{File: file}, quiet(), prometheus.NewRegistry())
	n.note(NodeID{IDC: "east", Node: "a"}, "1.0", "", time.Now().Add(-time.Hour), time.Time{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx); err != nil {
		t.Fatal(err)
	}
	got := OpenNodes(NodesConfig{File: file}, quiet(), prometheus.NewRegistry()).List()
	if len(got) != 1 || got[0].AgentVersion != "1.0" || time.Since(got[0].LastReceived) < 59*time.Minute {
		t.Errorf("got %v", got)
	}
	if err := os.WriteFile(file, []byte("{cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := OpenNodes(NodesConfig{File: file}, quiet(), prometheus.NewRegistry()).List(); len(got) != 0 {
		t.Errorf("of a damaged file: %v", got)
	}
}
