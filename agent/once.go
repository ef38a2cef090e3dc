package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/settings"
)

// once is `plimsoll-agent once`: one sample as Prometheus text on standard output, complaints on standard error.
func once(cfg config) int {
	log := cfg.logger(os.Stderr)
	eyes, err := openEyes(cfg, nil, log, prometheus.NewRegistry())
	if err != nil {
		return refuse(log, err)
	}
	defer eyes.close()
	cfg.slowInterval, cfg.slowBudget = cfg.interval, settings.Duration(time.Minute) // one reading of everything
	sampling, err := sampler.New(eyes.samplerConfig(cfg, nil, nil), log)
	if err != nil {
		return refuse(log, err)
	}
	eyes.look(log, sampling)
	if _, err := eyes.askNow(sampling); err != nil {
		log.Warn("the engine does not tell the figures of all containers", "reason", err)
	}
	sampling.Full()
	if _, err := os.Stdout.Write(sampling.AppendText(nil)); err != nil {
		log.Error("write the sample", "error", err)
		return exitError
	}
	return exitOK
}

// look fills the inventory once from the engine and the cgroup tree; a source that is down is named and left out.
func (e *eyes) look(log *slog.Logger, sampling *sampler.Sampler) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	now := time.Now()
	containers, err := e.engine.Containers(ctx)
	if err != nil && !errors.Is(err, docker.ErrAbsent) {
		log.Warn("Docker is not available; the node and its cgroups are shown", "reason", err)
	}
	for _, c := range containers {
		e.table.Started(c, now)
	}
	if e.pods != nil {
		if err := e.pods.Look(ctx, e.table.Pods()); err != nil {
			log.Warn("Kubernetes is not available; containers of pods are not shown", "reason", err)
		}
	}
	var found []cgroup.Found
	if err := e.walk(sampling)(func(f cgroup.Found) { found = append(found, f) }); err != nil {
		log.Warn("walk the cgroup tree", "error", err)
	}
	e.table.SawTree(found, now)
}
