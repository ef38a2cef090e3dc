package bench_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// turns of the agent and of the floor, each as long as their peers are measured.
const turns = 2

// figures are what one process took.
type figures struct {
	name           string
	perContainer   time.Duration // CPU time per container and interval
	residentBytes  int64
	absent, remark string
}

// BenchmarkCost prints what each contender takes on the same containers in one run. What a reading costs depends on what else the machine does,
// so the agent and the floor are measured in turns, the other one stopped meanwhile, and the median of the turns counts. A turn lasts a minute, as
// long as all the agent's cadences take to repeat, and begins with all that fell due meanwhile: in turns of 15 s each had another share of both. One
// in which somebody's container started or ended is not one of idle containers and is taken again. Their peers, whose ratios
// are far larger, have begun before and are stopped meanwhile; each goes on alone in its turn. One that has no fresh figures of all containers at
// the end of its turn fails: what it took says nothing.
func BenchmarkCost(b *testing.B) {
	s := readSettings(b)
	all := run(b, s)
	containers := all.containers
	settle := func() { time.Sleep(interval) } // the start, and a reading of everything
	var table []figures
	peers := startPeers(b, s)
	b.Run("agent_and_floor", func(b *testing.B) {
		told, ran := &seen{ids: map[string]time.Time{}}, all.ids(b)
		agent := startAgent(b, s, told, all.flags)
		settle()
		reads, err := readsOf(agent.pid())
		if err != nil {
			b.Fatal(err)
		}
		agent.stop(b)
		floor, said := startFloor(b, reads)
		settle()
		floor.stop(b)
		var agentTook, floorTook []time.Duration
		disturbed := 0
		for len(agentTook) < turns && disturbed < 2*turns {
			before := all.comings.Load()
			took, least := agent.turn(b, s.lasts), floor.turn(b, s.lasts)
			if all.comings.Load() != before {
				disturbed++
				continue
			}
			agentTook, floorTook = append(agentTook, took), append(floorTook, least)
		}
		if len(agentTook) == 0 {
			b.Fatalf("containers started or ended in all of %d turns: nothing idle to measure", disturbed)
		}
		contender{name: "agent", patience: s.lasts + 4*interval, newest: told.newest}.hasAll(b, ran, all.ids(b))
		ours, least := figuresOf("agent", agent, median(agentTook), containers), figuresOf("floor", floor, median(floorTook), containers)
		ours.remark, least.remark = fmt.Sprintf("all defaults: peaks at 1 s, shipping included; %s, %d disturbed", spread(agentTook, containers), disturbed), said+"; "+spread(floorTook, containers)
		table = append(table, ours, least)
		b.ReportMetric(float64(ours.perContainer)/float64(least.perContainer), "agent/floor")
		b.ReportMetric(0, "ns/op")
		agent.stop(b)
	})
	for _, peer := range peers {
		b.Run(strings.ReplaceAll(peer.name, " ", "_"), func(b *testing.B) {
			if peer.absent != "" {
				table = append(table, figures{name: peer.name, absent: peer.absent})
				b.Skip(peer.absent)
			}
			ran := all.ids(b)
			peer.resume(b)
			settle()
			began, lasts := peer.cpu(b), max(s.lasts, peer.period)
			time.Sleep(lasts)
			f := figuresOf(peer.name, peer.process, (peer.cpu(b)-began)/(lasts/interval), containers)
			peer.hasAll(b, ran, all.ids(b))
			peer.stop(b)
			f.remark = peer.remark
			table = append(table, f)
			b.ReportMetric(float64(f.perContainer.Nanoseconds())/1000, "µs/container")
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Logf("%d containers, %d of them ours, %d%% of these busy, %s each\n%s", containers, s.containers, s.busy, s.lasts, render(table))
}

// figuresOf are the figures of a process that took so much CPU time in one interval.
func figuresOf(name string, p *process, took time.Duration, containers int) figures {
	return figures{name: name, perContainer: took / time.Duration(containers), residentBytes: p.rss}
}

// median is taken of the turns, for others may start containers in one of them, which is work for the agent alone.
func median(turns []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(turns))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func spread(turns []time.Duration, containers int) string {
	n := time.Duration(containers)
	return fmt.Sprintf("%d turns from %d to %d", len(turns), (slices.Min(turns) / n).Microseconds(), (slices.Max(turns) / n).Microseconds())
}

func render(table []figures) string {
	var agent, floor time.Duration
	for _, f := range table {
		switch f.name {
		case "agent":
			agent = f.perContainer
		case "floor":
			floor = f.perContainer
		}
	}
	over := func(f, base time.Duration) string {
		if f == 0 || base == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", float64(f)/float64(base))
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "process\tµs CPU per container per 15 s\tRSS MB\t/ floor\t/ agent\t")
	for _, f := range table {
		if f.absent != "" {
			fmt.Fprintf(w, "%s\t-\t-\t-\t-\t%s\n", f.name, f.absent)
			continue
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%s\t%s\t%s\n", f.name, float64(f.perContainer.Nanoseconds())/1000, float64(f.residentBytes)/1e6, over(f.perContainer, floor), over(f.perContainer, agent), f.remark)
	}
	w.Flush()
	return text.String()
}

// startAgent runs the agent as it is installed: all defaults, shipping to a collector stand-in in this process.
func startAgent(b *testing.B, s settings, told *seen, flags []string) *process {
	collector := httptest.NewServer(told)
	b.Cleanup(collector.Close)
	return start(b, exec.Command(s.agent, append([]string{"run", "--remote-write.url=" + collector.URL + "/api/v1/write", "--listen=127.0.0.1:0",
		"--data-dir=" + b.TempDir(), "--idc=bench", "--cluster=bench"}, flags...)...))
}

func startFloor(b *testing.B, reads []string) (*process, string) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), floorVariable+"=1")
	cmd.Stdin = strings.NewReader(strings.Join(reads, "\n"))
	p := start(b, cmd)
	return p, p.line(b)
}
