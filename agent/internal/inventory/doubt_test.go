package inventory

import (
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/docker"
)

// An exit by SIGKILL may be an out-of-memory kill that is told a moment later, by the kernel's count or by the engine's event.
func TestAKillThatIsToldAfterTheExitIsItsReason(t *testing.T) {
	for sentence, c := range map[string]struct {
		play   func(table *Table, life uint64)
		want   string
		reason Reason
	}{
		"nobody has told yet":           {func(*Table, uint64) {}, "live 0 oom 0 restarts 0", Signalled},
		"the kernel counted one":        {func(t *Table, life uint64) { t.ReportOOMKills("a", life, 1) }, "live 0 oom 1 restarts 0 oom_killed 1", KilledOOM},
		"the engine tells it late":      {func(t *Table, _ uint64) { t.OOM("a", minute(2)) }, "live 0 oom 1 restarts 0 oom_killed 1", KilledOOM},
		"the kernel counted none":       {func(t *Table, life uint64) { t.Settle("a", life, true) }, "live 0 oom 0 restarts 0 signalled 1", Signalled},
		"the count is not the last one": {func(t *Table, life uint64) { t.Settle("a", life, false) }, "live 0 oom 0 restarts 0", Signalled},
		"the doubt is old": {func(t *Table, _ uint64) {
			d := t.containers["a"].slot.doubted
			d[0].at = d[0].at.Add(-doubtLasts)
		}, "live 0 oom 0 restarts 0 signalled 1", Signalled},
		"a kill of long after is none of it": {func(t *Table, life uint64) {
			d := t.containers["a"].slot.doubted
			d[0].at = d[0].at.Add(-time.Minute)
			t.ReportOOMKills("a", life, 1)
		}, "live 0 oom 1 restarts 0 signalled 1", Signalled},
	} {
		t.Run(sentence, func(t *testing.T) {
			table := newTable(t, Config{})
			table.Started(web("a", 1), minute(1))
			life := lifeOf(table, "a")
			table.Died("a", minute(2), docker.Exit{Code: 137, Known: true})
			c.play(table, life)
			wantCounts(t, table, c.want)
			if reason, known := table.Settle("a", life, false); reason != c.reason || !known {
				t.Errorf("settled as %v, %v; want %v", reason, known, c.reason)
			}
		})
	}
}

// What is in doubt belongs to a life: the next one's count says nothing of it, and its own is found behind that.
func TestADoubtIsOfOneLife(t *testing.T) {
	table := newTable(t, Config{})
	table.Started(web("a", 1), minute(1))
	first := lifeOf(table, "a")
	table.Died("a", minute(2), docker.Exit{Code: 137, Known: true})
	table.Started(again(web("a", 1), 2, 1), minute(2))
	if _, known := table.Settle("a", lifeOf(table, "a"), true); known {
		t.Error("the exit of a life that goes on is settled")
	}
	table.ReportOOMKills("a", lifeOf(table, "a"), 1)
	wantCounts(t, table, "live 1 oom 1 restarts 1")
	table.ReportOOMKills("a", first, 1)
	wantCounts(t, table, "live 1 oom 2 restarts 1 oom_killed 1")
}
