package noise

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/plimsoll/plimsoll/collector/internal/inprocess"
)

// Silences reads the silences that are remembered, in force or over, from whoever answers Alertmanager's API v2.
func Silences(api http.Handler) ActsFunc {
	return func(ctx context.Context, _, _ time.Time) ([]Act, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/v2/silences", nil)
		if err != nil {
			return nil, fmt.Errorf("silences: %w", err)
		}
		got := inprocess.Ask(api, r)
		if got.Code != http.StatusOK {
			return nil, fmt.Errorf("silences: the Alertmanager answers %d %s", got.Code, http.StatusText(got.Code))
		}
		var list []struct {
			StartsAt time.Time
			Matchers []struct {
				Name, Value string
				IsRegex     bool
				IsEqual     *bool // absent: true
			}
		}
		if err := json.Unmarshal(got.Body.Bytes(), &list); err != nil {
			return nil, fmt.Errorf("silences: %w", err)
		}
		all := make([]Act, len(list))
		for i, s := range list {
			var matchers labels.Matchers
			for _, m := range s.Matchers {
				kind := labels.MatchEqual
				switch equal := m.IsEqual == nil || *m.IsEqual; {
				case m.IsRegex && equal:
					kind = labels.MatchRegexp
				case m.IsRegex:
					kind = labels.MatchNotRegexp
				case !equal:
					kind = labels.MatchNotEqual
				}
				matcher, err := labels.NewMatcher(kind, m.Name, m.Value)
				if err != nil {
					return nil, fmt.Errorf("silences: %w", err)
				}
				matchers = append(matchers, matcher)
			}
			all[i] = Act{Kind: Silenced, At: s.StartsAt, Late: step, Matches: func(alert map[string]string) bool {
				for _, m := range matchers {
					if !m.Matches(alert[m.Name]) {
						return false
					}
				}
				return true
			}}
		}
		return all, nil
	}
}
