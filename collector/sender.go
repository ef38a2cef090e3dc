package main

import (
	"net/http"

	"github.com/plimsoll/plimsoll/collector/internal/access"
	"github.com/plimsoll/plimsoll/collector/internal/ingest"
)

// senderOf is what the token of a request says of who writes.
func senderOf(r *http.Request) ingest.Sender {
	caller := access.CallerOf(r.Context())
	sender := ingest.Sender{Name: caller.Name, Missing: placeLabels(r)}
	for _, b := range caller.Bounds {
		sender.Bounds = append(sender.Bounds, ingest.Bound{Label: b.Label, Allows: b.Names.Match, Instead: b.Instead, Want: b.Names.String()})
	}
	return sender
}

// speaking has heard note which agent speaks, unless a request bears the name of another token's agent.
func speaking(heard, plain http.Handler, nodes *ingest.Nodes) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if nodes.Foreign(r.Header.Get("X-Plimsoll-Agent"), access.CallerOf(r.Context()).Name) {
			plain.ServeHTTP(w, r)
			return
		}
		heard.ServeHTTP(w, r)
	})
}
