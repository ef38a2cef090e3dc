package ui

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// silence is one as Alertmanager's API takes and tells it.
type silence struct {
	ID       string `json:"id"`
	Matchers []struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		IsRegex bool   `json:"isRegex"`
		IsEqual bool   `json:"isEqual"`
	} `json:"matchers"`
	StartsAt  time.Time         `json:"startsAt"`
	EndsAt    time.Time         `json:"endsAt"`
	CreatedBy string            `json:"createdBy"`
	Comment   string            `json:"comment"`
	Status    map[string]string `json:"status"`
}

func (s *scriptedAPI) silenced() []silence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.silences)
}

func (s *scriptedAPI) expire(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silences = slices.DeleteFunc(s.silences, func(one silence) bool { return one.ID == id })
}

// more answers what is no query: silences, what the Alertmanager holds, exits.
func (s *scriptedAPI) more(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.URL.Path == "/api/v2/alerts":
		fmt.Fprint(w, "[]")
	case r.URL.Path == "/api/exits":
		s.exits(w, r)
	case r.Method == http.MethodPost:
		one := silence{ID: fmt.Sprintf("s%d", len(s.silences)), Status: map[string]string{"state": "active"}}
		if err := json.NewDecoder(r.Body).Decode(&one); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(err.Error())
			return
		}
		s.silences = append(s.silences, one)
		fmt.Fprintf(w, `{"silenceID":%q}`, one.ID)
	default:
		_ = json.NewEncoder(w).Encode(append([]silence{}, s.silences...))
	}
}

// exits tells of four ends, the newest at 08:01:20 UTC of 31 January 2026.
func (s *scriptedAPI) exits(w http.ResponseWriter, r *http.Request) {
	s.lastExits = r.URL.Query()
	if s.lastExits.Get("since") == "yesterday" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"parameter since: \"yesterday\" is neither a duration like 90m or 7d nor a past moment"}`)
		return
	}
	end := time.Date(2026, 1, 31, 8, 1, 20, 0, time.UTC)
	list := []map[string]any{
		{"project": "shop", "idc": "bj", "cluster": "k8s-a", "node": "node-1", "workload": "web", "container": "web", "reason": "oom_killed", "exit_code": 137, "signal": 9, "crashed": true,
			"start": end.Add(-40 * time.Second), "end": end, "runtime_seconds": 40.125, "cpu_seconds": 0.148, "memory_peak_bytes": 16 << 20},
		{"project": "shop", "container": "db", "reason": "signalled", "exit_code": 143, "signal": 15, "end": end.Add(-time.Minute), "runtime_seconds": 86400},
		{"project": "mail", "container": hostile, "reason": "error", "exit_code": 3, "crashed": true, "end": end.Add(-2 * time.Minute), "runtime_seconds": 3600},
		{"project": "mail", "container": "job", "reason": "completed", "exit_code": 0, "end": end.Add(-time.Hour)},
	}
	counts := map[string]int{"all": 4, "crashed": 2, "short": 1}
	if s.noExits {
		list, counts = list[:0], map[string]int{}
	}
	list = slices.DeleteFunc(list, func(e map[string]any) bool {
		project := s.lastExits.Get("project")
		return project != "" && e["project"] != project || s.lastExits.Get("kind") == "crashed" && e["crashed"] == nil
	})
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": list, "truncated": false, "counts": counts})
}
