package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// notification is an alert as Alertmanager's webhook sends it.
type notification struct {
	Status      string
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	received    time.Time
}

// webhook is the receiver of an on-call team.
type webhook struct {
	URL string

	mu  sync.Mutex
	all []notification
}

func newWebhook(t *testing.T) *webhook {
	w := &webhook{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var message struct{ Alerts []notification }
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Errorf("webhook body: %v", err)
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, a := range message.Alerts {
			a.received = time.Now()
			w.all = append(w.all, a)
		}
	}))
	t.Cleanup(server.Close)
	w.URL = server.URL
	return w
}

// find returns the first notification of an alert with a status whose labels hold want.
func (w *webhook) find(alertname, status string, want map[string]string) (notification, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
next:
	for _, n := range w.all {
		if n.Labels["alertname"] != alertname || n.Status != status {
			continue
		}
		for k, v := range want {
			if n.Labels[k] != v {
				continue next
			}
		}
		return n, nil
	}
	return notification{}, fmt.Errorf("no %s %s with %v among %d notifications", status, alertname, want, len(w.all))
}

// count is how often each alert came, by "name status".
func (w *webhook) count() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	pages := map[string]int{}
	for _, n := range w.all {
		pages[n.Labels["alertname"]+" "+n.Status]++
	}
	return pages
}
