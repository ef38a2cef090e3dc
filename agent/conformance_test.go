package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// The conformance test compares the agent with cAdvisor's own code (.ci/peers/cadvisor) on the same live containers at the same moment: the
// containers are paused, so that their counters stand still, and the agent reads before and after cAdvisor. Every series of cAdvisor must lie
// between the two readings; what does not is printed with the defect that explains it, and what nothing explains fails.

// crew are the containers compared, by the name each gets after the test's prefix.
var crew = map[string][]string{
	"limits":    {"--cpus", "0.5", "--memory", "64m", "--memory-swap", "64m", "--memory-reservation", "48m", "--pids-limit", "50", "--cpu-shares", "512"},
	"plain":     {},
	"netnone":   {"--network", "none"},
	"nethost":   {"--network", "host"},
	"throttled": {"--cpus", "0.05", "--network", "none"},
	"hog":       {"--memory", "32m", "--network", "none"},
	"checked":   {"--network", "none", "--health-cmd", "sleep 0.5", "--health-interval", "1s"},
}

// crewWork is what each of them runs; the shell stays its first process.
var crewWork = map[string]string{
	"throttled": "while :; do :; done",
	"hog":       "dd if=/dev/zero of=/f bs=1M count=64 2>/dev/null; sleep 3600",
	"limits":    "dd if=/dev/zero of=/f bs=64k count=64 conv=fsync 2>/dev/null; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 3600",
}

// pause freezes the containers so that their counters stand still. The v1 freezer gives up on a container that is throttled at the
// moment ("unable to freeze"), so each is tried a few times.
func pause(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		var out []byte
		var err error
		for range 10 {
			if out, err = exec.Command("docker", "pause", name).CombinedOutput(); err == nil {
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		if err != nil {
			t.Fatalf("docker pause %s: %v: %s", name, err, out)
		}
	}
}

func TestTheAgentSaysWhatCadvisorSays(t *testing.T) {
	peer := cadvisorPeer(t)
	prefix := fmt.Sprintf("conformance-%d-", os.Getpid())
	startCrew(t, prefix)
	scrape := startCadvisor(t, peer)
	read := startAgent(t)
	pause(t, crewNames(prefix))

	before := readAll(t, read, prefix)
	scrape() // may be answered by a housekeeping that had begun before
	theirs := parseFamilies(t, scrape())
	after := readAll(t, read, prefix)

	c := comparison{version: kernelVersion(t), before: before.of(prefix), theirs: theirs.of(prefix), after: after.of(prefix), ours: before}
	c.compare()
	t.Logf("cgroup %s, %d containers\n%s", c.version, len(crew), c.table())
	if len(c.theirs) < 20*len(crew) || c.equal < 15*len(crew) {
		t.Errorf("only %d series of cAdvisor, %d of them equal: the test compares nothing", len(c.theirs), c.equal)
	}
	for _, d := range c.differences {
		if d.rule == nil {
			t.Errorf("unexplained: %s", d)
		}
	}
}

// readAll reads until every container of the crew is there: on a busy machine the engine may not answer at once.
func readAll(t *testing.T, read func() []byte, prefix string) (all families) {
	t.Helper()
	waitFor(t, "a reading of all containers", func() bool {
		all = parseFamilies(t, read())
		seen := map[string]bool{}
		for _, s := range all.of(prefix) {
			seen[s.container] = true
		}
		for name := range crew {
			if !seen[name] {
				return false
			}
		}
		return true
	})
	return all
}

// seriesByKey are samples by "name{labels}"; the labels that only one of the two gives are left out.
type seriesByKey map[string]sample

type sample struct {
	name, key string
	container string // without the prefix; "/" for the node, "" for the machine
	value     float64
	kind      string
}

// families are the series of one exposition.
type families []sample

func parseFamilies(t *testing.T, text []byte) families {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	parsed, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var all families
	for name, family := range parsed {
		for _, m := range family.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			s := sample{name: name, kind: strings.ToLower(family.GetType().String())}
			switch {
			case m.Gauge != nil:
				s.value = m.Gauge.GetValue()
			case m.Counter != nil:
				s.value = m.Counter.GetValue()
			}
			s.container = labels["name"]
			if s.container == "" {
				s.container = labels["container"] // slots outlive a container, and with it its name
			}
			if labels["id"] == "/" {
				s.container = "/"
			} else if s.container == "" && labels["id"] != "" {
				continue // other cgroups
			}
			numa := cmp.Or(labels["numa_node"], labels["node"])
			for _, own := range []string{"project", "idc", "cluster", "node", "namespace", "workload", "pod", "container", "machine_id", "system_uuid", "boot_id"} {
				delete(labels, own)
			}
			if name == "container_memory_numa_pages" {
				labels["numa_node"] = numa
			}
			if name == "container_oom_events_total" {
				delete(labels, "id")
				delete(labels, "image")
				labels["name"] = s.container
			}
			var pairs []string
			for k, v := range labels {
				if v != "" {
					pairs = append(pairs, fmt.Sprintf("%s=%q", k, v))
				}
			}
			slices.Sort(pairs)
			s.key = name + "{" + strings.Join(pairs, ",") + "}"
			all = append(all, s)
		}
	}
	return all
}

// of are the series of the crew, of the machine, and the counters of the node: its gauges move under the test.
func (f families) of(prefix string) seriesByKey {
	by := seriesByKey{}
	for _, s := range f {
		if rest, ours := strings.CutPrefix(s.container, prefix); ours {
			s.container = rest
		} else if s.container != "/" && !strings.HasPrefix(s.name, "machine_") || s.container == "/" && s.kind != "counter" {
			continue
		}
		by[s.key] = s
	}
	return by
}

// comparison holds the three readings and what came of them.
type comparison struct {
	version               string // of cgroups: "v1" or "v2"; hybrid counts as v1
	before, theirs, after seriesByKey
	ours                  families
	equal                 int
	differences           []difference
}

type difference struct {
	what   string // "value", "only cAdvisor", "only here", "kind"
	theirs sample
	here   sample
	rule   *rule
}

func (d difference) String() string {
	return fmt.Sprintf("%s: %s %s: cAdvisor %v (%s), here %v (%s)", d.what, cmp.Or(d.theirs.container, d.here.container), cmp.Or(d.theirs.key, d.here.key), d.theirs.value, d.theirs.kind, d.here.value, d.here.kind)
}

func (c *comparison) compare() {
	families := map[string]bool{}
	for _, s := range c.ours {
		families[s.name] = true
	}
	shared := map[string]bool{}
	for key, s := range c.theirs {
		shared[s.name] = shared[s.name] || families[s.name]
		a, inBefore := c.before[key]
		b, inAfter := c.after[key]
		switch {
		case !inBefore && !inAfter:
			c.differ("only cAdvisor", s, sample{})
		case !between(s.value, a, inBefore, b, inAfter):
			c.differ("value", s, b)
		case s.kind != cmp.Or(a.kind, b.kind):
			c.differ("kind", s, b)
		default:
			c.equal++
		}
	}
	for key, s := range c.before {
		if _, in := c.theirs[key]; !in && shared[s.name] {
			c.differ("only here", sample{}, s)
		}
	}
	slices.SortFunc(c.differences, func(a, b difference) int { return cmp.Compare(a.String(), b.String()) })
}

// between allows for the last bit: cAdvisor divides integers by 1e9, the agent converts durations.
func between(v float64, a sample, inA bool, b sample, inB bool) bool {
	if !inA {
		a = b
	}
	if !inB {
		b = a
	}
	low, high := min(a.value, b.value), max(a.value, b.value)
	slack := 1e-9 * max(1, high)
	return v >= low-slack && v <= high+slack
}

func (c *comparison) differ(what string, theirs, here sample) {
	d := difference{what: what, theirs: theirs, here: here}
	for i := range conformanceRules {
		if r := &conformanceRules[i]; r.explains(c.version, d) {
			d.rule = r
			break
		}
	}
	c.differences = append(c.differences, d)
}

// table lists the differences, those with the same explanation and metric in one line.
func (c *comparison) table() string {
	type line struct{ metric, what, why string }
	counts, examples := map[line]int{}, map[line]difference{}
	for _, d := range c.differences {
		l := line{cmp.Or(d.theirs.name, d.here.name), d.what, "NOT EXPLAINED"}
		if d.rule != nil {
			l.why = d.rule.why
		}
		if counts[l]++; counts[l] == 1 {
			examples[l] = d
		}
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%d series of cAdvisor equal\n", c.equal)
	fmt.Fprintln(w, "metric\tdifference\tseries\tcAdvisor\there\twhy")
	for _, l := range slices.SortedFunc(maps.Keys(counts), func(a, b line) int { return cmp.Compare(a.metric+a.what+a.why, b.metric+b.what+b.why) }) {
		d := examples[l]
		theirs, here := fmt.Sprint(d.theirs.value), fmt.Sprint(d.here.value)
		if d.theirs.key == "" {
			theirs = "-"
		}
		if d.here.key == "" {
			here = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", l.metric, l.what, counts[l], theirs, here, l.why)
	}
	w.Flush()
	return out.String()
}

// cadvisorPeer finds the peer; skipped without it, or without an engine, and failed where CI says that both must be there.
func cadvisorPeer(t *testing.T) string {
	t.Helper()
	need := t.Skipf
	if os.Getenv("CI") == "true" {
		need = t.Fatalf
	}
	folder := os.Getenv("PLIMSOLL_CADVISOR")
	if folder == "" {
		cache, err := os.UserHomeDir()
		if err != nil {
			need("no home directory: %v", err)
		}
		folder = filepath.Join(cache, ".cache/plimsoll/cadvisor-v0.60.6")
	}
	peer := filepath.Join(folder, "cadvisor")
	if _, err := os.Stat(peer); err != nil {
		need("no cAdvisor to compare with: run .ci/peers/cadvisor/build.sh %s", folder)
	}
	if os.Getuid() != 0 {
		need("cAdvisor and the agent's slow groups read other users' processes: run as root")
	}
	if out, err := exec.Command("docker", "image", "inspect", conformanceImage).CombinedOutput(); err != nil {
		need("no engine with the image %s: %v: %s", conformanceImage, err, out)
	}
	return peer
}

const conformanceImage = "plimsoll-bb:test"

func crewNames(prefix string) []string {
	var names []string
	for name := range crew {
		names = append(names, prefix+name)
	}
	return names
}

func startCrew(t *testing.T, prefix string) {
	t.Helper()
	t.Cleanup(func() { // a paused container can not be killed on every engine
		exec.Command("docker", append([]string{"unpause"}, crewNames(prefix)...)...).Run()
		exec.Command("docker", append([]string{"rm", "-f"}, crewNames(prefix)...)...).Run()
	})
	var group sync.WaitGroup
	for name, options := range crew {
		work := cmp.Or(crewWork[name], "sleep 3600")
		args := append(append([]string{"run", "-d", "--name", prefix + name}, options...), conformanceImage, "/bin/sh", "-c", work)
		group.Go(func() {
			if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
				t.Errorf("docker %s: %v: %s", strings.Join(args, " "), err, out)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	waitFor(t, "a passed health check", func() bool {
		out, err := exec.Command("docker", "inspect", "-f", "{{.State.Health.Status}}", prefix+"checked").Output()
		return err == nil && strings.TrimSpace(string(out)) == "healthy"
	})
}

// startCadvisor starts the peer with all groups but those that change what they measure or count the host in each container, and returns
// how to scrape it.
func startCadvisor(t *testing.T, peer string) func() []byte {
	t.Helper()
	cmd := exec.Command(peer, "-listen", "127.0.0.1:0", "-fresh", "-docker_only", "-store_container_labels=false", "-allow_dynamic_housekeeping=false",
		"-housekeeping_interval=1h", "-disable_metrics=percpu,disk,cpu_topology,referenced_memory,perf_event,resctrl,cpuset", "-logtostderr=false", "-stderrthreshold=FATAL")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line := make([]byte, 256)
	n, err := stdout.Read(line)
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "listening on ")
	if !ok {
		t.Fatalf("cAdvisor does not say where it listens: %q, %v", line[:n], err)
	}
	return func() []byte {
		t.Helper()
		res, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("scrape cAdvisor: %s %v", res.Status, err)
		}
		return text
	}
}

// startAgent builds the agent's eyes with every group on and returns how to take one reading of everything.
func startAgent(t *testing.T) func() []byte {
	t.Helper()
	cfg := defaults()
	if err := cfg.parse([]string{"--metrics.enable=all", "--node=n", "--kubernetes=off"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	cfg.slowInterval = cfg.interval
	quiet := slog.New(slog.DiscardHandler)
	eyes, err := openEyes(cfg, nil, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(eyes.close)
	c := eyes.samplerConfig(cfg, nil, nil)
	c.SlowBudget = time.Minute
	sampling, err := sampler.New(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return func() []byte {
		eyes.look(quiet, sampling)
		sampling.Full()
		return sampling.AppendText(nil)
	}
}

func kernelVersion(t *testing.T) string {
	t.Helper()
	tree, err := cgroup.Detect("/sys/fs/cgroup", "/proc")
	if err != nil {
		t.Fatal(err)
	}
	if tree.Version() == cgroup.V2 {
		return "v2"
	}
	return "v1"
}

// waitFor polls until f says so.
func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within 2 minutes", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
