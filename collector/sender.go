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
