// Command plimsoll-collector stores what agents send, shows it, and tells people what is wrong.
//
// This file is the map of the program: the parts are built in the order of the arrows of DESIGN section 2, engine first and
// listener last, and stopped in the opposite order: what takes and asks, then what notifies, then the engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/access"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/evidence"
	"github.com/plimsoll/plimsoll/collector/internal/exits"
	"github.com/plimsoll/plimsoll/collector/internal/grafana"
	"github.com/plimsoll/plimsoll/collector/internal/ingest"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
	"github.com/plimsoll/plimsoll/collector/internal/mapfile"
	"github.com/plimsoll/plimsoll/collector/internal/noise"
	"github.com/plimsoll/plimsoll/collector/internal/notify"
	"github.com/plimsoll/plimsoll/collector/internal/presence"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
	"github.com/plimsoll/plimsoll/collector/internal/roster"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
	"github.com/plimsoll/plimsoll/collector/internal/selfscrape"
	"github.com/plimsoll/plimsoll/collector/internal/server"
	"github.com/plimsoll/plimsoll/collector/internal/ui"
	"github.com/plimsoll/plimsoll/dashboards"
)

// version is set by the linker; see the Makefile.
var version = "development"

// Exit codes, DESIGN section 8.
const (
	exitOK    = 0
	exitError = 1 // failed while running
	exitUsage = 2 // wrong usage or configuration
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// run is `plimsoll-collector run`.
func run(cfg config) int {
	log := cfg.logger(os.Stderr)
	stopped, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	context.AfterFunc(stopped, release) // a second signal ends the process at once

	c, err := build(cfg, log)
	if err != nil {
		log.Error("plimsoll-collector can not start", "error", err)
		return exitCode(err)
	}
	log.Info("plimsoll-collector is up", "version", version, "ui", c.url+"/", "write", c.url+"/api/v1/write", "query", c.url+"/api/v1/query",
		"data_dir", cfg.dataDir, "retention", cfg.retention.String(), "grafana", cfg.grafanaTarget())
	if err := c.run(stopped); err != nil {
		log.Error("plimsoll-collector failed", "error", err)
		return exitError
	}
	log.Info("plimsoll-collector stopped")
	return exitOK
}

// collector is the built program; parts.go runs it.
type collector struct {
	url       string
	log       *slog.Logger
	access    *access.Access
	listener  *server.Listener
	engine    store
	journal   *journal.Journal
	projects  *mapfile.File
	nodes     *ingest.Nodes
	census    *ingest.Census
	roster    *roster.Roster
	notify    *notify.Manager
	rules     *rules.Manager
	ingest    *ingest.Handler
	scraper   *selfscrape.Scraper
	presence  *presence.Watch
	publisher *grafana.Publisher // nil without --grafana.url
	server    *server.Server
	progress
}

// build makes every part; nothing runs yet but the listener's queue. What was opened is closed again on an error.
func build(cfg config, log *slog.Logger) (c *collector, err error) {
	c = &collector{log: log}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	reg := prometheus.NewRegistry()
	registerProgram(reg, &c.progress)

	if c.access, err = access.New(cfg.access(), log, reg); err != nil {
		return c, err
	}
	if c.listener, err = server.Listen(cfg.listen, c.access, reg); err != nil {
		return c, err
	}
	if c.projects, err = mapfile.Open(cfg.projectMap, log, reg); err != nil {
		return c, configError{err}
	}
	host := hostName()
	c.url = cfg.reachedAt(c.listener.URL(host))

	if c.engine, err = openStore(cfg, log); err != nil {
		return c, err
	}
	reg.MustRegister(c.engine.Collector())
	if c.journal, err = journal.Open(cfg.journal(c.engine.Mark), log, reg); err != nil {
		return c, configError{fmt.Errorf("--data-dir=%s: %w", cfg.dataDir, err)}
	}

	if c.notify, err = notify.Open(cfg.notify(alerts.FS(), c.url), log, reg); err != nil {
		return c, configError{err}
	}
	witness, err := evidence.New(samples(c.engine), c.notify.Put, log, reg)
	if err != nil {
		return c, err
	}
	c.rules, err = rules.New(cfg.rules(alerts.FS(), c.url), rules.Ports{
		Query: rules.Queries(c.engine.Query), Append: c.engine.Append, Notify: witness.Put, Flush: c.engine.Flush,
	}, log, reg)
	if err != nil {
		return c, configError{err}
	}

	c.census = ingest.OpenCensus(cfg.census(), log, reg)
	c.nodes = ingest.OpenNodes(ingest.NodesConfig{File: filepath.Join(cfg.dataDir, "nodes.json"), Most: cfg.limitNodes, Census: c.census}, log, reg)
	if c.roster, err = roster.Open(roster.Config{File: cfg.nodesFile, Nodes: c.nodes.List, Most: cfg.limitNodes}, log, reg); err != nil {
		return c, configError{fmt.Errorf("--inventory.nodes: %w", err)}
	}
	c.ingest, err = ingest.New(ingest.Config{Limits: cfg.limits(), Journal: c.journal, Nodes: c.nodes, Roster: c.roster, Sender: senderOf, Census: c.census, EventMetrics: eventMetrics(), OnEvent: c.rules.Kick}, c.engine, log, reg)
	if err != nil {
		return c, configError{err}
	}
	c.presence = presence.New(presence.Config{Agents: knownAgents(c.nodes), Changed: c.presenceChanged}, log, reg)
	c.scraper = selfscrape.New(selfscrape.Config{Collector: host, Metadata: agentMetadata()}, reg, c.engine, log, reg)

	if cfg.grafanaURL != "" {
		target := cfg.grafana(c.url)
		target.Moments = happened(c.engine)
		if c.publisher, err = grafana.New(target, dashboards.FS(), log, reg); err != nil {
			return c, configError{err}
		}
	}
	acknowledged, err := noise.OpenAcknowledgements(filepath.Join(cfg.dataDir, "acknowledgements.jsonl"))
	if err != nil {
		return c, fmt.Errorf("--data-dir=%s: %w", cfg.dataDir, err)
	}
	page, err := ui.New(ui.Config{Dashboards: dashboards.FS(), Runbooks: runbooks(), Version: version})
	if err != nil {
		return c, fmt.Errorf("build the page: %w", err)
	}
	c.server = server.New(c.listener, server.Routes{
		Write: speaking(c.presence.Heard(c.ingest), c.ingest, c.nodes), Connections: c.presence, Engine: c.engine, Nodes: c.nodes, Exits: exits.New(c.engine, nil), Releases: releases.Handler(samples(c.engine), nil), Rules: c.rules.Handler(), BuiltinRules: rules.Builtin, OwnAlerts: c.rules.Own, Path: cfg.path(), Noise: noise.Handler(firing(c.engine), acts(c.notify.Handler(), acknowledged, c.engine)), Acknowledgements: acknowledged, Alertmanager: c.notify.Handler(), ProjectMap: withPlace(c.projects), UI: page,
		Metrics: server.Metrics(reg, c.engine.WriteMetrics, log), Ready: c.ready, Writable: c.writable, Reload: c.reload,
	}, c.access, log)
	return c, nil
}

// configError is a fault of the operator's files or flags.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// exitCode tells what the operator must change (2) from what went wrong (1).
func exitCode(err error) int {
	var wrong configError
	if errors.As(err, &wrong) || errors.Is(err, access.ErrConfig) || errors.Is(err, engine.ErrConfig) || errors.Is(err, engine.ErrDataDir) {
		return exitUsage
	}
	return exitError
}
