package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/prometheus/client_golang/prometheus"
)

func TestTheCgroupPathFollowsTheEnginesDriver(t *testing.T) {
	for _, c := range []struct{ driver, parent, want string }{
		{"cgroupfs", "", "/docker/4f2d"},
		{"cgroupfs", "/batch", "/batch/4f2d"},
		{"cgroupfs", "batch", "/batch/4f2d"},
		{"systemd", "", "/system.slice/docker-4f2d.scope"},
		{"systemd", "shop-web.slice", "/shop.slice/shop-web.slice/docker-4f2d.scope"},
		{"none", "", ""},
	} {
		if got := cgroupPath(c.driver, c.parent, "4f2d"); got != c.want {
			t.Errorf("driver %s, parent %q: %q, want %q", c.driver, c.parent, got, c.want)
		}
	}
}

func TestAnImageIDIsNotTakenForAReference(t *testing.T) {
	const id = "sha256:8e1ce572e334eba3"
	for configured, want := range map[string]bool{
		id: true, "8e1ce572e334": true, "8e1c": true, "": true, "sha256:8e1ce572": true,
		"redis:7": false, "redis@" + id: false, "8e1ce572e335": false,
	} {
		if got := isImageID(configured, id); got != want {
			t.Errorf("%q: %v, want %v", configured, got, want)
		}
	}
}

func TestTheListTellsNameAndHealth(t *testing.T) {
	for status, want := range map[string]Health{
		"Up 3 minutes": HealthNone, "Up 3 minutes (healthy)": HealthHealthy, "Up About an hour (unhealthy)": HealthUnhealthy,
		"Up 2 seconds (health: starting)": HealthStarting, "Up 2 minutes (Paused)": HealthNone,
	} {
		c := listedOf(container.Summary{ID: "4f2d", Names: []string{"/other/alias", "/web"}, State: "running", Status: status}, "cgroupfs")
		if c.Name != "web" || c.Health != want {
			t.Errorf("%q: name %q, health %s; want web, %s", status, c.Name, c.Health, want)
		}
	}
}

func TestAnAnswerWithoutTheNeededPartsIsAnError(t *testing.T) {
	if _, err := inspectionOf(container.InspectResponse{}, "cgroupfs"); err == nil {
		t.Error("no error")
	}
}

func TestARestartingContainerDoesNotRun(t *testing.T) {
	found, err := inspectionOf(container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{ID: "4f2d", Name: "/web", State: &container.State{
			Running: true, Restarting: true, Pid: 0, ExitCode: 2, StartedAt: "2026-11-23T02:37:58.399670956Z", FinishedAt: "0001-01-01T00:00:00Z"}},
		Config: &container.Config{Image: "web:1"},
	}, "cgroupfs")
	if err != nil || found.running || found.exit != (Exit{Code: 2, Known: true}) || !found.finishedAt.IsZero() || found.StartedAt.Nanosecond() != 399670956 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestOnlyFollowedContainerEventsAreRead(t *testing.T) {
	actor := events.Actor{ID: "4f2d"}
	for sentence, c := range map[string]struct {
		m    events.Message
		want bool
	}{
		"a start":             {events.Message{Type: "container", Action: "start", Actor: actor}, true},
		"a health status":     {events.Message{Type: "container", Action: "health_status: healthy", Actor: actor}, true},
		"an exec":             {events.Message{Type: "container", Action: "exec_start: ls", Actor: actor}, false},
		"a network's destroy": {events.Message{Type: "network", Action: "destroy", Actor: actor}, false},
		"no container":        {events.Message{Type: "container", Action: "start"}, false},
	} {
		if _, ok := eventOf(c.m); ok != c.want {
			t.Errorf("%s: %v, want %v", sentence, ok, c.want)
		}
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for host, want := range map[string]string{
		"/var/run/docker.sock": `docker host "/var/run/docker.sock": want unix:///path or tcp://host:port`,
		"npipe:////./pipe/x":   `docker host "npipe:////./pipe/x": scheme "npipe" is not supported, want unix:///path or tcp://host:port`,
	} {
		if _, err := New(Config{Host: host}, quiet()); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", host, err, want)
		}
	}
	if _, err := New(Config{Timeout: -1}, quiet()); err == nil {
		t.Error("a negative timeout is accepted")
	}
	if _, err := New(Config{CAFile: "ca.pem"}, quiet()); err == nil {
		t.Error("certificates are accepted for a unix socket")
	}
	if _, err := New(Config{Host: "tcp://h:2376", CertFile: "cert.pem"}, quiet()); err == nil {
		t.Error("a certificate without its key is accepted")
	}
	if e, err := New(Config{Host: "tcp://127.0.0.1:1", CAFile: "/no/such/ca.pem"}, quiet()); err != nil {
		t.Error(err)
	} else if _, err := e.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "/no/such/ca.pem") {
		t.Errorf("a missing authority is told as %v", err)
	}
	if _, err := New(Config{BackoffMin: time.Hour}, quiet()); err == nil {
		t.Error("a shortest pause longer than the longest is accepted")
	}
}

func TestTheReasonSaysWhatToDo(t *testing.T) {
	const host = "unix:///run/d.sock"
	dial := func(err error) error { return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{dial(syscall.ENOENT), "/run/d.sock does not exist: start the Docker engine, or name its socket with --docker.host"},
		{dial(syscall.EACCES), "permission denied on /run/d.sock: add the agent's user to group docker, or run as root"},
		{dial(syscall.ECONNREFUSED), "nothing listens on /run/d.sock: start the Docker engine"},
		{fmt.Errorf("list: %w", context.DeadlineExceeded), "no answer from /run/d.sock within 10s: the Docker engine hangs or is overloaded"},
		{io.EOF, "the Docker engine at /run/d.sock closed the connection: it stops or restarts"},
		{nil, "the Docker engine at /run/d.sock ended the event stream"},
		{errors.New("a\n b"), "Docker engine at /run/d.sock: a b"},
	} {
		if got := reason(host, 10*time.Second, c.err); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestThePauseDoublesAndJitterShortensItByHalfAtMost(t *testing.T) {
	for attempt, want := range []time.Duration{1, 2, 4, 5, 5} {
		if got := backoff(attempt, time.Second, 5*time.Second, 0); got != want*time.Second {
			t.Errorf("attempt %d: %s, want %ds", attempt, got, want)
		}
	}
	if got := backoff(1000, time.Second, 5*time.Second, 0.999); got < 2500*time.Millisecond || got > 2600*time.Millisecond {
		t.Errorf("jitter: %s", got)
	}
}

func TestAMissingSocketIsAReasonAndNoFailure(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	registry := prometheus.NewRegistry()
	e, err := New(Config{Host: "unix://" + socket, BackoffMin: time.Millisecond, BackoffMax: time.Millisecond, Metrics: registry}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	want := socket + " does not exist: start the Docker engine, or name its socket with --docker.host"
	if _, err := e.Probe(t.Context()); err == nil || err.Error() != want {
		t.Errorf("probe: %v, want %s", err, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := e.Run(ctx, &diary{}); err != nil {
		t.Errorf("run: %v", err)
	}
	if s := e.State(); s.Up || s.Reason != want || s.Since.IsZero() {
		t.Errorf("state %+v", s)
	}
	if up := sourceUp(t, registry); up != 0 {
		t.Errorf("plimsoll_agent_source_up is %v, want 0", up)
	}
}

func sourceUp(t *testing.T, registry prometheus.Gatherer) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "plimsoll_agent_source_up" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("plimsoll_agent_source_up is not registered")
	return 0
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
