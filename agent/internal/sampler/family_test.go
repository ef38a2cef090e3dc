package sampler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// fiveContainers are born and read once: A, which is "web", and 1 to 4, "other1" to "other4".
func fiveContainers(t *testing.T, k kernel, in *scripted, s *sampler.Sampler) (events []inventory.Event) {
	t.Helper()
	for i := range 5 {
		e := born("web", 1)
		if i > 0 {
			e = born("other"+strconv.Itoa(i), 1)
			e.Container.ID = cgroup.ContainerID(fmt.Sprintf("%064x", i))
			e.Container.CgroupPath = "/docker/" + string(e.Container.ID)
			if err := os.CopyFS(filepath.Join(k.root, e.Container.CgroupPath), os.DirFS(filepath.Join(k.root, "docker", string(idA)))); err != nil {
				t.Fatal(err)
			}
		}
		events = append(events, e)
	}
	in.events = slices.Clone(events)
	s.Full()
	return events
}

func (k kernel) usage(t *testing.T, cgroup string, micros int) {
	t.Helper()
	k.write(t, filepath.Join("docker", cgroup, "cpu.stat"), fmt.Sprintf("usage_usec %d\nuser_usec 0\nsystem_usec 0\n", micros))
}

// Members that run each second are read, and with them the sum: the others are read when something of it is left over, and no later.
func TestContainersAreNotReadWhileTheSumLeavesNothingForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s := setup(t)
		other := func(i int) string { return fmt.Sprintf("%064x", i) }
		all, own := 9_000_000, 1_000_000 // some of it by containers that are gone
		k.usage(t, "", all)
		fiveContainers(t, k, in, s)
		out.take()
		second := func(more, others int) {
			time.Sleep(time.Second)
			own, all = own+more, all+more+others
			k.container(t, own, 0)
			k.usage(t, "", all)
			s.Peaks()
		}
		second(100_000, 0)
		k.usage(t, other(1), 7_000_000) // which the sum denies: it shows that the file is left alone
		for range 5 {
			second(100_000, 0)
		}
		k.usage(t, other(1), 1_600_000)
		second(100_000, 600_000)
		k.usage(t, other(2), 9_000_000)
		second(100_000, 0)
		k.usage(t, other(2), 1_000_000)
		time.Sleep(time.Second)
		s.Full()
		shown := out.take()
		wantValues(t, shown, "container_cpu_peak_cores id=/docker/A workload=web", 0.1)
		wantValues(t, shown, "container_cpu_peak_cores id=/docker/A workload=other1", 0.6)
		wantValues(t, shown, "container_cpu_peak_cores id=/docker/A workload=other2", 0)

		// A top cgroup made anew begins at 0: nothing is proved by it before all were read once.
		all = 0
		k.usage(t, other(3), 1_300_000)
		second(0, 300_000)
		second(0, 0)
		s.Full()
		wantValues(t, out.take(), "container_cpu_peak_cores id=/docker/A workload=other3", 0.3)
	})
}

// Beside containers of the systemd driver there are services, which always run.
func TestServicesBesideContainersAreSeenToHaveRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s := setup(t)
		engine, other := 4_000_000, fmt.Sprintf("%064x", 1)
		if err := os.Mkdir(filepath.Join(k.root, "docker", "engine.service"), 0o755); err != nil {
			t.Fatal(err)
		}
		second := func(others int) {
			time.Sleep(time.Second)
			engine += 30_000
			k.usage(t, "engine.service", engine)
			k.usage(t, "", 9_000_000+engine+others)
			s.Peaks()
		}
		k.usage(t, "engine.service", engine)
		k.usage(t, "", 9_000_000+engine)
		fiveContainers(t, k, in, s)
		out.take()
		for range 8 {
			second(0)
		}
		k.usage(t, other, 7_000_000) // which the sum denies
		for range 40 {
			second(0)
		}
		k.usage(t, other, 1_500_000)
		second(500_000)
		if err := os.RemoveAll(filepath.Join(k.root, "docker", "engine.service")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.Full()
		wantValues(t, out.take(), "container_cpu_peak_cores id=/docker/A workload=other1", 0.5)
	})
}

// One burst after seconds of rest, in which the parent alone is read, is a peak of that second and not of the seconds before.
func TestContainersAreNotReadWhileTheirParentShowsThatNoneRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s := setup(t)
		parent := func(usageMicros int) { k.usage(t, "", usageMicros) }
		parent(5_000_000)
		events := fiveContainers(t, k, in, s)
		out.take()
		second := func(own, all int) {
			time.Sleep(time.Second)
			k.container(t, own, 0)
			parent(all)
			s.Peaks()
		}
		second(1_000_000, 5_000_000)
		second(1_500_000, 5_000_000) // no kernel does this; it shows that the file is left alone
		second(1_000_000, 5_000_000)
		second(1_800_000, 5_800_000)
		second(1_800_000, 5_800_000)
		time.Sleep(time.Second)
		s.Full()
		if v := out.take()["container_cpu_peak_cores id=/docker/A workload=web"]; !slices.Equal(v, []float64{0.8}) {
			t.Errorf("peak %v, want the 0.8 cores of one second", v)
		}

		// What runs between the reading of the parent and the next full one is not lost.
		time.Sleep(980 * time.Millisecond)
		s.Peaks()
		k.container(t, 1_810_000, 0)
		parent(5_810_000)
		time.Sleep(20 * time.Millisecond)
		s.Full()
		out.take()
		second(1_810_000, 5_810_000)
		second(1_810_000, 5_810_000)
		s.Full()
		if v := out.take()["container_cpu_peak_cores id=/docker/A workload=web"]; len(v) != 1 || v[0] < 0.009 || v[0] > 0.011 {
			t.Errorf("peak %v, want the 0.01 cores", v)
		}

		for _, e := range events {
			e.Kind = inventory.Died
			in.events = append(in.events, e)
		}
		s.Events()
		s.Peaks()
	})
}
