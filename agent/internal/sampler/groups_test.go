package sampler_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/host"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// with builds a sampler of the kernel's tree whose groups and cadences the test decides.
func with(t testing.TB, k kernel, in *scripted, out sampler.Appender, enable, disable string, edit func(*sampler.Config)) *sampler.Sampler {
	t.Helper()
	fs, err := cgroup.Detect(k.root, k.proc)
	if err != nil {
		t.Fatal(err)
	}
	node, err := host.Open(fs, k.proc, t.TempDir(), cgroup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	groups, err := catalog.ParseGroups(strings.Fields(enable), strings.Fields(disable))
	if err != nil {
		t.Fatal(err)
	}
	cfg := sampler.Config{NodeLabels: identity.Node{Node: "n"}, FS: fs, Node: node, Containers: in, Out: out, Proc: k.proc, Groups: groups, Budget: cgroup.NewBudget(1000)}
	if edit != nil {
		edit(&cfg)
	}
	s, err := sampler.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// process puts a process with three descriptors into the container.
func (k kernel) process(t *testing.T) {
	t.Helper()
	k.write(t, "docker/"+string(idA)+"/cgroup.procs", "77\n")
	for name, text := range map[string]string{
		"cgroup": "0::/docker/" + string(idA) + "\n", "fd/0": "", "fd/1": "", "fd/2": "",
		"limits":            "Limit                     Soft Limit           Hard Limit           Units\nMax open files            12                   24                   files\n",
		"net/dev":           "Inter-|\n face |\n  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n",
		"net/snmp":          "Tcp: ActiveOpens RetransSegs\nTcp: 5 6\n",
		"net/tcp":           "  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 100 1 0 100 0 0 10 0\n",
		"net/udp":           "  sl  local_address\n   0: 00000000:0044 00000000:0000 07 00000010:00000100 00:00000000 00000000 0 0 200 2 0 3\n",
		"task/77/schedstat": "1000000 2000000 3\n",
	} {
		path := filepath.Join(k.proc, "77", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k.write(t, "docker/"+string(idA)+"/hugetlb.2MB.current", "4194304\n")
	k.write(t, "docker/"+string(idA)+"/hugetlb.2MB.events", "max 2\n")
	k.write(t, "docker/"+string(idA)+"/io.stat", "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n")
}

func bornAs(pid int) inventory.Event {
	e := born("web", 1)
	e.Container.PID, e.Container.Health, e.Container.Created = pid, inventory.Starting, time.Unix(1600000000, 0)
	return e
}

func TestWithAllGroupsEveryFigureTheKernelGivesIsThere(t *testing.T) {
	k, in := newKernel(t), &scripted{}
	k.process(t)
	out := &collected{t: t, values: map[string][]float64{}}
	s := with(t, k, in, out, "all", "", func(c *sampler.Config) { c.Interval, c.SlowInterval = time.Minute, time.Minute })
	in.events = []inventory.Event{bornAs(77)}
	s.Events()
	s.Full()
	got := out.take()
	for name, want := range map[string]float64{
		"container_creation_time_seconds":                1600000000,
		"container_memory_kernel_usage":                  2097152,
		"container_memory_total_inactive_file_bytes":     4194304,
		"container_processes":                            1,
		"container_file_descriptors":                     3,
		"container_process_file_descriptors_ratio":       0.25,
		"container_ulimits_soft":                         12,
		"container_hugetlb_usage_bytes":                  4194304,
		"container_hugetlb_failcnt":                      2,
		"container_cpu_schedstat_run_seconds_total":      0.001,
		"container_cpu_schedstat_runqueue_seconds_total": 0.002,
		"container_blkio_device_usage_total":             10,
		"container_fs_reads_bytes_total":                 10,
	} {
		if v := got[name+" id=/docker/A workload=web"]; len(v) == 0 || !slices.Contains(v, want) {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for name, n := range map[string]int{"container_health_status": 2 * 4, "container_network_advance_tcp_stats_total": 2, "container_network_tcp_usage_total": 11, "container_network_udp_usage_total": 4} {
		if v := got[name+" id=/docker/A workload=web"]; len(v) != n {
			t.Errorf("%d samples of %s: %v, want %d", len(v), name, v, n)
		}
	}
	for key := range got {
		for _, absent := range []string{"container_hugetlb_max_usage_bytes", "container_network_tcp6_usage_total", "container_memory_pgscan_total", "container_cpu_cfs_burst_periods_total"} {
			if strings.HasPrefix(key, absent) {
				t.Errorf("%s: the kernel has no file for it", key)
			}
		}
	}
}

func TestADisabledGroupIsNeitherReadNorShown(t *testing.T) {
	f := func(disable string, gone, stays []string) int {
		t.Helper()
		k, in := newKernel(t), &scripted{}
		out := &collected{t: t, values: map[string][]float64{}}
		budget := cgroup.NewBudget(1000)
		s := with(t, k, in, out, "", disable, func(c *sampler.Config) { c.Budget = budget })
		in.events = []inventory.Event{born("web", 1)}
		s.Full()
		got := out.take()
		for _, name := range gone {
			if v, has := got[name+" id=/docker/A workload=web"]; has {
				t.Errorf("without %s %s is %v", disable, name, v)
			}
			if v, has := got[name+" id=/"]; has {
				t.Errorf("without %s the node's %s is %v", disable, name, v)
			}
		}
		for _, name := range stays {
			if _, has := got[name+" id=/docker/A workload=web"]; !has {
				t.Errorf("without %s there is no %s", disable, name)
			}
		}
		return budget.Used()
	}
	all := f("", nil, []string{"container_memory_rss", "container_threads", "container_cpu_usage_seconds_total"})
	less := f("memory", []string{"container_memory_rss", "container_memory_usage_bytes", "container_memory_working_set_peak_bytes"}, []string{"container_threads", "container_cpu_usage_seconds_total"})
	least := f("all", []string{"container_cpu_usage_seconds_total", "container_cpu_peak_cores", "container_threads", "container_memory_rss"}, []string{"container_start_time_seconds", "container_last_seen"})
	if !(all > less && less > least) {
		t.Errorf("files held: %d, without memory %d, with the core alone %d", all, less, least)
	}
}

func TestSlowGroupsAreReadOnceInASlowIntervalAndEndWithTheirContainer(t *testing.T) {
	k, in := newKernel(t), &scripted{}
	k.process(t)
	out := &collected{t: t, values: map[string][]float64{}}
	s := with(t, k, in, out, "", "", func(c *sampler.Config) { c.Interval, c.SlowInterval = 15*time.Second, time.Minute })
	in.events = []inventory.Event{bornAs(77)}
	for range 8 {
		s.Full()
	}
	const fds = "container_file_descriptors id=/docker/A workload=web"
	if v := out.take()[fds]; !slices.Equal(v, []float64{3, 3}) {
		t.Errorf("8 rounds have the readings %v, want 2", v)
	}
	renamed := bornAs(77)
	renamed.Kind, renamed.NewSlot, renamed.Container.Labels = inventory.Relabelled, false, labels("api")
	in.events = []inventory.Event{renamed}
	s.Events()
	if v := out.take()[fds]; len(v) != 1 || v[0] == v[0] {
		t.Errorf("under the old name: %v, want a staleness marker", v)
	}
}

func TestWhatTheBudgetOfARoundDoesNotReachComesLater(t *testing.T) {
	k, in := newKernel(t), &scripted{}
	k.process(t)
	out := &collected{t: t, values: map[string][]float64{}}
	s := with(t, k, in, out, "", "", func(c *sampler.Config) { c.Interval, c.SlowInterval, c.SlowBudget = time.Minute, time.Minute, -1 })
	in.events = []inventory.Event{bornAs(77)}
	s.Full()
	if v := out.take()["container_processes id=/docker/A workload=web"]; len(v) != 0 {
		t.Errorf("read without a budget: %v", v)
	}
}

func TestTheWorstSecondOfThrottlingAndStallingShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in := newKernel(t), &scripted{}
		out := &collected{t: t, values: map[string][]float64{}}
		s := with(t, k, in, out, "pressure_peaks", "", nil)
		set := func(usage, periods, throttled, waited int) {
			dir := "docker/" + string(idA) + "/"
			k.write(t, dir+"cpu.stat", fmt.Sprintf("usage_usec %d\nnr_periods %d\nnr_throttled %d\n", usage, periods, throttled))
			k.write(t, dir+"cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total="+strconv.Itoa(waited)+"\n")
		}
		set(0, 0, 0, 0)
		in.events = []inventory.Event{born("web", 1)}
		s.Full()
		out.take()
		time.Sleep(time.Second)
		set(100_000, 10, 8, 500_000) // 8 of 10 periods, half of the second
		s.Peaks()
		time.Sleep(time.Second)
		set(200_000, 20, 9, 600_000)
		s.Peaks()
		time.Sleep(time.Second)
		s.Full()
		got := out.take()
		if v := got["container_cpu_throttled_peak_ratio id=/docker/A workload=web"]; !slices.Equal(v, []float64{0.8}) {
			t.Errorf("throttled %v, want 0.8", v)
		}
		if v := got["container_pressure_cpu_waiting_peak_ratio id=/docker/A workload=web"]; !slices.Equal(v, []float64{0.5}) {
			t.Errorf("stalled %v, want 0.5", v)
		}
		time.Sleep(time.Second)
		s.Full()
		if v := out.take()["container_cpu_throttled_peak_ratio id=/docker/A workload=web"]; !slices.Equal(v, []float64{0}) {
			t.Errorf("of an idle interval %v, want 0", v)
		}
	})
}
