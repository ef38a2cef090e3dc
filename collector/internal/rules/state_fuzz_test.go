package rules

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzState: whatever is in the file of the alerts' state, the rules begin, and can keep theirs.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"g":{"activeAt":{"0123456789abcdef":"2026-01-02T03:04:05Z"},"firing":[{"alert":{"labels":{"alertname":"a"},"startsAt":"2026-01-02T03:04:05Z"},"keepUntil":"2026-01-02T04:04:05Z"}]}}`))
	f.Add([]byte(`{"g":{"firing":[{}]}}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"g":{}} and more`))
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(t.TempDir(), "alerts.json")
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		s, _ := openState(name, time.Hour, now)
		for key := range s.groups {
			s.past(key, now, time.Minute)
		}
		s.put("another", savedGroup{})
		if err := s.write(); err != nil {
			t.Error(err)
		}
		if again, err := openState(name, time.Hour, now); err != nil || len(again.groups) != len(s.groups) {
			t.Errorf("%d groups and %v of what was written with %d", len(again.groups), err, len(s.groups))
		}
	})
}
