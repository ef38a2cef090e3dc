package narrow

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// FuzzSilence: whatever a reader of one project posts, a silence that is passed on can touch its alerts only.
func FuzzSilence(f *testing.F) {
	f.Add(`{"matchers":[{"name":"project","value":"shop","isRegex":false}],"endsAt":"2030-01-02T04:04:05Z","createdBy":"me","comment":"why"}`)
	f.Add(`{"matchers":[{"name":"project","value":"shop","isEqual":false},{"NAME":"project","Value":"shop"}],"Matchers":[]}`)
	f.Add(`{"matchers":[{"name":"project","value":"shop"}],"matchers":[{"name":"project","value":".*","isRegex":true}],"id":"x"}`)
	names, err := view.NewNames([]string{"shop"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			passed, _ := io.ReadAll(r.Body)
			var s struct {
				ID       string
				Matchers []struct {
					Name, Value string
					IsRegex     bool
					IsEqual     *bool
				}
			}
			if err := json.Unmarshal(passed, &s); err != nil {
				t.Fatalf("%q was passed on: %v", passed, err)
			}
			bound := false
			for _, m := range s.Matchers {
				bound = bound || m.Name == "project" && m.Value == "shop" && !m.IsRegex && (m.IsEqual == nil || *m.IsEqual)
			}
			if !bound || s.ID != "" {
				t.Errorf("%q was passed on of %q", passed, body)
			}
		})
		do(Alertmanager(next, nobodys), view.New(names), http.MethodPost, silencesPath, body)
	})
}
