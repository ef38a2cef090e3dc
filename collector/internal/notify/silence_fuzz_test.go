package notify

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// FuzzSilence: a silence that passes has an owner, a reason and an end within the bound.
func FuzzSilence(f *testing.F) {
	f.Add(`{"matchers":[{"name":"a","value":"b"}],"createdBy":"me","comment":"why","endsAt":"2026-01-02T04:04:05Z"}`)
	f.Add(`{"createdby":"me","COMMENT":"why","endsAt":"9999-01-02T04:04:05Z"}`)
	f.Add(`{"createdBy":"me","createdBy":"","comment":" "}`)
	f.Add(`[]`)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body string) {
		passed := false
		handler := owned(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			var s struct {
				CreatedBy, Comment string
				EndsAt             time.Time
			}
			if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
				t.Errorf("%q passed: %v", body, err)
			}
			if strings.TrimSpace(s.CreatedBy) == "" || strings.TrimSpace(s.Comment) == "" || s.EndsAt.After(now.Add(time.Hour)) {
				t.Errorf("%q passed", body)
			}
		}), time.Hour, func() time.Time { return now })
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/api/v2/silences", strings.NewReader(body)))
		if !passed && answer.Code != http.StatusBadRequest {
			t.Errorf("%q: answer %d", body, answer.Code)
		}
	})
}
