package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// What --docker.stats may say.
const (
	statsAuto   = "auto"
	statsAlways = "always"
	statsNever  = "never"
)

// askingCost is what doctor says of it.
const askingCost = "3 ms of CPU for each every interval, in the background, without peaks of one second"

func checkStats(mode string) error {
	if mode != statsAuto && mode != statsAlways && mode != statsNever {
		return fmt.Errorf("--docker.stats=%q: use auto, always or never", mode)
	}
	return nil
}

// asksAll tells whether the figures of all the engine's containers are asked of it: the cgroups, and the processes, of an engine behind TCP
// are those of another host.
func (cfg *config) asksAll() bool {
	return cfg.dockerStats == statsAlways || cfg.dockerStats == statsAuto && !strings.HasPrefix(cfg.dockerHost, "unix://")
}

func (e *eyes) ask(id cgroup.ContainerID, answered func(cgroup.ContainerID)) sampler.Figures {
	return e.engine.Figures(id, answered)
}

// askNow brings what the inventory has to the sampler, and the engine's figures of those that need it. It returns how many need it.
func (e *eyes) askNow(sampling *sampler.Sampler) (int, error) {
	sampling.Events()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return e.engine.AskFigures(ctx)
}
