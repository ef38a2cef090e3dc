package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDoctorTellsWhatTheRunningAgentLeavesOut(t *testing.T) {
	f := func(page, want string, missing int) {
		t.Helper()
		agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(page)) }))
		defer agent.Close()
		cfg := defaults()
		cfg.listen = strings.TrimPrefix(agent.URL, "http://")
		var text bytes.Buffer
		r := &report{w: &text}
		r.limits(cfg)
		if r.missing != missing || !strings.Contains(text.String(), want) {
			t.Errorf("%d missing in\n%swant %d and %q", r.missing, &text, missing, want)
		}
	}
	const within = "container_last_seen{id=\"/ x} y\"} 3\n# HELP x y\nplimsoll_agent_cpu_cores 0.01\nplimsoll_agent_limit_cpu_cores 0.25\nplimsoll_agent_limit_memory_bytes 2.01326592e+08\nprocess_resident_memory_bytes 3.145728e+07\n"
	f(within+"plimsoll_agent_shedding{what=\"memory-peaks\"} 0\n", "takes 0.010 CPU (--limit.cpu=0.25) and 30 MiB (--limit.memory=192 MiB) and leaves nothing out", 0)
	f(within+"plimsoll_agent_shedding{what=\"memory-peaks\"} 1\nplimsoll_agent_shedding{what=\"stall-peaks\"} 1\n", "leaves out memory-peaks, stall-peaks", 1)
	f(within+"plimsoll_agent_cgroups_not_held 12\n", "12 cgroups are read without held files", 1)
	f("<html>", "no plimsoll-agent", 1)

	cfg := defaults()
	cfg.listen = ""
	var text bytes.Buffer
	r := &report{w: &text}
	if r.limits(cfg); r.missing != 0 || !strings.Contains(text.String(), "--limit.cpu=0.25 --limit.memory=192MiB") {
		t.Errorf("without a running agent:\n%s", &text)
	}
}
