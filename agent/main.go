// Command plimsoll-agent watches the containers of one node and remote-writes what it sees.
//
// This file is the map of the program: the parts are built in the order of the arrows of DESIGN section 2, kernel and engine
// first, receivers last, and stopped in the opposite order: sampling, then shipping, then the spool.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/plimsoll/plimsoll/agent/internal/ledger"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

// version is set by the linker; see the Makefile.
var version = "development"

// Exit codes, DESIGN section 8.
const (
	exitOK    = 0
	exitError = 1 // failed while running
	exitUsage = 2 // wrong usage or configuration
)

// gcPercent is how far the heap grows between collections. A round allocates next to nothing, so collections stay rare, and at 300 containers
// the process takes 35 MB instead of the 47 of Go's 100 %.
const gcPercent = 40

// processors is how many threads run Go code at once, beside urgent ones: one that reads and one that ships. Go's own choice is all CPUs of the
// node, each of which a collection would wake.
const processors = 2

func main() { os.Exit(command(os.Args[1:])) }

// run is `plimsoll-agent run`.
func run(cfg config) int {
	log := cfg.logger(os.Stderr)
	reg := prometheus.NewRegistry()
	reg.MustRegister(newSelf(time.Now()), buildInfo())

	kept, err := ledger.Open(filepath.Join(cfg.dataDir, "slots.ledger"), log, reg)
	if err != nil {
		return refuse(log, fmt.Errorf("--data-dir=%s: %w", cfg.dataDir, err))
	}
	defer kept.Close()
	eyes, err := openEyes(cfg, kept, log, reg) // kernel, engine, inventory
	if err != nil {
		return refuse(log, err)
	}
	defer eyes.close()

	spooled, err := spool.Open(spool.Config{
		Dir: filepath.Join(cfg.dataDir, "spool"), Node: cfg.node,
		MaxBytes: int64(cfg.spoolMaxBytes), MaxAge: time.Duration(cfg.spoolMaxAge), WhenFull: spool.Policy(cfg.spoolWhenFull), Compress: true,
	}, log, reg)
	if err != nil {
		return refuse(log, fmt.Errorf("--data-dir=%s: %w", cfg.dataDir, err))
	}
	shippers, err := openShippers(cfg, spooled, log, reg)
	if err != nil {
		spooled.Close()
		return refuse(log, err)
	}
	sampling, err := sampler.New(eyes.samplerConfig(cfg, spooled, reg), log)
	if err != nil {
		spooled.Close()
		return refuse(log, err)
	}
	web, err := listen(cfg, sampling, func() string { return condition(spooled.Status(), states(shippers)) }, reg)
	if err != nil {
		spooled.Close()
		return refuse(log, err)
	}

	stopped, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	log.Info("plimsoll-agent is up", "version", version, "listen", web.address(), "receivers", cfg.receivers(), "cgroup", eyes.fs.Version().String(),
		"node", eyes.where.shown.Node, "idc", eyes.where.shown.IDC, "cluster", eyes.where.shown.Cluster, "interval", time.Duration(cfg.interval), "data_dir", cfg.dataDir)

	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(min(processors, runtime.GOMAXPROCS(0)))
	}
	if err := slackenTimers(); err != nil {
		log.Debug("the kernel wakes the agent more exactly than it needs", "error", err)
	}
	forgetStart(log)
	if err := runAll(stopped, eyes, sampling, shippers, spooled, web); err != nil {
		log.Error("plimsoll-agent failed", "error", err)
		return exitError
	}
	log.Info("plimsoll-agent stopped")
	return exitOK
}

// runAll runs the parts in three groups that end one after the other: what samples, what ships, what stores.
func runAll(ctx context.Context, eyes *eyes, sampling *sampler.Sampler, shippers []*ship.Shipper, spooled *spool.Spool, web *web) error {
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	shipCtx, stopShip := context.WithCancel(storeCtx)
	defer stopShip()
	defer stopStore()

	var samples, ships, stores errgroup.Group
	failed, fail := context.WithCancelCause(ctx)
	guard := func(g *errgroup.Group, ctx context.Context, run func(context.Context) error) {
		g.Go(func() error {
			err := run(ctx)
			if err != nil {
				fail(err) // one part that fails stops all
			}
			return err
		})
	}
	guard(&samples, failed, func(ctx context.Context) error { return eyes.run(ctx, sampling) })
	guard(&samples, failed, sampling.Run)
	guard(&samples, failed, web.run)
	for _, s := range shippers {
		guard(&ships, shipCtx, s.Run)
	}
	guard(&stores, storeCtx, spooled.Run)

	err := samples.Wait()
	stopShip()
	err = firstOf(err, ships.Wait())
	stopStore()
	err = firstOf(err, stores.Wait())
	return firstOf(err, spooled.Close())
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// refuse reports a configuration that can not work.
func refuse(log *slog.Logger, err error) int {
	log.Error("plimsoll-agent can not start", "error", err)
	return exitUsage
}
