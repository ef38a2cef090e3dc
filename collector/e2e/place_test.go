package e2e_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWhereANodeIsMayComeFromItsToken runs agents that nobody told where they are: one whose token has a place on the collector, one whose
// flag contradicts it, and one whose token has none.
func TestWhereANodeIsMayComeFromItsToken(t *testing.T) {
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's network counters")
	agentBinary, collectorBinary := buildPrograms(t)
	folder := t.TempDir()
	secret := func(name string) (path, entry string) {
		text := fmt.Sprintf("%s-%016x", name, rand.Uint64())
		path = filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path, fmt.Sprintf("- name: %s\n  sha256: %x\n", name, sha256.Sum256([]byte(text)))
	}
	placed, placedEntry := secret("placed")
	bare, bareEntry := secret("bare")
	reader, readerEntry := secret("reader")
	tokens := filepath.Join(folder, "tokens.yaml")
	text := "tokens:\n" + placedEntry + "  scopes: [write]\n  place: {idc: token-idc, cluster: token-cluster}\n" + bareEntry + "  scopes: [write]\n" + readerEntry + "  scopes: [read]\n"
	if err := os.WriteFile(tokens, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir(), "--rules.builtin=false", "--auth.tokens-file="+tokens).waitReady(t)
	read, err := os.ReadFile(reader)
	if err != nil {
		t.Fatal(err)
	}
	collectorURL := "http://reader:" + string(read) + "@" + address

	name := fmt.Sprintf("e2e-place-%06x", rand.N(1<<24))
	run(t, name, image, "sleep", "600")
	cases := []struct {
		node, token string
		flags       []string
		place       string             // idc/cluster of its series
		metrics     map[string]float64 // of the agent, missing and conflict
		doctor      string
		code        int // of doctor at least; it may miss something else on this machine
	}{
		{"placed", placed, nil, "token-idc/token-cluster", map[string]float64{"missing idc": 0, "missing cluster": 0, "conflict idc": 0},
			`ok       identity     node="placed" idc="token-idc" cluster="token-cluster"`, exitFine},
		{"told-otherwise", placed, []string{"--idc=flag-idc"}, "flag-idc/token-cluster", map[string]float64{"missing idc": 0, "missing cluster": 0, "conflict idc": 1, "conflict cluster": 0},
			`MISSING  identity     idc is "flag-idc" by the flags, and "token-idc" by the place of the token on the collector`, exitMissing},
		{"lost", bare, nil, "/", map[string]float64{"missing idc": 1, "missing cluster": 1, "conflict idc": 0},
			`MISSING  identity     node="lost" idc="" cluster=""`, exitMissing},
	}
	agents, flagsOf := make([]*program, len(cases)), make([][]string, len(cases))
	for i, c := range cases {
		agentAddress := freePort(t)
		flagsOf[i] = append([]string{"--listen=" + agentAddress, "--data-dir=" + t.TempDir(), "--remote-write.url=http://" + address + "/api/v1/write", "--remote-write.token-file=" + c.token,
			"--interval=1s", "--project-map.interval=1s", "--node=" + c.node, "--kubernetes=off"}, c.flags...)
		agents[i] = start(t, "agent "+c.node, "http://"+agentAddress, agentBinary, flagsOf[i]...)
	}
	for i, c := range cases {
		agent, flags := agents[i], flagsOf[i]
		agent.waitReady(t)
		eventually(t, 20*time.Second, c.node+" is at "+c.place, func() error {
			found, err := query(collectorURL, fmt.Sprintf(`group by (idc, cluster) (container_memory_usage_bytes{container=%q,node=%q})`, name, c.node))
			if err != nil {
				return err
			}
			if len(found) != 1 || found[0].Metric["idc"]+"/"+found[0].Metric["cluster"] != c.place {
				return fmt.Errorf("it is at %v", found)
			}
			return nil
		})
		figures, err := get(agent.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		for metric, want := range c.metrics {
			what, label, _ := strings.Cut(metric, " ")
			if line := fmt.Sprintf("plimsoll_agent_identity_%s{label=%q} %g\n", what, label, want); !strings.Contains(figures, line) {
				t.Errorf("%s: no %s", c.node, line)
			}
		}
		if without := "plimsoll_agent_containers_without{label=\"cluster\"} 0\n"; strings.Contains(figures, without) != (c.place != "/") {
			t.Errorf("%s: %sis there: %t", c.node, without, c.place == "/")
		}
		out, code := output(t, agentBinary, append([]string{"doctor"}, flags...)...)
		if !strings.Contains(out, c.doctor) || code < c.code {
			t.Errorf("%s: doctor ends with %d, want at least %d and %q in\n%s", c.node, code, c.code, c.doctor, out)
		}
	}
	// The first agent's series are still one set: what the collector added and what the agent learned are the same.
	if found := mustQuery(t, collectorURL, fmt.Sprintf(`count_over_time(container_memory_usage_bytes{container=%q,node="placed"}[5m])`, name)); len(found) != 1 {
		t.Errorf("%d series of the placed agent's container, want 1: %v", len(found), found)
	}
}

// Exit codes of doctor.
const (
	exitFine    = 0
	exitMissing = 1
)

// output runs a program to its end.
func output(t *testing.T, binary string, args ...string) (string, int) {
	t.Helper()
	command := exec.Command(binary, args...)
	out, err := command.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}
