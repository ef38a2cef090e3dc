package inventory

import (
	"iter"
	"log/slog"
	"testing"
	"time"
)

// oneEntry is a ledger with one entry at its opening.
type oneEntry struct {
	key   string
	value []byte
}

func (l oneEntry) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) { yield(l.key, l.value) }
}
func (oneEntry) Put(string, []byte) {}
func (oneEntry) Delete(string)      {}
func (oneEntry) Sync()              {}

// FuzzKept: whatever an earlier run, or another version of the agent, has left in the ledger, the inventory begins.
func FuzzKept(f *testing.F) {
	f.Add("slot shop\nweb\n\nweb", []byte(`{"key":{"Namespace":"shop","Workload":"web","Pod":"","Container":"web"},"labels":{},"image":"i","discovered":"2026-01-02T03:04:05Z","oom_kills":3,"exits":[1,2]}`))
	f.Add("life abc", []byte(`{"at":"2026-01-02T03:04:05Z","started_at":"2026-01-02T03:04:05Z","path":"/docker/abc","live":true,"container":{"ID":"abc","Name":"web","Image":"i"},"oom":{"counted":18446744073709551615},"restarts":{"starts":-1}}`))
	f.Add("life abc", []byte(`null`))
	began := time.Date(2026, 1, 2, 3, 5, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		table, err := New(Config{Ledger: oneEntry{key, value}}, began, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		table.Resume()
		live, slots := table.Live(nil), table.Slots(nil)
		if len(live) > 1 || len(slots) > 2 {
			t.Errorf("%d containers and %d slots of one entry", len(live), len(slots))
		}
	})
}
