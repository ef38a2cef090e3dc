package main

import (
	"net/http"
	"net/url"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/agent/projectmap"
	"github.com/plimsoll/plimsoll/collector/internal/access"
)

// withPlace tells agents the place of their token with every answer of next, which serves the project map.
func withPlace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := url.Values{}
		for _, l := range placeLabels(r) {
			said.Set(l.Name, l.Value)
		}
		if len(said) > 0 {
			w.Header().Set(projectmap.PlaceHeader, said.Encode())
		}
		next.ServeHTTP(w, r)
	})
}

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
