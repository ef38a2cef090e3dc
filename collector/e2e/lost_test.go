package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	lostClusters = 10 // each with an agent that is lost and one that stays
	lostNodes    = 4  // agents in network namespaces of their own whose cable is pulled
)

// lostAgent is an agent of the show, and when what befell it.
type lostAgent struct {
	*program
	cluster, node string
	args          []string
	at            time.Time
}

// TestLostAgentsAndNodesReachTheWebhook prints the timeline of agents that are killed with kill -9, of agents that hang (SIGSTOP) and of
// nodes whose network is gone, at the default interval of 15 s; agents that are stopped or started again at once page nobody.
// `make show-event-latency` runs it.
func TestLostAgentsAndNodesReachTheWebhook(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "event-latency" {
		t.Skip("takes minutes: make show-event-latency")
	}
	require(t, os.Geteuid() == 0, "needs root: it makes network namespaces")
	hook := newWebhook(t)
	agentBinary, collectorBinary := buildPrograms(t)
	_, port, _ := strings.Cut(freePort(t), ":")
	collector := start(t, "collector", "http://127.0.0.1:"+port, collectorBinary, "--listen=0.0.0.0:"+port, "--auth.anonymous", "--data-dir="+t.TempDir(), "--oncall="+oncallPage(t, hook.URL))
	collector.waitReady(t)

	begin := func(a *lostAgent, at string, prefix ...string) {
		command := append(append(prefix, agentBinary), a.args...)
		a.program = start(t, a.node, "http://"+at, command[0], command[1:]...)
	}
	agent := func(cluster, node, collectorURL, listen string, prefix ...string) *lostAgent {
		a := &lostAgent{cluster: cluster, node: node, args: []string{"--listen=" + listen, "--data-dir=" + t.TempDir(), "--docker.host=unix:///nowhere", "--kubernetes=off",
			"--remote-write.url=" + collectorURL + "/api/v1/write", "--idc=" + idc, "--cluster=" + cluster, "--node=" + node}}
		begin(a, listen, prefix...)
		return a
	}
	var killed, cut []*lostAgent
	for i := range lostClusters {
		cluster := fmt.Sprintf("k%02d", i)
		killed = append(killed, agent(cluster, "dies-"+cluster, collector.url, freePort(t)))
		agent(cluster, "stays-"+cluster, collector.url, freePort(t))
		time.Sleep(time.Second) // their rounds are spread
	}
	for i := range lostNodes {
		cluster := fmt.Sprintf("n%02d", i)
		space, away := namespace(t, i)
		cut = append(cut, agent(cluster, "cut-"+cluster, "http://"+away+":"+port, "127.0.0.1:9751", "nsenter", "--net=/var/run/netns/"+space))
		agent(cluster, "stays-"+cluster, collector.url, freePort(t))
	}
	eventually(t, time.Minute, "every agent is heard", func() error {
		s, err := one(collector.url, `count(plimsoll_collector_agent_lost{how="ended"})`)
		if err == nil && int(s.Value.value) != 2*lostClusters+2*lostNodes {
			err = fmt.Errorf("%v agents", s.Value.value)
		}
		return err
	})
	time.Sleep(45 * time.Second)

	// Each in its cluster, at any moment of its interval.
	for _, a := range killed {
		time.Sleep(time.Duration(rand.N(1500)) * time.Millisecond)
		a.at = time.Now()
		a.kill()
	}
	for i, a := range cut {
		time.Sleep(time.Duration(rand.N(3000)) * time.Millisecond)
		sh(t, "ip", "link", "set", fmt.Sprintf("plm%d-%d", os.Getpid()%10000, i), "down")
		a.at = time.Now()
	}
	time.Sleep(75 * time.Second)
	t.Logf("agent killed (AgentLost): %s", lostTimeline(t, hook, "AgentLost", killed))
	t.Logf("network of the node gone (NodeLost): %s", lostTimeline(t, hook, "NodeLost", cut))

	// They come back, one of them twice within seconds, and others are stopped as they should be.
	for _, a := range killed {
		begin(a, strings.TrimPrefix(a.url, "http://"))
		a.waitReady(t)
	}
	time.Sleep(40 * time.Second)
	before := len(pagesOf(hook, "AgentLost", "NodeLost"))
	killed[0].kill()
	time.Sleep(3 * time.Second) // as systemd does
	begin(killed[0], strings.TrimPrefix(killed[0].url, "http://"))
	for _, a := range killed[5:] {
		a.stop()
	}
	hangs := killed[1:5]
	time.Sleep(5 * time.Second)
	for _, a := range hangs {
		time.Sleep(time.Duration(rand.N(3000)) * time.Millisecond)
		a.at = time.Now()
		a.cmd.Process.Signal(syscall.SIGSTOP)
		t.Cleanup(func() { a.cmd.Process.Signal(syscall.SIGCONT) })
	}
	time.Sleep(75 * time.Second)
	t.Logf("agent hangs (NodeLost): %s", lostTimeline(t, hook, "NodeLost", hangs))
	after := pagesOf(hook, "AgentLost", "NodeLost")
	want := before + len(hangs)
	if len(after) != want {
		t.Errorf("%d pages, want %d, as an agent that was back after 3 s or was told to stop pages nobody: %v", len(after), want, after)
	}
	t.Logf("1 agent killed and back after 3 s, 5 told to stop: %d pages besides", len(after)-want)
}

// lostTimeline prints when each agent was lost and when its notification came.
func lostTimeline(t *testing.T, hook *webhook, alert string, agents []*lostAgent) latencies {
	t.Helper()
	var took latencies
	for _, a := range agents {
		n, err := hook.find(alert, "firing", map[string]string{"cluster": a.cluster, "node": a.node})
		if err != nil {
			t.Errorf("%s   %s   webhook never", a.node, a.at.UTC().Format("15:04:05.000"))
			continue
		}
		took = append(took, n.received.Sub(a.at))
		t.Logf("%s   lost %s   webhook %s   %6.3f s   %s", a.node, a.at.UTC().Format("15:04:05.000"), n.received.UTC().Format("15:04:05.000"), n.received.Sub(a.at).Seconds(), n.Annotations["agent"])
	}
	slices.Sort(took)
	return took
}

// pagesOf are the firing notifications of the named alerts, as "alert cluster node".
func pagesOf(hook *webhook, alerts ...string) []string {
	hook.mu.Lock()
	defer hook.mu.Unlock()
	seen := map[string]bool{}
	for _, n := range hook.all {
		if n.Status == "firing" && slices.Contains(alerts, n.Labels["alertname"]) {
			seen[fmt.Sprint(n.Labels["alertname"], n.Labels["cluster"], n.Labels["node"], n.StartsAt)] = true
		}
	}
	var all []string
	for page := range seen {
		all = append(all, page)
	}
	return all
}

// namespace is a network namespace with a cable to this machine, whose end here has the address that is returned.
func namespace(t *testing.T, i int) (name, address string) {
	t.Helper()
	id := os.Getpid() % 10000
	name, cable := fmt.Sprintf("plimsoll-%d-%d", id, i), fmt.Sprintf("plm%d-%d", id, i)
	address = fmt.Sprintf("10.213.%d.1", 16*(id%15)+i)
	sh(t, "ip", "netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	sh(t, "ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
	t.Cleanup(func() { exec.Command("ip", "link", "del", cable).Run() })
	sh(t, "ip", "addr", "add", address+"/30", "dev", cable)
	sh(t, "ip", "link", "set", cable, "up")
	sh(t, "ip", "-n", name, "addr", "add", strings.TrimSuffix(address, ".1")+".2/30", "dev", "eth0")
	sh(t, "ip", "-n", name, "link", "set", "lo", "up")
	sh(t, "ip", "-n", name, "link", "set", "eth0", "up")
	return name, address
}

func sh(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}
