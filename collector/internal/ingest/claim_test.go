package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// tokenHeader stands in for the token of a request.
const tokenHeader = "X-Test-Token"

// as posts a batch of an agent with a token; node is whose presence metric is in it, if any.
func (b bench) as(token, agent string, number int, node string) *httptest.ResponseRecorder {
	body := message([]string{"__name__", "claimed", "node", "n"})
	if node != "" {
		body = wire.AppendSeries(body, encoded([]string{"__name__", presenceMetric, "cluster", "c", "idc", "i", "node", node, "version", "1"}), 1, time.Now().UnixMilli())
	}
	r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(snap(body)))
	r.Header.Set(tokenHeader, token)
	r.Header.Set(agentHeader, agent)
	r.Header.Set(sequenceHeader, fmt.Sprint(number))
	r.Header.Set(firstHeader, "1")
	r.Header.Set(sentHeader, "1")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

// An agent's name once moved whatever node it belonged to: any token could make gaps in the table of others.
func TestNobodyNumbersTheBatchesOfAnotherTokensAgent(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	b.sender = func(r *http.Request) Sender { return Sender{Name: r.Header.Get(tokenHeader)} }
	b.as("east", "victim", 1, "n1")
	b.as("east", "victim", 2, "")
	before := b.nodes.List()[0]
	if before.Token != "east" || before.LastSequence != 2 {
		t.Fatalf("%+v", before)
	}
	for what, w := range map[string]*httptest.ResponseRecorder{
		"numbers far ahead":             b.as("west", "victim", 1000, ""),
		"and beside a node of its own":  b.as("west", "victim", 2000, "n2"),
		"and of a node that it invents": b.as("west", "victim", 3000, "n3"),
	} {
		if w.Code != http.StatusNoContent || !strings.Contains(w.Header().Get(refusedAgentHeader), "another token") {
			t.Errorf("%s: %d %v", what, w.Code, w.Header())
		}
	}
	after := b.nodes.List()
	if len(after) != 3 || fmt.Sprint(after[0].Deliveries, after[0].Clock.known) != fmt.Sprint(before.Deliveries, true) || after[0].SkewSeconds != before.SkewSeconds || after[1].Agent != "" {
		t.Errorf("the table is\n%+v, was\n%+v", after, before)
	}
	if n := b.metric(t, "plimsoll_collector_foreign_agent_batches_total"); n != 3 {
		t.Errorf("%v are counted", n)
	}
	if w := b.as("east", "victim", 3, ""); w.Header().Get(refusedAgentHeader) != "" || b.nodes.List()[0].LastSequence != 3 {
		t.Errorf("its own agent does not go on: %v %+v", w.Header(), b.nodes.List()[0])
	}
	w := httptest.NewRecorder()
	b.nodes.ServeHTTP(w, httptest.NewRequest("GET", "/api/nodes", nil))
	if strings.Contains(w.Body.String(), "east") {
		t.Errorf("the name of a token is shown: %s", w.Body)
	}
}

func TestATokenThatIsChangedTakesItsAgentsAlong(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	b.sender = func(r *http.Request) Sender { return Sender{Name: r.Header.Get(tokenHeader)} }
	b.nodes.cfg.File = t.TempDir() + "/nodes.json"
	b.as("old", "a", 1, "n1")
	if !b.nodes.Foreign("a", "new") || b.nodes.Foreign("a", "old") || b.nodes.Foreign("a", "") || b.nodes.Foreign("unheard of", "new") {
		t.Error("whose name it is")
	}
	b.as("new", "a", 2, "n1") // may write n1, or the series would have been left out
	b.as("new", "a", 3, "")
	if n := b.nodes.List()[0]; n.LastSequence != 3 || len(n.Gaps) > 0 || n.Token != "new" {
		t.Errorf("%+v", n)
	}
	if err := b.nodes.save(); err != nil {
		t.Fatal(err)
	}
	if again := OpenNodes(b.nodes.cfg, quiet(), prometheus.NewRegistry()); !again.Foreign("a", "old") {
		t.Error("a restart forgets whose name it is")
	}
}
