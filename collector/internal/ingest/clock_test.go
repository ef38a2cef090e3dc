package ingest

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
)

func TestAnAgentsClockIsComparedAlsoWhenItsSamplesAreTooFarAhead(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	b := newBench(t, Limits{Now: func() time.Time { return now }}, stub{})
	b.nodes.cfg.Now = b.limits.Now
	post := func(ahead time.Duration) int {
		at := now.Add(ahead).UnixMilli()
		body := wire.AppendSeries(nil, encoded([]string{"__name__", "plimsoll_agent_build_info", "cluster", "c1", "idc", "east", "node", "n1", "version", "1"}), 1, at)
		r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(snap(body)))
		r.Header = http.Header{agentHeader: {"a-1"}, sequenceHeader: {"1"}, firstHeader: {"1"}, sentHeader: {strconv.FormatInt(at, 10)}}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w.Code
	}
	const skew = `plimsoll_collector_agent_clock_skew_seconds{cluster="c1",idc="east",node="n1"}`
	for _, c := range []struct {
		ahead time.Duration
		code  int
	}{{-90 * time.Second, 204}, {250 * time.Millisecond, 204}, {time.Hour, 400}} {
		if code := post(c.ahead); code != c.code {
			t.Errorf("%s ahead: answer %d, want %d", c.ahead, code, c.code)
		}
		if got := b.metric(t, skew); got != c.ahead.Seconds() {
			t.Errorf("%s ahead: skew %v", c.ahead, got)
		}
	}
}

func TestAClockNobodyToldHasNoSkew(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := OpenNodes(NodesConfig{}, quiet(), reg)
	n.note(NodeID{Node: "a"}, "1", "", time.Now(), time.Now())
	n.compareClock("stranger", http.Header{sentHeader: {"1"}}, time.Now())
	n.compareClock("", http.Header{sentHeader: {"now"}}, time.Now())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasSuffix(f.GetName(), "clock_skew_seconds") {
			t.Errorf("%v", f)
		}
	}
}
