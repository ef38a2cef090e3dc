package server

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

func notFound(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": "not_found", "error": "there is no " + r.URL.Path + " here"})
}

// ready answers 503 until check is content. While writes are refused it still says 200, in words: readers are served, and senders have their
// answer with Retry-After from the write endpoint, which is more than a load balancer without a backend would give them. Who balances
// writes alone asks for ?for=writes.
func ready(check, writable func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err, fault := check(), writable()
		switch forWrites := r.URL.Query().Get("for") == "writes"; {
		case err != nil:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		case fault != nil && forWrites:
			w.Header().Set("Retry-After", "5")
			http.Error(w, "not ready for writes: "+fault.Error(), http.StatusServiceUnavailable)
		case fault != nil:
			io.WriteString(w, "ready\ndegraded: writes are answered 503: "+fault.Error()+"\n")
		default:
			io.WriteString(w, "ready\n")
		}
	}
}

// reload answers 500 with what is wrong when the configuration of before stays in force.
func reload(do func(*http.Request) error) http.Handler {
	if do == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.Method != http.MethodPut {
			w.Header().Set("Allow", "POST")
			http.Error(w, "reload is a POST", http.StatusMethodNotAllowed)
			return
		}
		if err := do(r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "reloaded\n")
	})
}

// Metrics answers with the metrics of g and whatever more writes, in the Prometheus text format.
func Metrics(g prometheus.Gatherer, more func(io.Writer), log *slog.Logger) http.Handler {
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		families, err := g.Gather() // what could be gathered comes beside an error
		if err != nil {
			log.Warn("some own metrics are missing", "error", err)
		}
		w.Header().Set("Content-Type", string(format))
		encoder := expfmt.NewEncoder(w, format)
		for _, family := range families {
			if err := encoder.Encode(family); err != nil {
				return // the client left
			}
		}
		more(w)
	})
}
