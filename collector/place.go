package main

import (
	"net/http"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/collector/internal/access"
)

// placeLabels are idc and cluster of the token a request came with: the last word after flags and labels of nodes and engines.
func placeLabels(r *http.Request) (labels []prompb.Label) {
	place := access.PlaceOf(r)
	if place.IDC != "" {
		labels = append(labels, prompb.Label{Name: "idc", Value: place.IDC})
	}
	if place.Cluster != "" {
		labels = append(labels, prompb.Label{Name: "cluster", Value: place.Cluster})
	}
	return labels
}
