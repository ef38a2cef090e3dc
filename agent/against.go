package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// containersIn reads a file of containers: what `docker inspect` or `kubectl get pods -o json` print, or a list as in a map's
// tests.
func containersIn(path string) ([]projectmap.Container, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, read := range []func([]byte) []identity.Facts{inspected, pods} {
		if facts := read(text); len(facts) > 0 {
			subjects := make([]projectmap.Container, len(facts))
			for i, f := range facts {
				subjects[i] = identity.Resolver{}.Subject(f)
			}
			return subjects, nil
		}
	}
	all, err := projectmap.ParseContainers(path, text)
	if err == nil && len(all) == 0 {
		return nil, fmt.Errorf("%s holds no containers", path)
	}
	return all, err
}

// inspected reads what `docker inspect` prints; nothing if text is something else.
func inspected(text []byte) []identity.Facts {
	var list []struct {
		ID     string `json:"Id"`
		Name   string
		Config *struct {
			Image  string
			Labels map[string]string
		}
	}
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	var facts []identity.Facts
	for _, c := range list {
		if c.ID == "" || c.Config == nil {
			return nil
		}
		if f := identity.FromDocker(c.Name, c.Config.Image, "", c.Config.Labels); !f.Kubernetes.Sandbox {
			facts = append(facts, f)
		}
	}
	return facts
}

// pods reads what `kubectl get pods -o json` prints; nothing if text is something else.
func pods(text []byte) []identity.Facts {
	type pod struct {
		Metadata struct {
			Name, Namespace     string
			Labels, Annotations map[string]string
		}
		Spec struct {
			InitContainers, Containers []struct{ Name, Image string }
		}
	}
	var file struct {
		Kind  string
		Items []json.RawMessage
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) || json.Unmarshal(text, &file) != nil {
		return nil
	}
	if file.Kind == "Pod" {
		file.Items = []json.RawMessage{text}
	}
	var facts []identity.Facts
	for _, item := range file.Items {
		var p pod
		if json.Unmarshal(item, &p) != nil {
			return nil
		}
		for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
			facts = append(facts, identity.Facts{
				Image: c.Image, Labels: p.Metadata.Labels, Annotations: p.Metadata.Annotations,
				Kubernetes: identity.KubernetesFacts{Namespace: p.Metadata.Namespace, Pod: p.Metadata.Name, Container: c.Name},
			})
		}
	}
	return facts
}
