package bench_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

// figures are what one process took.
type figures struct {
	name           string
	perContainer   time.Duration // CPU time per container and interval
	residentBytes  int64
	absent, remark string
}

// BenchmarkCost prints what each contender takes on the same containers. What a reading costs depends on what else the machine does,
// so the agent and the floor are measured in turns of one interval, the other one stopped meanwhile, and the median of the turns counts. A turn
// in which somebody's container started or ended is not one of idle containers and is taken again. Their peers, whose ratios
// are far larger, follow one after another.
func BenchmarkCost(b *testing.B) {
	s := readSettings(b)
	all := run(b, s)
	containers := all.containers
	settle := func() { time.Sleep(interval) } // the start, and a reading of everything
	var table []figures
	b.Run("agent_and_floor", func(b *testing.B) {
		agent := startAgent(b, s, all.flags)
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
		disturbed, most := 0, 4*int(s.lasts/interval)
		for len(agentTook) < int(s.lasts/interval) && disturbed < most {
			before := all.comings.Load()
			took, least := agent.turn(b), floor.turn(b)
			if all.comings.Load() != before {
				disturbed++
				continue
			}
			agentTook, floorTook = append(agentTook, took), append(floorTook, least)
		}
		if len(agentTook) == 0 {
			b.Fatalf("containers started or ended in all of %d turns: nothing idle to measure", disturbed)
		}
		ours, least := figuresOf("agent", agent, median(agentTook), containers), figuresOf("floor", floor, median(floorTook), containers)
		ours.remark, least.remark = fmt.Sprintf("all defaults: peaks at 1 s, shipping included; %s, %d disturbed", spread(agentTook, containers), disturbed), said+"; "+spread(floorTook, containers)
		table = append(table, ours, least)
		b.ReportMetric(float64(ours.perContainer)/float64(least.perContainer), "agent/floor")
		b.ReportMetric(0, "ns/op")
	})
	peer := func(name string, contend func(b *testing.B) (*process, string)) {
		if !s.wants(name) || s.bare {
			return
		}
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			p, remark := contend(b)
			if p == nil {
				table = append(table, figures{name: name, absent: remark})
				b.Skip(remark)
			}
			settle()
			began := p.cpu(b)
			time.Sleep(s.lasts)
			f := figuresOf(name, p, (p.cpu(b)-began)/(s.lasts/interval), containers)
			f.remark = remark
			table = append(table, f)
			b.ReportMetric(float64(f.perContainer.Nanoseconds())/1000, "µs/container")
			b.ReportMetric(0, "ns/op")
		})
	}
	peer("cadvisor tuned", func(b *testing.B) (*process, string) {
		return startCAdvisor(b, s, "-tuned", "-housekeeping_interval", interval.String(), "-allow_dynamic_housekeeping=false")
	})
	peer("cadvisor default", func(b *testing.B) (*process, string) { return startCAdvisor(b, s) })
	peer("netdata 15 s", func(b *testing.B) (*process, string) { return startNetdata(b, 15, containers) })
	peer("netdata 1 s", func(b *testing.B) (*process, string) { return startNetdata(b, 1, containers) })
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
func startAgent(b *testing.B, s settings, flags []string) *process {
	var requests, bytes atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		requests.Add(1)
		bytes.Add(n)
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(collector.Close)
	b.Cleanup(func() {
		if requests.Load() == 0 {
			b.Error("the agent shipped nothing")
		}
	})
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

// startCAdvisor runs the peer and scrapes it every interval, as its users do.
func startCAdvisor(b *testing.B, s settings, flags ...string) (*process, string) {
	if _, err := os.Stat(s.cadvisor); err != nil {
		return nil, "absent: .ci/peers/cadvisor/build.sh " + filepath.Dir(s.cadvisor)
	}
	p := start(b, exec.Command(s.cadvisor, append([]string{"-listen", "127.0.0.1:0"}, flags...)...))
	address := strings.TrimPrefix(p.line(b), "listening on ")
	stop := make(chan struct{})
	b.Cleanup(func() { close(stop) })
	go func() {
		for {
			if resp, err := http.Get("http://" + address + "/metrics"); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			select {
			case <-stop:
				return
			case <-time.After(interval):
			}
		}
	}()
	return p, "scraped every 15 s; " + strings.Join(flags, " ")
}
