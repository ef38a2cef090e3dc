package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// config is what a run needs to know; main fills it.
type config struct {
	binFolder, dataFolder        string
	collectorListen, agentListen string // host:port; port 0 is replaced by a free one
	readyWithin                  time.Duration
	runFor                       time.Duration // 0: until the context ends
	environ                      []string      // of the children
}

// How long each may take to end after SIGTERM before it is killed. The agent writes its last round to the spool, the
// collector its engine to disk.
const (
	agentStopsWithin     = 15 * time.Second
	collectorStopsWithin = 45 * time.Second
)

// supervise runs both programs until ctx ends, cfg.runFor is over or one of them dies, which is an error.
func supervise(ctx context.Context, cfg config, show *screen) (err error) {
	if cfg.collectorListen, err = freeAddress("collector", cfg.collectorListen); err != nil {
		return err
	}
	if cfg.agentListen, err = freeAddress("agent", cfg.agentListen); err != nil {
		return err
	}
	at := addressesOf(cfg)

	began := time.Now()
	collector, err := start(cfg, "collector", "--listen="+cfg.collectorListen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, collector.stop(collectorStopsWithin, show.line)) }()
	show.line("collector started (pid %d, log %s)", collector.pid(), collector.logFile)
	if err := awaitReady(ctx, collector, at.collector, cfg.readyWithin, show.line); err != nil || ctx.Err() != nil {
		return err
	}

	agent, err := start(cfg, "agent", "--listen="+cfg.agentListen, "--remote-write.url="+at.collector+"/api/v1/write")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.stop(agentStopsWithin, show.line)) }()
	show.line("agent started (pid %d, log %s)", agent.pid(), agent.logFile)
	if err := awaitReady(ctx, agent, at.agent, cfg.readyWithin, show.line); err != nil || ctx.Err() != nil {
		return err
	}
	show.line("")
	for _, line := range at.lines() {
		show.line("%s", line)
	}
	show.line("  logs        %s, %s", collector.logFile, agent.logFile)
	show.line("")

	if cfg.runFor > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.runFor)
		defer cancel()
	}
	return watch(ctx, newWatcher(at, cfg.environ), show, began, collector, agent)
}

// watch shows a picture at the screen's pace until ctx ends or a child dies.
func watch(ctx context.Context, w *watcher, show *screen, began time.Time, children ...*child) error {
	tick := time.NewTicker(show.every)
	defer tick.Stop()
	defer show.leave()
	for {
		// A look that the end of the run cut short shows nothing.
		if p := w.look(ctx, time.Now()); ctx.Err() == nil {
			show.picture(p, time.Since(began))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-children[0].done:
			return children[0].death()
		case <-children[1].done:
			return children[1].death()
		case <-tick.C:
		}
	}
}

func start(cfg config, name string, args ...string) (*child, error) {
	state := filepath.Join(cfg.dataFolder, name)
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, fmt.Errorf("folder for the state of the %s: %w", name, err)
	}
	program := filepath.Join(cfg.binFolder, "plimsoll-"+name)
	return startChild(name, filepath.Join(cfg.dataFolder, name+".log"), cfg.environ,
		append([]string{program, "run", "--data-dir=" + state}, args...)...)
}

// freeAddress returns listen with a port nobody has, or says which port is taken and what to do about it.
func freeAddress(who, listen string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(listen)
		return "", fmt.Errorf("port %s, for the %s, is taken: stop the program that listens on %s, or choose another port: make run RUNFLAGS=--%s.listen=127.0.0.1:PORT (or the environment: PLIMSOLL_RUN_%s_LISTEN)",
			port, who, listen, who, strings.ToUpper(who))
	}
	if err != nil {
		return "", fmt.Errorf("--%s.listen=%s: %w", who, listen, err)
	}
	defer l.Close()
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--%s.listen=%s: %w", who, listen, err)
	}
	return net.JoinHostPort(host, fmt.Sprint(l.Addr().(*net.TCPAddr).Port)), nil
}

// addresses are where both can be reached from this host.
type addresses struct{ collector, agent string }

func addressesOf(cfg config) addresses {
	return addresses{collector: "http://" + reachable(cfg.collectorListen), agent: "http://" + reachable(cfg.agentListen)}
}

// reachable replaces "all addresses" by the loopback one.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func (a addresses) lines() []string {
	return []string{
		"  UI          " + a.collector + "/",
		"  vmui        " + a.collector + "/vmui/",
		"  API         " + a.collector + "/api/v1/query?query=container_memory_working_set_bytes",
		"  agent       " + a.agent + "/metrics",
	}
}
