package inventory

import (
	"iter"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/docker"
)

// memory is a ledger that a test can look into.
type memory map[string][]byte

func (m memory) All() iter.Seq2[string, []byte] { return maps.All(maps.Clone(m)) }
func (m memory) Put(key string, value []byte)   { m[key] = value }
func (m memory) Delete(key string)              { delete(m, key) }
func (m memory) Sync()                          {}

// next is the table of the agent's next run, after a kill -9: nothing but the ledger is left.
func (m memory) next(t *testing.T, at float64) *Table {
	t.Helper()
	table, err := New(Config{Ledger: m}, minute(at), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestSlotCountersSurviveAKill(t *testing.T) {
	kept := memory{}
	table := kept.next(t, 0)
	table.Started(web("a", 1), minute(1))
	table.OOM("a", minute(2))
	table.Died("a", minute(2), docker.Exit{Code: 137, Known: true, OOMKilled: true})
	table.Started(again(web("a", 1), 2, 1), minute(2))
	table = kept.next(t, 3)
	wantCounts(t, table, "live 1 oom 1 restarts 1 oom_killed 1")
	if s := slotOf(t, table, "web"); s.ExitsBefore != s.Exits || !s.Kept {
		t.Errorf("exits of the run before: %v", s.ExitsBefore)
	}
	want(t, happened(table), "born a web") // not new: a zero now would be a reset
	table.Died("a", minute(4), docker.Exit{Code: 1, Known: true})
	wantCounts(t, table, "live 0 oom 1 restarts 1 error 1 oom_killed 1")
	if s := slotOf(t, table, "web"); s.ExitsBefore.Of(Failed) != 0 {
		t.Error("an exit of this run counts as one of the run before")
	}
}

func TestWhatHappenedWhileTheAgentWasDownIsCounted(t *testing.T) {
	kept := memory{}
	table := kept.next(t, 0)
	table.Started(web("a", 1), minute(1))
	table.ReportOOMKills("a", table.Live(nil)[0].Life, 1)
	since := minute(1)
	for _, c := range []struct {
		sentence string
		play     func(*Table)
		want     string
	}{
		{"OOM kills of a cgroup that still lives, by the kernel's count", func(t *Table) {
			t.ReportOOMKills("a", t.Live(nil)[0].Life, 3)
		}, "live 1 oom 3 restarts 0"},
		{"the same kills, told by the engine too", func(t *Table) {
			t.OOM("a", minute(2))
			t.ReportOOMKills("a", t.Live(nil)[0].Life, 2)
			t.OOM("a", minute(2))
		}, "live 1 oom 2 restarts 0"},
		{"an exit the engine remembers", func(t *Table) {
			t.Died("a", minute(2), docker.Exit{Code: 2, Known: true})
		}, "live 0 oom 1 restarts 0 error 1"},
		{"an exit and a restart it does not", func(t *Table) {
			t.Started(again(web("a", 1), 2, 1), minute(2))
		}, "live 1 oom 1 restarts 1 unknown 1"},
		{"nothing", func(t *Table) {}, "live 1 oom 1 restarts 0"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			mine := maps.Clone(kept)
			table := mine.next(t, 3)
			if got, running := table.Resume(); !got.Equal(since) || len(running) != 1 || running[0].ID != "a" {
				t.Fatalf("resumes %v since %v", running, got)
			}
			c.play(table)
			wantCounts(t, table, c.want)
			wantCounts(t, mine.next(t, 4), c.want)
		})
	}
}

func TestWhatIsTooOldOrDamagedIsNotTakenOver(t *testing.T) {
	kept := memory{}
	table := kept.next(t, 0)
	table.Started(web("a", 1), minute(1))
	table.Died("a", minute(2), docker.Exit{})
	kept["slot x"], kept["life b"], kept["else"] = []byte(`{"key":`), []byte(`[]`), []byte(`1`)
	later, err := New(Config{Ledger: kept}, time.Now().Add(16*time.Minute), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if s := later.Slots(nil); len(s) != 0 {
		t.Errorf("a slot empty for 16 minutes: %+v", s)
	}
	if since, running := later.Resume(); !since.IsZero() || len(running) != 0 {
		t.Errorf("resumes %v since %v", running, since)
	}
	for _, key := range []string{"slot x", "life b", "else"} {
		if _, left := kept[key]; left {
			t.Errorf("%q is still in the ledger", key)
		}
	}
}

func TestForgottenSlotsLeaveTheLedger(t *testing.T) {
	kept := memory{}
	table := kept.next(t, 0)
	table.Started(web("a", 1), minute(1))
	table.Died("a", minute(2), docker.Exit{})
	table.Gone("a", minute(2))
	table.Expire(minute(3))
	table.Expire(minute(19))
	if len(kept) != 0 {
		t.Errorf("left: %v", kept)
	}
}

func TestAKillTheKernelCountedNamesTheExitThatFollows(t *testing.T) {
	f := func(sentence string, exit docker.Exit, after time.Duration, want Reason) {
		t.Helper()
		exit.Known = true
		table := newTable(t, Config{})
		table.Started(web("a", 1), time.Now())
		table.ReportOOMKills("a", table.Live(nil)[0].Life, 1)
		table.Died("a", time.Now().Add(after), exit)
		table.Settle("a", lifeOf(table, "a"), true)
		if s := slotOf(t, table, "web"); s.Exits.Of(want) != 1 {
			t.Errorf("%s: %s", sentence, counts(s))
		}
	}
	f("the engine's flag is late", docker.Exit{Code: 137}, 0, KilledOOM)
	f("a child was killed, the container went on and was killed from outside", docker.Exit{Code: 137}, time.Minute, Signalled)
	f("a child was killed and the container gave up", docker.Exit{Code: 1}, 0, Failed)
	f("likewise, and the engine has seen the kill", docker.Exit{Code: 1, OOMKilled: true}, 0, KilledOOM)
	f("a child was killed, the container went on and failed later", docker.Exit{Code: 1, OOMKilled: true}, time.Minute, Failed)
	f("a child was killed, the container went on and was stopped", docker.Exit{Code: 143, OOMKilled: true, Asked: true}, time.Minute, Stopped)
}
