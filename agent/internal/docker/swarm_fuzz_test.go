package docker

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"github.com/prometheus/client_golang/prometheus"
)

// answers are an engine's, by the end of the path.
type answers map[string][]byte

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	for end, body := range a {
		if strings.Contains(r.URL.Path, end) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		}
	}
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
}

// FuzzSwarm: what a manager of a Swarm says of its nodes and services.
func FuzzSwarm(f *testing.F) {
	f.Add([]byte(`[{"ID":"n","Description":{"Hostname":"n1"},"Status":{"State":"ready"},"Spec":{"Availability":"drain"}}]`),
		[]byte(`[{"ID":"s","Spec":{"Name":"web","Mode":{"Replicated":{"Replicas":3}},"TaskTemplate":{"ContainerSpec":{"Image":"nginx","Labels":{"a":"b"}}}},"ServiceStatus":{"RunningTasks":2,"DesiredTasks":3},"UpdateStatus":{"State":"updating"}}]`))
	f.Add([]byte(`[null,{}]`), []byte(`[{"Spec":{"Mode":{"Global":{}},"TaskTemplate":{"ContainerSpec":{}}},"UpdateStatus":{}},{"Spec":{"Mode":{"ReplicatedJob":{}}}}]`))
	f.Add([]byte(`{}`), []byte(`null`))
	f.Add([]byte(`[]`), []byte(`[{"Spec":{"Mode":{"Replicated":{"Replicas":18446744073709551615}},"TaskTemplate":{"ContainerSpec":{}}},"ServiceStatus":{"RunningTasks":9223372036854775808}}]`))
	m, err := newMetrics(prometheus.NewRegistry(), &Engine{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, nodes, services []byte) {
		said := answers{"/nodes": nodes, "/services": services, "/tasks": services}
		cli, err := client.NewClientWithOpts(client.WithHost("tcp://engine:2375"), client.WithVersion("1.41"), client.WithHTTPClient(&http.Client{Transport: said}))
		if err != nil {
			t.Fatal(err)
		}
		w := &wire{cli: cli, timeout: time.Second, metrics: m, images: map[string]string{}}
		found, err := w.nodes(t.Context())
		if err != nil && found != nil {
			t.Errorf("%v beside %v", found, err)
		}
		all, err := w.services(t.Context())
		if err != nil && all != nil {
			t.Errorf("%v beside %v", all, err)
		}
		for _, s := range all {
			if s.Desired < 0 || s.Ready < 0 || s.Updated < 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}
