package sampler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/wire"
)

const pathA = "/docker/" + string(idA)

func (k kernel) remove(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(k.root, pathA)); err != nil {
		t.Fatal(err)
	}
}

func died(workload string, life uint64, exit inventory.Exit) inventory.Event {
	e := born(workload, life)
	e.Kind, e.At, e.NewSlot, e.Exit = inventory.Died, time.Now(), false, exit
	return e
}

func wantValues(t *testing.T, got map[string][]float64, key string, want ...float64) {
	t.Helper()
	if v := got[key]; !slices.Equal(v, want) {
		t.Errorf("%s is %v, want %v", key, v, want)
	}
}

const usageA = "container_cpu_usage_seconds_total id=/docker/A workload=web"

func TestAContainerIsReadBeforeItsNameIsKnownAndShownAfter(t *testing.T) {
	k, in, out, s := setup(t)
	k.container(t, 1_000, 0)
	s.Appeared(idA, pathA)
	k.container(t, 3_000_000, 0)
	s.Full()
	for key := range out.take() {
		if strings.Contains(key, "/docker/") {
			t.Errorf("%s is shown before anyone named the container", key)
		}
	}
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	wantValues(t, out.take(), usageA, 0.001, 3) // both readings, so that all it did in between is an increase
}

func TestAContainerThatIsGoneWhenItsNameBecomesKnownCountsInFull(t *testing.T) {
	k, in, out, s := setup(t)
	k.container(t, 1_000, 0)
	s.Appeared(idA, pathA)
	k.container(t, 250_000, 1)
	s.Emptied(idA)
	s.Removed(idA)
	k.remove(t)
	in.events = []inventory.Event{born("web", 1), died("web", 1, inventory.Exit{Code: 137, Known: true, Reason: inventory.KilledOOM})}
	s.Events()
	got := out.take()
	v := got[usageA]
	if len(v) != 3 || v[0] != 0.001 || v[1] != 0.25 || !wire.IsStale(v[2]) {
		t.Errorf("%s is %v, want birth, end and a staleness marker", usageA, v)
	}
	wantValues(t, got, "container_exit_code id=/docker/A workload=web", 137)
	wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web", 0.25)
	if !slices.Contains(in.kills, 1) {
		t.Errorf("OOM kills told: %v", in.kills)
	}
}

func TestAReadingAtTheEndOfAProcessWillDoWhereTheCgroupIsGoneBeforeTheLast(t *testing.T) {
	for sentence, play := range map[string]func(k kernel, in *scripted, s *sampler.Sampler){
		"named before": func(k kernel, in *scripted, s *sampler.Sampler) {
			in.events = []inventory.Event{born("web", 1)}
			s.Events()
			k.container(t, 250_000, 0)
			s.Ending(idA)
			k.remove(t)
			s.Removed(idA)
			s.Full()
			in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
		},
		"named after": func(k kernel, in *scripted, s *sampler.Sampler) {
			k.container(t, 1_000, 0)
			s.Appeared(idA, pathA)
			k.container(t, 250_000, 0)
			s.Ending(idA)
			k.remove(t)
			s.Removed(idA)
			in.events = []inventory.Event{born("web", 1), died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
		},
		"one of several": func(k kernel, in *scripted, s *sampler.Sampler) {
			k.container(t, 1_000, 0)
			s.Appeared(idA, pathA)
			s.Ending(idA)
			s.Continues(idA)
			in.events = []inventory.Event{born("web", 1)}
			s.Full()
			k.container(t, 250_000, 0)
			s.Ending(idA)
			k.remove(t)
			s.Full()
			in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			k, in, out, s := setup(t)
			play(k, in, s)
			out.take()
			s.Events()
			wantValues(t, out.take(), "container_exit_cpu_seconds id=/docker/A workload=web", 0.25)
		})
	}
}

func TestAReadingAtTheEndOfAProcessIsNotTheFinalOneOfAContainerThatWentOn(t *testing.T) {
	k, in, out, s := setup(t)
	k.container(t, 1_000, 0)
	s.Appeared(idA, pathA)
	s.Ending(idA)
	s.Continues(idA)
	k.container(t, 250_000, 0)
	k.remove(t)
	s.Removed(idA)
	in.events = []inventory.Event{born("web", 1), died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
	s.Events()
	wantValues(t, out.take(), "container_exit_cpu_seconds id=/docker/A workload=web")
}

func TestTheEndOfALifeIsNotThatOfTheNext(t *testing.T) {
	k, in, out, s := setup(t)
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	k.container(t, 250_000, 0)
	s.Emptied(idA)
	s.Removed(idA)
	k.remove(t)
	k.container(t, 1_000_000, 0)
	s.Appeared(idA, pathA)
	s.Exited(idA) // the first life's process, told late
	in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed}), born("web", 2)}
	s.Events()
	wantValues(t, out.take(), "container_exit_cpu_seconds id=/docker/A workload=web", 0.25)
	k.container(t, 2_000_000, 0)
	s.Full()
	wantValues(t, out.take(), usageA, 2)
}

func TestContainersThatNobodyNamesMakeRoomWhenTheyAreOver(t *testing.T) {
	k, in, out := newKernel(t), &scripted{wake: make(chan struct{}, 1)}, &collected{t: t, values: map[string][]float64{}}
	reg := prometheus.NewRegistry()
	s := with(t, k, in, out, "", "", func(c *sampler.Config) { c.MaxHeld, c.Metrics = 2, reg })
	counts := func(held, unnamed, refused int) {
		t.Helper()
		want := fmt.Sprintf(`
# HELP plimsoll_agent_containers_held Containers whose readings are held back until a runtime names them.
# TYPE plimsoll_agent_containers_held gauge
plimsoll_agent_containers_held %d
# HELP plimsoll_agent_containers_held_refused_total New cgroups not read before their identity was known, because the limit of those held back was reached or they could not be opened.
# TYPE plimsoll_agent_containers_held_refused_total counter
plimsoll_agent_containers_held_refused_total %d
# HELP plimsoll_agent_containers_unnamed_total Containers that came and went, or ran for 30 s, without a runtime naming them in time; their held back readings are dropped.
# TYPE plimsoll_agent_containers_unnamed_total counter
plimsoll_agent_containers_unnamed_total %d
`, held, refused, unnamed)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "plimsoll_agent_containers_held", "plimsoll_agent_containers_held_refused_total", "plimsoll_agent_containers_unnamed_total"); err != nil {
			t.Error(err)
		}
	}
	k.many(t, in, 3)
	ids := [3]cgroup.ContainerID{in.events[0].Container.ID, in.events[1].Container.ID, in.events[2].Container.ID}
	in.events = nil
	for _, id := range ids {
		s.Appeared(id, "/docker/"+string(id))
	}
	counts(2, 0, 1) // the third was refused: the two run
	s.Emptied(ids[1])
	s.Removed(ids[1])
	s.Appeared(idA, pathA)
	counts(2, 1, 1)
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	if v := out.take()[usageA]; len(v) != 2 {
		t.Errorf("%s is %v, want the reading before its name and after", usageA, v)
	}
}

func TestTheFinalReadingDoesNotWaitForTheEngine(t *testing.T) {
	k, in, out, s := setup(t)
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	out.take()
	k.container(t, 5_000_000, 0)
	s.Emptied(idA)
	k.remove(t)
	s.Events()
	wantValues(t, out.take(), usageA, 5)
	k.container(t, 9, 0) // another's by now
	s.Full()
	s.Peaks()
	wantValues(t, out.take(), usageA)
	in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
	s.Events()
	wantValues(t, out.take(), "container_exit_cpu_seconds id=/docker/A workload=web", 5)
}

func TestAnExitWithoutAFinalReadingHasNoCPUTimeAndIsCounted(t *testing.T) {
	k, in, out, s := setup(t)
	k.remove(t)
	in.events = []inventory.Event{born("web", 1), died("web", 1, inventory.Exit{Code: 3, Known: true, Reason: inventory.Failed})}
	s.Full()
	got := out.take()
	wantValues(t, got, "container_exit_code id=/docker/A workload=web", 3)
	wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web")
	wantValues(t, got, "container_exit_memory_peak_bytes id=/docker/A workload=web")
}

func TestAnExitWhoseFinalReadingCameTooLateHasWhatWasReadLast(t *testing.T) {
	k, in, out, s := setup(t)
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	k.container(t, 7_000_000, 0)
	time.Sleep(60 * time.Millisecond) // readings closer to each other are no stretch
	s.Peaks()
	k.remove(t)
	in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
	s.Events()
	got := out.take()
	wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web", 7)
}

const missedOne = `# HELP plimsoll_agent_final_readings_missed_total Containers that ended without a final reading, or with a part of one: what they used after the newest one is not counted, and their exit record has the CPU time and memory peak of that, or none.
# TYPE plimsoll_agent_final_readings_missed_total counter
plimsoll_agent_final_readings_missed_total 1
`

// Of cgroup v1 the hierarchies go one by one: a final reading of what was left of one is not whole, and was not counted as such.
func TestAFinalReadingOfAPartIsCountedAsMissed(t *testing.T) {
	k, in, out, reg := newKernel(t), &scripted{wake: make(chan struct{}, 1)}, &collected{t: t, values: map[string][]float64{}}, prometheus.NewRegistry()
	s := with(t, k, in, out, "", "", func(c *sampler.Config) { c.Metrics = reg })
	peak := "docker/" + string(idA) + "/memory.peak"
	k.write(t, peak, "4096\n")
	for i, text := range []string{"8192\n", ""} {
		life := uint64(i + 1)
		k.write(t, peak, "4096\n")
		in.events = []inventory.Event{born("web", life)}
		s.Events()
		out.take()
		k.container(t, 7_000_000, 0)
		k.write(t, peak, text)
		s.Emptied(idA)
		in.events = []inventory.Event{died("web", life, inventory.Exit{Known: true, Reason: inventory.Completed})}
		s.Events()
		got := out.take()
		wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web", 7)
		if whole := len(got["container_exit_memory_peak_bytes id=/docker/A workload=web"]) == 1; whole != (text != "") {
			t.Errorf("with %q the record has a memory peak: %v", text, whole)
		}
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(missedOne), "plimsoll_agent_final_readings_missed_total"); err != nil {
		t.Error(err)
	}
}

// The only reading of a short life lacks what was gone by then, or not there yet, and no earlier one tells that it does.
func TestAnOnlyReadingOfAPartIsCountedAsMissed(t *testing.T) {
	for sentence, play := range map[string]func(k kernel, s *sampler.Sampler){
		"its memory went first": func(k kernel, s *sampler.Sampler) {
			k.write(t, "memory"+pathA+"/memory.max_usage_in_bytes", "8192\n")
			s.Appeared(idA, pathA)
			k.write(t, "memory"+pathA+"/memory.max_usage_in_bytes", "")
		},
		"its memory came last": func(_ kernel, s *sampler.Sampler) { s.Appeared(idA, pathA) },
	} {
		t.Run(sentence, func(t *testing.T) {
			k, in, out, reg := newKernel(t), &scripted{wake: make(chan struct{}, 1)}, &collected{t: t, values: map[string][]float64{}}, prometheus.NewRegistry()
			k.root = t.TempDir()
			k.write(t, "cpuacct/cpuacct.usage", "9000000000\n")
			k.write(t, "cpuacct/cgroup.procs", "")
			k.write(t, "memory/cgroup.procs", "")
			k.write(t, "cpuacct"+pathA+"/cpuacct.usage", "1000\n")
			s := with(t, k, in, out, "", "", func(c *sampler.Config) { c.Metrics = reg })
			play(k, s)
			k.write(t, "cpuacct"+pathA+"/cpuacct.usage", "7000000000\n")
			s.Emptied(idA)
			in.events = []inventory.Event{born("web", 1), died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
			s.Events()
			got := out.take()
			wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web", 7)
			wantValues(t, got, "container_exit_memory_peak_bytes id=/docker/A workload=web")
			if err := testutil.GatherAndCompare(reg, strings.NewReader(missedOne), "plimsoll_agent_final_readings_missed_total"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A runtime makes a v1 cgroup in one hierarchy after the other. One that was opened in between was read without its memory for all its life.
func TestACgroupThatAppearsInOneHierarchyAfterTheOtherIsReadInAll(t *testing.T) {
	for sentence, play := range map[string]func(in *scripted, s *sampler.Sampler){
		"named while it runs": func(in *scripted, s *sampler.Sampler) {
			in.events = []inventory.Event{born("web", 1)}
			s.Events()
			s.Emptied(idA)
		},
		"over before it is named": func(in *scripted, s *sampler.Sampler) {
			s.Emptied(idA)
			in.events = []inventory.Event{born("web", 1)}
			s.Events()
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			k, in, out := newKernel(t), &scripted{wake: make(chan struct{}, 1)}, &collected{t: t, values: map[string][]float64{}}
			k.root = t.TempDir()
			k.write(t, "cpuacct/cpuacct.usage", "9000000000\n")
			k.write(t, "cpuacct/cgroup.procs", "")
			k.write(t, "memory/cgroup.procs", "")
			k.write(t, "cpuacct"+pathA+"/cpuacct.usage", "1000\n")
			s := with(t, k, in, out, "", "", func(*sampler.Config) {})
			s.Appeared(idA, pathA)
			k.write(t, "memory"+pathA+"/memory.max_usage_in_bytes", "8192\n")
			k.write(t, "cpuacct"+pathA+"/cpuacct.usage", "7000000000\n")
			play(in, s)
			out.take()
			in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
			s.Events()
			got := out.take()
			wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web", 7)
			wantValues(t, got, "container_exit_memory_peak_bytes id=/docker/A workload=web", 8192)
		})
	}
}

func TestAnExitRecordEndsInTheSecondRoundAfterIt(t *testing.T) {
	_, in, out, s := setup(t)
	in.events = []inventory.Event{born("web", 1), died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
	s.Events()
	const key = "container_exit_code id=/docker/A workload=web"
	wantValues(t, out.take(), key, 0)
	s.Full()
	wantValues(t, out.take(), key)
	s.Full()
	if v := out.take()[key]; len(v) != 1 || !wire.IsStale(v[0]) {
		t.Errorf("%s is %v, want the end", key, v)
	}
	s.Full()
	wantValues(t, out.take(), key)
}

func TestARestartedContainersLivesAreKeptApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s := setup(t)
		one, two := born("web", 1), born("web", 2)
		k.container(t, 1_000_000, 0)
		s.Appeared(idA, pathA)
		one.Container.StartedAt = time.Now().Add(10 * time.Millisecond)
		time.Sleep(time.Second)
		k.container(t, 7_000_000, 0)
		s.Emptied(idA)
		s.Removed(idA)
		k.remove(t)
		k.container(t, 2_000_000, 0)
		s.Appeared(idA, pathA)
		two.Container.StartedAt = time.Now().Add(10 * time.Millisecond)
		time.Sleep(time.Second)
		in.events = []inventory.Event{one, died("web", 1, inventory.Exit{Known: true}), two}
		s.Events()
		got := out.take()
		wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web", 7)
		v := got[usageA]
		if len(v) != 5 || v[0] != 1 || v[1] != 7 || !wire.IsStale(v[2]) || v[3] != 2 || v[4] != 2 {
			t.Errorf("%s is %v", usageA, v)
		}
	})
}

func TestContainersNobodyNamesAreDroppedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s := setup(t)
		s.Appeared(idA, pathA)
		time.Sleep(31 * time.Second)
		s.Full()
		out.take()
		k.container(t, 4_000_000, 0)
		in.events = []inventory.Event{born("web", 1)} // named after all: opened anew
		s.Events()
		wantValues(t, out.take(), usageA, 4)
	})
}

func TestTheFirstExitOfAReasonIsAnIncrease(t *testing.T) {
	_, in, out, s := setup(t)
	in.slots = []inventory.Slot{slotOf("web", 0)}
	s.Full()
	const key = "container_exits_total workload=web"
	wantValues(t, out.take(), key) // no constant zeros
	in.slots[0].Exits = counted(t, 1)
	in.events = []inventory.Event{born("web", 2)}
	s.Events()
	wantValues(t, out.take(), key, 0, 1)
	in.slots[0].Exits = counted(t, 2)
	s.Full()
	wantValues(t, out.take(), key, 2)
}

// What happened while the agent was down, or between two looks, is counted before the slot is shown for the first time.
func TestASlotThatHasCountedBeforeItIsShownBeginsWithZero(t *testing.T) {
	_, in, out, s := setup(t)
	in.slots = []inventory.Slot{slotOf("web", 2)}
	s.Full()
	wantValues(t, out.take(), "container_oom_events_total workload=web", 0, 2)
	s.Full()
	wantValues(t, out.take(), "container_oom_events_total workload=web", 2)

	_, in, out, s = setup(t)
	in.slots = []inventory.Slot{slotOf("web", 2)}
	in.slots[0].Kept = true
	s.Full()
	wantValues(t, out.take(), "container_oom_events_total workload=web", 2) // a zero now would be a reset
}

func TestExitsCountedByAnEarlierRunOfTheAgentGoOn(t *testing.T) {
	_, in, out, s := setup(t)
	in.slots = []inventory.Slot{slotOf("web", 0)}
	in.slots[0].Exits, in.slots[0].ExitsBefore = counted(t, 3), counted(t, 3)
	s.Full()
	wantValues(t, out.take(), "container_exits_total workload=web", 3) // a zero now would be a reset
}

// counted makes counts of completed exits the way the inventory does.
func counted(t *testing.T, n int) inventory.ExitCounts {
	t.Helper()
	return inventory.CountExits(inventory.Completed, uint64(n))
}

func TestAMovedContainerIsReadWhereItIs(t *testing.T) {
	k, in, out, s := setup(t)
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	for _, file := range []string{"cgroup.controllers", "memory.stat", "memory.current", "pids.current"} {
		text, err := os.ReadFile(filepath.Join(k.root, pathA, file))
		if err != nil {
			t.Fatal(err)
		}
		k.write(t, "other/"+string(idA)+"/"+file, string(text))
	}
	k.write(t, "other/"+string(idA)+"/cpu.stat", "usage_usec 42000000\n")
	out.take()
	moved := born("web", 1)
	moved.Kind, moved.Container.CgroupPath = inventory.Relabelled, "/other/"+string(idA)
	moved.Container.Labels.ID = "/other/" + string(idA)
	in.events = []inventory.Event{moved}
	s.Events()
	wantValues(t, out.take(), "container_cpu_usage_seconds_total id=/other/A workload=web", 42)
}

func TestACounterThatStepsBackIsNoPeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s := setup(t)
		in.events = []inventory.Event{born("web", 1)}
		s.Full()
		out.take()
		for _, usage := range []int{500_000, 600_000} {
			time.Sleep(time.Second)
			k.container(t, usage, 0)
			s.Peaks()
		}
		time.Sleep(time.Second)
		s.Full()
		got := out.take()["container_cpu_peak_cores id=/docker/A workload=web"]
		if len(got) != 1 || got[0] < 0.09 || got[0] > 0.11 {
			t.Errorf("peak %v, want that of the second after the step, 0.1", got)
		}
	})
}

func TestContainersThatComeAndGoLeaveNothingBehind(t *testing.T) {
	k, in, out, s := setup(t)
	before := descriptors(t)
	for life := range uint64(200) {
		k.container(t, 1000, 0)
		s.Appeared(idA, pathA)
		switch life % 3 {
		case 0: // named while it runs
			in.events = []inventory.Event{born("web", life+1)}
			s.Events()
			s.Emptied(idA)
		case 1: // named when it is gone
			s.Emptied(idA)
			s.Removed(idA)
		case 2: // nobody saw its end
			in.events = []inventory.Event{born("web", life+1)}
		}
		k.remove(t)
		if life%3 == 1 {
			in.events = []inventory.Event{born("web", life+1)}
		}
		in.events = append(in.events, died("web", life+1, inventory.Exit{}))
		s.Events()
	}
	s.Full()
	for key, v := range out.take() {
		if strings.HasPrefix(key, "container_cpu_usage") && strings.Contains(key, "A") && !wire.IsStale(v[len(v)-1]) {
			t.Errorf("%s has not ended", key)
		}
	}
	if after := descriptors(t); after > before+40 { // files of the node's cgroups
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// noticed is what population tells.
var _ interface {
	Appeared(id cgroup.ContainerID, path string)
	Emptied(id cgroup.ContainerID)
	Removed(id cgroup.ContainerID)
} = (*sampler.Sampler)(nil)
