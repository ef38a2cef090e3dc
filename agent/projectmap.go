package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/projects"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// Values of --project-map that are no file.
const (
	mapOfCollector = "collector"
	mapBuiltin     = ""
)

// openProjects readies the project map and looks at its source once, so that the first labels are right. A file that can not
// be used is an error unless there is a last good copy: the agent of a whole fleet must come up again after a bad roll-out.
func openProjects(cfg config, place func(idc, cluster string), log *slog.Logger, reg prometheus.Registerer) (*projects.Keeper, error) {
	c := projects.Config{Place: place, Copy: filepath.Join(cfg.dataDir, "project-map.yaml"), Every: time.Duration(cfg.mapEvery), Metrics: reg}
	switch cfg.projectMap {
	case mapBuiltin:
	case mapOfCollector:
		if c.URL = projects.CollectorURL(cfg.urls[0]); c.URL != "" {
			client, err := ship.NewClient(cfg.receiver(cfg.urls[0]))
			if err != nil {
				return nil, err
			}
			c.Client = client
		}
	default:
		c.File = cfg.projectMap
	}
	keeper, err := projects.New(c, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = keeper.Look(ctx)
	if _, source := keeper.Map(); err != nil && c.File != "" && source == projects.Builtin {
		return nil, err
	}
	return keeper, nil // a collector that does not answer is asked again by Run, which also says so
}

// projectMap is `plimsoll-agent project-map test|show`.
func projectMap(args []string) int {
	var do func(config, string) int
	switch {
	case len(args) > 0 && args[0] == "test":
		do = testProjectMap
	case len(args) > 0 && args[0] == "show":
		do = func(cfg config, _ string) int { return showProjectMap(cfg) }
	default:
		fmt.Fprintln(os.Stderr, "plimsoll-agent: project-map what? Known are test and show")
		return exitUsage
	}
	cfg, against := defaults(), ""
	err := cfg.parse(args[1:], os.Stdout, func(f *flag.FlagSet) {
		f.StringVar(&against, "against", against, "for project-map test: `live`, or a file of containers: a list as in the map's tests, or what docker inspect or kubectl get pods -o json print")
	})
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "plimsoll-agent: %v\n", err)
		return exitUsage
	}
	return do(cfg, against)
}

// showProjectMap prints the map that run would put in force now, and where it comes from.
func showProjectMap(cfg config) int {
	keeper, err := openProjects(cfg, nil, slog.New(slog.DiscardHandler), nil)
	if err == nil && cfg.projectMap == mapOfCollector {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := keeper.Look(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "plimsoll-agent: %v\n", err)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "plimsoll-agent: %v\n", err)
		return exitUsage
	}
	m, source := keeper.Map()
	if source == projects.Builtin {
		fmt.Println("# built-in: no rules, all defaults\nrules: []\ndefaults: on")
		return exitOK
	}
	fmt.Printf("# from %s, hash %s, %d rules, %d tests\n%s\n", source, m.Hash(), m.Rules(), m.Tests(), bytes.TrimRight(m.Text(), "\n"))
	return exitOK
}

// testProjectMap runs the map's tests and says what it makes of real containers. It exits 1 when a test fails.
func testProjectMap(cfg config, against string) int {
	m, err := readProjectMap(cfg)
	if err != nil {
		fmt.Fprintf(os.Stderr, "plimsoll-agent: %v\n", err)
		return exitUsage
	}
	var subjects []projectmap.Container
	switch against {
	case "":
	case "live":
		subjects, err = liveContainers(cfg)
	default:
		subjects, err = containersIn(against)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "plimsoll-agent: --against=%s: %v\n", against, err)
		return exitUsage
	}
	if against != "" {
		writeCoverage(os.Stdout, m, subjects)
	}
	return writeFindings(os.Stdout, m)
}

// readProjectMap is the map of --project-map with its tests not run yet.
func readProjectMap(cfg config) (*projectmap.Map, error) {
	if cfg.projectMap != mapOfCollector && cfg.projectMap != mapBuiltin {
		text, err := os.ReadFile(cfg.projectMap)
		if err != nil {
			return nil, fmt.Errorf("--project-map: %w", err)
		}
		return projectmap.Parse(cfg.projectMap, text)
	}
	keeper, err := openProjects(cfg, nil, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return nil, err
	}
	m, source := keeper.Map()
	fmt.Fprintf(os.Stderr, "plimsoll-agent: testing the project map from %s\n", source)
	return m, nil
}

// liveContainers are those the agent sees now.
func liveContainers(cfg config) ([]projectmap.Container, error) {
	cfg.projectMap = mapBuiltin
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	eyes, err := openEyes(cfg, nil, log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	defer eyes.close()
	sampling, err := sampler.New(eyes.samplerConfig(cfg, nil, nil), log)
	if err != nil {
		return nil, err
	}
	eyes.look(log, sampling)
	subjects, _ := eyes.table.Subjects()
	return subjects, nil
}

// writeFindings prints shadowed rules and failing tests, and returns the exit code.
func writeFindings(w io.Writer, m *projectmap.Map) int {
	for _, fault := range m.Shadowed() {
		fmt.Fprintf(w, "warning: %s\n", fault.Error())
	}
	if err := m.Verify(); err != nil {
		fmt.Fprintln(w, err)
		var faults projectmap.Faults
		errors.As(err, &faults)
		fmt.Fprintf(w, "tests: %d of %d fail\n", len(faults), m.Tests())
		return exitError
	}
	fmt.Fprintf(w, "tests: %d hold\n", m.Tests())
	return exitOK
}
