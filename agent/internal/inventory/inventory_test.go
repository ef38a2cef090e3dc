package inventory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
)

// began is when the agent of these tests started; minute(1) is one minute later.
var began = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func minute(m float64) time.Time { return began.Add(time.Duration(m * float64(time.Minute))) }

func newTable(t *testing.T, cfg Config) *Table {
	t.Helper()
	table, err := New(cfg, began, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// web is container id, named web, made and started at the given minute.
func web(id string, at float64) docker.Container {
	return docker.Container{ID: cgroup.ContainerID(id), PID: 77, Name: "web", Image: "web:1", CgroupPath: "/docker/" + id, Created: minute(at), StartedAt: minute(at)}
}

func again(c docker.Container, at float64, restartCount int) docker.Container {
	c.StartedAt, c.RestartCount = minute(at), restartCount
	return c
}

// happened drains and writes each event as a line.
func happened(t *Table) []string {
	events, lost := t.Drain(nil)
	var lines []string
	for _, e := range events {
		line := fmt.Sprintf("%s %s %s", e.Kind, e.Container.ID, e.Container.Labels.Container)
		if e.NewSlot {
			line += " new"
		}
		if e.Kind == Died {
			line += fmt.Sprintf(" %d %s", e.Exit.Code, e.Exit.Reason)
		}
		lines = append(lines, line)
	}
	if lost > 0 {
		lines = append(lines, fmt.Sprintf("lost %d", lost))
	}
	return lines
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("happened:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func slotOf(t *testing.T, table *Table, container string) Slot {
	t.Helper()
	for _, s := range table.Slots(nil) {
		if s.Key.Container == container {
			return s
		}
	}
	t.Fatalf("no slot %q", container)
	return Slot{}
}

func counts(s Slot) string {
	text := fmt.Sprintf("live %d oom %d restarts %d", s.Live, s.OOMKills, s.Restarts)
	for r := range Reasons() {
		if n := s.Exits.Of(r); n > 0 {
			text += fmt.Sprintf(" %s %d", r, n)
		}
	}
	return text
}

func wantCounts(t *testing.T, table *Table, want string) {
	t.Helper()
	if got := counts(slotOf(t, table, "web")); got != want {
		t.Errorf("slot web: %s, want %s", got, want)
	}
}

func TestAContainerIsBornChangesAndDies(t *testing.T) {
	table := newTable(t, Config{Resolver: identity.Resolver{Node: identity.Node{IDC: "bj1", Node: "n1"}}})
	c := web("a", 1)
	c.Labels = map[string]string{"project": "shop"}
	table.Started(c, minute(1))
	live := table.Live(nil)
	if len(live) != 1 {
		t.Fatalf("%d live", len(live))
	}
	wantLabels := identity.Labels{Project: "shop", IDC: "bj1", Node: "n1", Workload: "web", Container: "web", Image: "web:1", ID: "/docker/a", Name: "web"}
	if live[0].Labels != wantLabels || live[0].PID != 77 || live[0].Health != NoHealthCheck {
		t.Errorf("live %+v", live[0])
	}
	c.Health = docker.HealthStarting
	table.Changed(c, minute(2))
	c.Health = docker.HealthUnhealthy
	table.Changed(c, minute(2))
	table.Died("a", minute(3), docker.Exit{Code: 3, Known: true})
	table.Gone("a", minute(3))
	want(t, happened(table), "born a web new", "health a web", "health a web", "died a web 3 error")
	if live := table.Live(nil); len(live) != 0 {
		t.Errorf("live after its death: %+v", live)
	}
	s := slotOf(t, table, "web")
	if s.Labels.Image != "" || s.Labels.ID != "" || s.Labels.Name != "" || s.Labels.Project != "shop" {
		t.Errorf("the slot's labels are %+v, want those that outlive a container", s.Labels)
	}
}

func TestSlotCounters(t *testing.T) {
	for _, c := range []struct {
		sentence string
		play     func(*Table)
		want     string
	}{
		{"are 0 at discovery", func(t *Table) {
			t.Started(web("a", 1), minute(1))
		}, "live 1 oom 0 restarts 0"},
		{"do not take a release for a restart", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.Died("a", minute(2), docker.Exit{Code: 0, Known: true})
			next := web("b", 2)
			next.Image = "web:2"
			t.Started(next, minute(2))
		}, "live 1 oom 0 restarts 0 completed 1"},
		{"do not take one more replica for a restart", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.Started(web("b", 2), minute(2))
		}, "live 2 oom 0 restarts 0"},
		{"are 0 at discovery although the container has a history from before the agent", func(t *Table) {
			c := again(web("a", -60), -5, 7)
			c.OOMKilled = true
			t.Started(c, minute(1))
			t.ReportOOMKills("a", 1, 4)
		}, "live 1 oom 0 restarts 0"},
		{"grow from that history on", func(t *Table) {
			t.Started(again(web("a", -60), -5, 7), minute(1))
			t.ReportOOMKills("a", 1, 4)
			t.ReportOOMKills("a", 1, 6)
			t.Died("a", minute(2), docker.Exit{Code: 1, Known: true})
			t.Started(again(web("a", -60), 2, 8), minute(2))
		}, "live 1 oom 2 restarts 1 error 1"},
		{"count a kill seen by event before the kernel's count of an old life was first read", func(t *Table) {
			t.Started(web("a", -60), minute(1))
			t.OOM("a", minute(1))
			t.ReportOOMKills("a", 1, 5)
			t.ReportOOMKills("a", 1, 6)
		}, "live 1 oom 2 restarts 0"},
		{"count the kill that the kernel, an event and the engine's flag all tell of once", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.OOM("a", minute(2))
			t.ReportOOMKills("a", 1, 1)
			t.Died("a", minute(2), docker.Exit{Code: 137, Known: true, OOMKilled: true})
			t.ReportOOMKills("a", 1, 1)
		}, "live 0 oom 1 restarts 0 oom_killed 1"},
		{"count a kill that comes to light in the final reading", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.Died("a", minute(2), docker.Exit{Code: 1, Known: true})
			t.ReportOOMKills("a", 1, 2)
		}, "live 0 oom 2 restarts 0 error 1"},
		{"count it although the next life has begun when it is reported", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.Died("a", minute(2), docker.Exit{Code: 1, Known: true})
			t.Started(again(web("a", 1), 2, 1), minute(2))
			t.ReportOOMKills("a", 1, 2)
			t.ReportOOMKills("a", 2, 1) // a new life's kernel counter begins at 0
		}, "live 1 oom 3 restarts 1 error 1"},
		{"count a life that was over before it was told", func(t *Table) {
			c := web("a", 1)
			c.PID, c.OOMKilled = 0, true
			t.Started(c, minute(1))
			t.Died("a", minute(1), docker.Exit{Code: 137, Known: true, OOMKilled: true})
		}, "live 0 oom 1 restarts 0 oom_killed 1"},
		{"count restarts by the engine's policy once each", func(t *Table) {
			for i := range 4 {
				t.Started(again(web("a", 1), 1+float64(i), i), minute(1+float64(i)))
				t.Died("a", minute(1.5+float64(i)), docker.Exit{Code: 1, Known: true})
			}
		}, "live 0 oom 0 restarts 3 error 4"},
		{"count restarts whose events were missed", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.Started(again(web("a", 1), 9, 5), minute(9))
		}, "live 1 oom 0 restarts 5 unknown 1"},
		{"do not count a restart twice when the engine was asked after the next one", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.Died("a", minute(2), docker.Exit{Code: 1, Known: true})
			t.Started(again(web("a", 1), 2, 2), minute(2))
			t.Died("a", minute(3), docker.Exit{Code: 1, Known: true})
			t.Started(again(web("a", 1), 3, 2), minute(3))
		}, "live 1 oom 0 restarts 2 error 2"},
		{"count docker restart, which sets the engine's own count back", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.Died("a", minute(2), docker.Exit{Code: 1, Known: true})
			t.Started(again(web("a", 1), 2, 1), minute(2))
			t.Died("a", minute(3), docker.Exit{Code: 143, Known: true})
			t.Started(again(web("a", 1), 3, 0), minute(3))
			t.Died("a", minute(4), docker.Exit{Code: 143, Known: true})
			t.Started(again(web("a", 1), 4, 0), minute(4))
		}, "live 1 oom 0 restarts 3 error 1 signalled 2"},
		{"count another container in the same place as a restart", func(t *Table) {
			t.Started(web("a", 1), minute(1))
			t.OOM("a", minute(2))
			t.Died("a", minute(2), docker.Exit{Code: 137, Known: true, OOMKilled: true})
			t.Gone("a", minute(2))
			t.Started(web("b", 3), minute(3))
		}, "live 1 oom 1 restarts 1 oom_killed 1"},
		{"do not count two containers found in one place at the agent's start", func(t *Table) {
			t.Started(web("a", -60), minute(0))
			t.Started(web("b", -1), minute(0))
		}, "live 2 oom 0 restarts 0"},
		{"sort exits by reason", func(t *Table) {
			for i, code := range []int{0, 1, 255, 139, 143, 128} {
				t.Started(again(web("a", 1), 1, i), minute(1))
				t.Died("a", minute(1), docker.Exit{Code: code, Known: true})
			}
			t.Started(again(web("a", 1), 1, 6), minute(1))
			t.Gone("a", minute(1))
		}, "live 0 oom 0 restarts 6 completed 1 error 3 signalled 2 unknown 1"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			table := newTable(t, Config{})
			c.play(table)
			wantCounts(t, table, c.want)
		})
	}
}

func TestARenamedContainerTakesItsLaterCountsToTheNewPlace(t *testing.T) {
	table := newTable(t, Config{})
	c := web("a", 1)
	table.Started(c, minute(1))
	table.OOM("a", minute(1))
	c.Name = "www"
	table.Changed(c, minute(2))
	table.OOM("a", minute(3))
	want(t, happened(table), "born a web new", "oom_killed a web", "relabelled a www new", "oom_killed a www")
	wantCounts(t, table, "live 0 oom 1 restarts 0")
	if got := counts(slotOf(t, table, "www")); got != "live 1 oom 1 restarts 0" {
		t.Errorf("slot www: %s", got)
	}
}

func TestASlotOutlivesItsLastContainerBy15Minutes(t *testing.T) {
	table := newTable(t, Config{})
	table.Started(web("a", 1), minute(1))
	table.Expire(minute(100))
	table.Died("a", minute(100), docker.Exit{Code: 137, Known: true, OOMKilled: true})
	table.Expire(minute(100))
	table.Expire(minute(114.9))
	wantCounts(t, table, "live 0 oom 1 restarts 0 oom_killed 1")
	table.Expire(minute(115))
	if slots := table.Slots(nil); len(slots) != 0 {
		t.Errorf("after 15 minutes: %+v", slots)
	}
	happened(table)
	table.Started(again(web("a", 1), 120, 0), minute(120))
	want(t, happened(table), "born a web new")
	wantCounts(t, table, "live 1 oom 0 restarts 0")
}

func TestTheBirthOfAContainerFoundRunningIsTheAgentsStart(t *testing.T) {
	table := newTable(t, Config{})
	table.Started(web("a", -3000), minute(-3000))
	events, _ := table.Drain(nil)
	if len(events) != 1 || !events[0].At.Equal(began) || !events[0].Container.StartedAt.Equal(minute(-3000)) {
		t.Errorf("%+v", events)
	}
}

func TestWhatIsNoContainerOfItsOwnIsNeitherShownNorHeldBack(t *testing.T) {
	table := newTable(t, Config{})
	c := web("a", 1)
	c.Labels = map[string]string{"io.kubernetes.docker.type": "podsandbox"}
	table.Started(c, minute(1))
	table.SawTree([]cgroup.Found{{Ref: cgroup.Ref{ID: "a"}, Path: "/docker/a"}}, minute(1))
	table.Died("a", minute(2), docker.Exit{})
	want(t, happened(table))
	if u := table.Unresolved(minute(9)); len(u) != 0 {
		t.Errorf("unresolved %+v", u)
	}
}

func TestContainersOnlyTheTreeShows(t *testing.T) {
	found := func(ids ...string) (all []cgroup.Found) {
		for _, id := range ids {
			all = append(all, cgroup.Found{Ref: cgroup.Ref{ID: cgroup.ContainerID(id)}, Path: "/pods/" + id})
		}
		return append(all, cgroup.Found{Path: "/system.slice"})
	}
	t.Run("are held back, and are overdue after a while", func(t *testing.T) {
		table := newTable(t, Config{})
		table.SawTree(found("a"), minute(1))
		table.SawTree(found("a", "b"), minute(2))
		want(t, happened(table))
		u := table.Unresolved(minute(2))
		if len(u) != 2 || u[0].ID != "a" || !u[0].Overdue || u[0].Path != "/pods/a" || u[1].Overdue {
			t.Errorf("unresolved %+v", u)
		}
		table.SawTree(found("b"), minute(3))
		if u := table.Unresolved(minute(3)); len(u) != 1 || u[0].ID != "b" {
			t.Errorf("after a is gone: %+v", u)
		}
	})
	t.Run("are born when a runtime names them, where the tree shows them", func(t *testing.T) {
		table := newTable(t, Config{})
		table.SawTree(found("a"), minute(1))
		table.Started(web("a", 1), minute(1))
		want(t, happened(table), "born a web new")
		if c := table.Live(nil)[0]; c.CgroupPath != "/pods/a" || c.Labels.ID != "/pods/a" {
			t.Errorf("%+v", c)
		}
		if u := table.Unresolved(minute(9)); len(u) != 0 {
			t.Errorf("unresolved %+v", u)
		}
	})
	t.Run("correct the path of a container a runtime has named", func(t *testing.T) {
		table := newTable(t, Config{})
		table.Started(web("a", 1), minute(1))
		table.SawTree(found("a"), minute(1))
		table.SawTree(found("a"), minute(2))
		table.Changed(web("a", 1), minute(2))
		want(t, happened(table), "born a web new", "relabelled a web")
	})
	t.Run("that have just died are not held back", func(t *testing.T) {
		table := newTable(t, Config{})
		table.Started(web("a", 1), minute(1))
		table.Died("a", minute(2), docker.Exit{})
		table.SawTree(found("a"), minute(2))
		if u := table.Unresolved(minute(2)); len(u) != 0 {
			t.Errorf("unresolved %+v", u)
		}
	})
	t.Run("are bounded", func(t *testing.T) {
		registry := prometheus.NewRegistry()
		table := newTable(t, Config{MaxUnresolved: 2, Metrics: registry})
		table.SawTree(found("a", "b", "c", "d", "e"), minute(1))
		if got := value(t, registry, "plimsoll_agent_containers_unresolved"); got != 2 {
			t.Errorf("containers_unresolved %v, want 2", got)
		}
		if got := value(t, registry, "plimsoll_agent_containers_unresolved_refused_total"); got != 3 {
			t.Errorf("containers_unresolved_refused_total %v, want 3", got)
		}
	})
}

func TestANamelessContainerIsHeldBackUntilItIsNamed(t *testing.T) {
	table := newTable(t, Config{})
	c := web("a", 1)
	c.Name = ""
	table.Started(c, minute(1))
	want(t, happened(table))
	if u := table.Unresolved(minute(1)); len(u) != 1 {
		t.Errorf("unresolved %+v", u)
	}
	c.Name = "web"
	table.Changed(c, minute(2))
	want(t, happened(table), "born a web new")
}

func TestAPIDThatBecomesKnownLateIsTold(t *testing.T) {
	table := newTable(t, Config{})
	c := web("a", 1)
	c.PID = 0
	table.Started(c, minute(1))
	c.PID = 99
	table.Changed(c, minute(2))
	events, _ := table.Drain(nil)
	if len(events) != 2 || events[1].Kind != Relabelled || events[1].Container.PID != 99 {
		t.Errorf("%+v", events)
	}
}

func TestALateNodeRelabelsEverything(t *testing.T) {
	table := newTable(t, Config{})
	table.Started(web("a", 1), minute(1))
	happened(table)
	table.SetNode(identity.Node{IDC: "bj1"}, minute(2))
	table.SetNode(identity.Node{IDC: "bj1"}, minute(3))
	events, _ := table.Drain(nil)
	if len(events) != 1 || events[0].Kind != Relabelled || events[0].Container.Labels.IDC != "bj1" {
		t.Errorf("%+v", events)
	}
	if s := slotOf(t, table, "web"); s.Labels.IDC != "bj1" {
		t.Errorf("slot %+v", s.Labels)
	}
}

func TestLimits(t *testing.T) {
	t.Run("events that have no room are counted and told as lost", func(t *testing.T) {
		table := newTable(t, Config{MaxEvents: 2})
		for i := range 5 {
			table.Started(web(fmt.Sprint(i), 1), minute(1))
		}
		want(t, happened(table), "born 0 web new", "born 1 web", "lost 3")
		table.Started(web("9", 1), minute(1))
		want(t, happened(table), "born 9 web")
	})
	t.Run("a new slot takes the room of the one that has been empty longest, and none when all are filled", func(t *testing.T) {
		registry := prometheus.NewRegistry()
		table := newTable(t, Config{MaxSlots: 1, Metrics: registry})
		other := web("b", 2)
		other.Name = "other"
		table.Started(web("a", 1), minute(1))
		table.Started(other, minute(2))
		want(t, happened(table), "born a web new", "born b other")
		if got := value(t, registry, "plimsoll_agent_slots_refused_total"); got != 1 {
			t.Errorf("slots_refused_total %v, want 1", got)
		}
		table.OOM("b", minute(2))
		table.Died("b", minute(2), docker.Exit{})
		table.Died("a", minute(2), docker.Exit{})
		table.Expire(minute(2))
		table.Started(again(other, 3, 1), minute(3))
		if got := counts(slotOf(t, table, "other")); got != "live 1 oom 0 restarts 1" {
			t.Errorf("slot other: %s", got)
		}
	})
	t.Run("of empty slots past the limit those go where nothing happened, and then the oldest", func(t *testing.T) {
		registry := prometheus.NewRegistry()
		table := newTable(t, Config{MaxEmptySlots: 2, Metrics: registry})
		for i, name := range []string{"killed", "old", "new", "last", "lives"} {
			c := web(name, 1)
			c.Name = name
			table.Started(c, minute(1))
			if name == "killed" {
				table.OOM(c.ID, minute(1))
			}
			if name != "lives" {
				table.Died(c.ID, minute(float64(2+i)), docker.Exit{})
			}
			table.Expire(minute(float64(2 + i)))
		}
		for name, kept := range map[string]bool{"killed": true, "old": false, "new": false, "last": true, "lives": true} {
			if has := slices.ContainsFunc(table.Slots(nil), func(s Slot) bool { return s.Key.Container == name }); has != kept {
				t.Errorf("slot %s is kept: %v, want %v", name, has, kept)
			}
		}
		if got := value(t, registry, "plimsoll_agent_slots_forgotten_early_total"); got != 2 {
			t.Errorf("slots_forgotten_early_total %v, want 2", got)
		}
	})
	t.Run("a container takes the room of one that has been dead longest, and none when all live", func(t *testing.T) {
		table := newTable(t, Config{MaxContainers: 1})
		table.Started(web("a", 1), minute(1))
		table.Started(web("b", 1), minute(1))
		table.Died("a", minute(2), docker.Exit{})
		table.Expire(minute(2))
		table.Started(web("c", 3), minute(3))
		want(t, happened(table), "born a web new", "died a web 0 unknown", "born c web")
	})
	t.Run("that make no sense are refused", func(t *testing.T) {
		if _, err := New(Config{MaxEvents: -1}, began, slog.Default()); err == nil {
			t.Error("MaxEvents -1 is accepted")
		}
		if _, err := New(Config{KeepSlots: -1}, began, slog.Default()); err == nil {
			t.Error("KeepSlots -1 is accepted")
		}
	})
}

func TestRunWalksAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(t, Config{WalkEvery: 10 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var walks atomic.Int64
		go func() {
			_ = table.Run(ctx, func(yield func(cgroup.Found)) error {
				yield(cgroup.Found{Ref: cgroup.Ref{ID: "x"}, Path: "/docker/x"})
				if walks.Add(1) > 2 {
					return errors.New("too many directories")
				}
				return nil
			})
		}()
		c := web("a", 1)
		c.StartedAt = time.Now()
		table.Started(c, time.Now())
		table.Died("a", time.Now(), docker.Exit{})
		time.Sleep(15*time.Minute - time.Second)
		if len(table.Slots(nil)) != 1 || len(table.Unresolved(time.Now())) != 1 {
			t.Error("the slot or the unresolved container is missing")
		}
		time.Sleep(30 * time.Second)
		if len(table.Slots(nil)) != 0 {
			t.Error("the slot is still there")
		}
		if n := walks.Load(); n < 90 {
			t.Errorf("%d walks in 15 minutes: it stopped at a failure", n)
		}
		cancel()
		synctest.Wait()
	})
}

func TestAPauseIsNoDeath(t *testing.T) {
	table := newTable(t, Config{})
	c := web("a", 1)
	table.Started(c, minute(1))
	for n, paused := range []bool{true, false, true} {
		c.Paused = paused
		table.Changed(c, minute(float64(2+n)))
		if live := table.Live(nil); len(live) != 1 || live[0].Paused != paused {
			t.Errorf("live: %+v", live)
		}
	}
	want(t, happened(table), "born a web new")
	wantCounts(t, table, "live 1 oom 0 restarts 0")
}

func TestManyMayUseTheTableAtOnce(t *testing.T) {
	table := newTable(t, Config{})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 200 {
				id := fmt.Sprint(i, "-", n)
				table.Started(web(id, 1), minute(1))
				table.ReportOOMKills(cgroup.ContainerID(id), 1, 1)
				table.Drain(nil)
				table.Slots(nil)
				table.Live(nil)
				table.SawTree(nil, minute(1))
				table.Died(cgroup.ContainerID(id), minute(1), docker.Exit{})
				table.Expire(minute(2))
			}
		})
	}
	all.Wait()
	if s := slotOf(t, table, "web"); s.Live != 0 || s.Exits.Of(Unknown) != 800 {
		t.Errorf("live %d, exits %d; want 0, 800", s.Live, s.Exits.Of(Unknown))
	}
}

func value(t *testing.T, registry prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
