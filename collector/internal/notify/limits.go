package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// owned lets silences pass that somebody answers for and that end: without createdBy and comment nobody knows whom to ask
// about a silence, and one without a near end hides the next fault too.
func owned(next http.Handler, longest time.Duration, now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/silences") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			refuse(w, http.StatusRequestEntityTooLarge, err.Error())
			return
		}
		var s struct {
			CreatedBy, Comment string
			EndsAt             time.Time
		}
		if err := json.Unmarshal(body, &s); err != nil {
			refuse(w, http.StatusBadRequest, "silence: "+err.Error())
			return
		}
		switch last := now().Add(longest); {
		case strings.TrimSpace(s.CreatedBy) == "":
			refuse(w, http.StatusBadRequest, "silence: createdBy must say who answers for it")
		case strings.TrimSpace(s.Comment) == "":
			refuse(w, http.StatusBadRequest, "silence: comment must say why")
		case s.EndsAt.After(last):
			refuse(w, http.StatusBadRequest, fmt.Sprintf("silence: endsAt is after %s; a silence may last %s (--limit.silence-duration)", last.UTC().Format(time.RFC3339), longest))
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		}
	})
}

// refuse answers as Alertmanager's API does: an error is a JSON string.
func refuse(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(words) // the client is gone: nobody to tell
}
