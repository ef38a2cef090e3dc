package roster

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/ingest"
)

// scene is a roster, its clock and the agents that wrote.
type scene struct {
	*Roster
	now    time.Time
	agents []ingest.Node
	reg    *prometheus.Registry
}

func open(t *testing.T, list string) *scene {
	t.Helper()
	s := &scene{now: time.Unix(1_700_000_000, 0), reg: prometheus.NewRegistry()}
	cfg := Config{Most: 5, Now: func() time.Time { return s.now }, Nodes: func() []ingest.Node { return s.agents }}
	if list != "" {
		cfg.File = write(t, list)
	}
	var err error
	if s.Roster, err = Open(cfg, slog.New(slog.DiscardHandler), s.reg); err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nodes.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *scene) wrote(idc, cluster, node string) {
	s.agents = append(s.agents, ingest.Node{NodeID: ingest.NodeID{IDC: idc, Cluster: cluster, Node: node}})
}

// says gives the roster one sample of a series, given as label pairs.
func (s *scene) says(value float64, pairs ...string) {
	ts := prompb.TimeSeries{Samples: []prompb.Sample{{Value: value}}}
	for i := 0; i < len(pairs); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	s.Observe([]prompb.TimeSeries{ts})
}

func (s *scene) kube(value float64, idc, cluster, node string) {
	s.says(value, "__name__", "kube_node_status_condition", "cluster", cluster, "condition", "Ready", "idc", idc, "node", node, "status", "true")
}

// shows compares the missing, as source/idc/cluster/node, and the number expected.
func (s *scene) shows(t *testing.T, what string, expected float64, missing ...string) {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	sum := 0.0
	for _, f := range families {
		for _, m := range f.Metric {
			switch f.GetName() {
			case "plimsoll_collector_agents_expected":
				sum += m.GetGauge().GetValue()
			case "plimsoll_collector_agent_missing":
				label := map[string]string{}
				for _, l := range m.Label {
					label[l.GetName()] = l.GetValue()
				}
				got = append(got, strings.Join([]string{label["source"], label["idc"], label["cluster"], label["node"]}, "/"))
			}
		}
	}
	slices.Sort(got)
	if sum != expected || !slices.Equal(got, missing) {
		t.Errorf("%s: %v expected, missing %v; want %v and %v", what, sum, got, expected, missing)
	}
}

func TestANodeOfAClusterWithoutAnAgentIsMissing(t *testing.T) {
	s := open(t, "")
	s.shows(t, "nobody says anything", 0)
	s.kube(1, "bj1", "c1", "n1")
	s.kube(1, "bj1", "c1", "n2")
	s.says(1, "__name__", "swarm_node_ready", "cluster", "s1", "idc", "bj1", "node", "m1")
	s.says(1, "__name__", "kube_node_status_condition", "condition", "Ready", "node", "n1", "status", "false")
	s.says(1, "__name__", "kube_node_status_condition", "condition", "DiskPressure", "node", "n7", "status", "true")
	s.says(1, "__name__", "up", "node", "n8")
	s.shows(t, "no agent", 3, "kubernetes/bj1/c1/n1", "kubernetes/bj1/c1/n2", "swarm/bj1/s1/m1")

	s.wrote("bj2", "c1", "n1") // the idc is the node's own, of another zone than the agent's that told of it
	s.wrote("bj1", "other", "n2")
	s.wrote("bj1", "s1", "m1")
	s.shows(t, "agents on n1 and m1, and on another cluster's n2", 3, "kubernetes/bj1/c1/n2")

	s.kube(0, "bj1", "c1", "n2")
	s.shows(t, "n2 is down", 2)
	s.kube(1, "bj1", "c1", "n2")
	s.kube(math.NaN(), "bj1", "c1", "n2")
	s.shows(t, "n2 is no more", 2)
	s.now = s.now.Add(11 * time.Minute)
	s.shows(t, "nobody says it any more", 0)
}

// The second word of a node once put strings into the roster that pointed into the request's body, which the next request overwrote.
func TestNothingOfARequestIsKept(t *testing.T) {
	s := open(t, "")
	body := make([]byte, 8)
	for range 3 {
		copy(body, "c1n1")
		s.kube(1, "", unsafe.String(&body[0], 2), unsafe.String(&body[2], 2))
		clear(body)
	}
	s.shows(t, "one node, told thrice", 1, "kubernetes//c1/n1")
}

func TestAListedNodeWithoutAnAgentIsMissing(t *testing.T) {
	s := open(t, "# the old hall\n- n1\n- {cluster: edge, node: n2}\n- idc: bj1\n  node: n3\n")
	s.wrote("bj1", "edge", "n1")
	s.wrote("bj1", "core", "n2")
	s.wrote("bj2", "core", "n3")
	s.shows(t, "n2 and n3 stand elsewhere", 3, "list//edge/n2", "list/bj1//n3")
	s.wrote("bj9", "edge", "n2")
	s.wrote("bj1", "", "n3")
	s.shows(t, "all there", 3)

	if err := os.WriteFile(s.cfg.File, []byte("- n1\n- n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil {
		t.Error("a broken list is taken")
	}
	s.shows(t, "a broken list leaves the one of before", 3)
	if err := os.WriteFile(s.cfg.File, []byte("- n4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	s.shows(t, "another list", 1, "list///n4")
}

func TestWhatIsExpectedIsBounded(t *testing.T) {
	s := open(t, "- n1\n")
	for _, node := range []string{"a", "b", "c", "d", "e", "f"} {
		s.kube(1, "", "c", node)
	}
	s.shows(t, "six told and one listed, of five", 5, "kubernetes//c/a", "kubernetes//c/b", "kubernetes//c/c", "kubernetes//c/d", "list///n1")
	families, _ := s.reg.Gather()
	for _, f := range families {
		if f.GetName() == "plimsoll_collector_agents_expected_refused_total" && f.Metric[0].GetCounter().GetValue() != 2 {
			t.Errorf("refused: %v, want 2", f)
		}
	}
}

func TestABadListSaysWhere(t *testing.T) {
	for list, want := range map[string]string{
		"- n1\n- {node: n2, rack: 7}\n":  `:2: "rack" is none of idc, cluster, node`,
		"- n1\n- {cluster: c}\n":         `:2: a node needs a name`,
		"- n1\n\n- n1\n":                 `:3: node "n1" is listed in line 1 too`,
		"- [n1]\n":                       `:1: want a name or {idc, cluster, node}: `,
		"n1: x\n":                        "nodes.yaml: yaml: ",
		"- a\n- b\n- c\n- d\n- e\n- f\n": `:6: 6 nodes, the most is 5 (--limit.nodes)`,
	} {
		if _, err := Read(write(t, list), 5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", list, err, want)
		}
	}
	if got, err := Read(write(t, "# nobody yet\n"), 5); err != nil || len(got) > 0 {
		t.Errorf("an empty list: %v, %v", got, err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.yaml"), 5); err == nil {
		t.Error("no file, no error")
	}
}
