package narrow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/access"
	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// silence is what Alertmanager's API takes and gives; what else a body has is left out.
type silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`

	Annotations map[string]string `json:"annotations,omitempty"`
}

type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual,omitempty"` // nil: true
}

func (m matcher) String() string {
	sign := "="
	switch equal := m.IsEqual == nil || *m.IsEqual; {
	case m.IsRegex && equal:
		sign = "=~"
	case m.IsRegex:
		sign = "!~"
	case !equal:
		sign = "!="
	}
	return fmt.Sprintf("%s%s%q", m.Name, sign, m.Value)
}

// within tells whether a silence can touch only alerts of v's projects: one matcher names one of them literally, and a
// silence touches what all its matchers match.
func (s silence) within(v *view.View) bool {
	if v == nil {
		return true
	}
	for _, m := range s.Matchers {
		if m.Name == "project" && !m.IsRegex && (m.IsEqual == nil || *m.IsEqual) && v.Project(m.Value) {
			return true
		}
	}
	return false
}

// postSilence makes a silence, or replaces the one whose id the body has.
func postSilence(w http.ResponseWriter, r *http.Request, next http.Handler) {
	v := view.Of(r.Context())
	body, err := readAll(r)
	if err != nil {
		reply(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	var s silence
	if err := json.Unmarshal(body, &s); err != nil {
		reply(w, http.StatusBadRequest, "silence: "+err.Error())
		return
	}
	access.Note(r.Context(), "silence", s.ID, "matchers", fmt.Sprint(s.Matchers), "until", s.EndsAt, "created_by", s.CreatedBy, "comment", s.Comment)
	if !s.within(v) {
		reply(w, http.StatusForbidden, fmt.Sprintf("silence: this token is bound to %s: one matcher must be project=\"NAME\" with one of its projects, and no pattern", v))
		return
	}
	if v != nil && s.ID != "" && !owns(w, r, next, s.ID) {
		return
	}
	if body, err = json.Marshal(s); err != nil {
		reply(w, http.StatusInternalServerError, "silence: "+err.Error())
		return
	}
	got, err := ask(next, r, http.MethodPost, silencesPath, nil, body)
	if err != nil {
		reply(w, http.StatusInternalServerError, err.Error())
		return
	}
	var made struct{ SilenceID string }
	if got.Decode(&made) == nil && made.SilenceID != "" {
		access.Note(r.Context(), "made", made.SilenceID)
	}
	got.Pass(w)
}

// deleteSilence ends one.
func deleteSilence(w http.ResponseWriter, r *http.Request, next http.Handler) {
	id := strings.TrimPrefix(r.URL.Path, silencePath)
	access.Note(r.Context(), "silence", id)
	if view.Of(r.Context()) != nil && !owns(w, r, next, id) {
		return
	}
	got, err := ask(next, r, http.MethodDelete, silencePath+id, nil, nil)
	if err != nil {
		reply(w, http.StatusInternalServerError, err.Error())
		return
	}
	got.Pass(w)
}

// owns tells whether a silence is within the reader's view; if not, it has answered.
func owns(w http.ResponseWriter, r *http.Request, next http.Handler, id string) bool {
	got, err := ask(next, r, http.MethodGet, silencePath+id, nil, nil)
	var s silence
	if err != nil || strings.Contains(id, "/") || got.Code != http.StatusOK || got.Decode(&s) != nil || !s.within(view.Of(r.Context())) {
		reply(w, http.StatusNotFound, fmt.Sprintf("silence %q: there is none of yours", id))
		return false
	}
	return true
}
