package main

import (
	"net/http"

	"github.com/plimsoll/plimsoll/collector/internal/ingest"
)

// senderOf is what the token of a request says of who writes.
func senderOf(r *http.Request) ingest.Sender { return ingest.Sender{Missing: placeLabels(r)} }
