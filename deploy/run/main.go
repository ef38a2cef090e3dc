// Command run starts a collector and an agent from ./bin with their state under ./data, shows live what they collect,
// and stops both cleanly. It is what `make run` runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plimsoll/plimsoll/agent/settings"
	"golang.org/x/term"
)

func main() {
	cfg, err := parse(os.Args[1:], os.Environ())
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "plimsoll-run:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// After the first signal the next one has its default effect again: it ends this process, and with it the children.
	context.AfterFunc(ctx, stop)
	if err := supervise(ctx, cfg, newScreen(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "plimsoll-run:", err)
		os.Exit(1)
	}
}

func parse(args, environ []string) (config, error) {
	cfg := config{environ: environ}
	set := settings.New("plimsoll-run", "PLIMSOLL_RUN")
	f := set.Flags()
	f.StringVar(&cfg.binFolder, "bin", "bin", "`folder` of plimsoll-collector and plimsoll-agent")
	f.StringVar(&cfg.dataFolder, "data-dir", "data", "`folder` for the state and the logs of both")
	f.StringVar(&cfg.collectorListen, "collector.listen", "127.0.0.1:9750", "`address` of the collector; port 0 takes a free one")
	f.StringVar(&cfg.agentListen, "agent.listen", "127.0.0.1:9751", "`address` of the agent's /metrics; port 0 takes a free one")
	readyWithin, runFor := settings.Duration(time.Minute), settings.Duration(0)
	f.Var(&readyWithin, "ready-within", "`time` both may take to get ready")
	f.Var(&runFor, "for", "stop after this `time`; 0 runs until Ctrl-C")
	err := set.Parse(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Println("plimsoll-run starts a collector and an agent and shows what they collect. Their other settings come from")
		fmt.Println("the environment: PLIMSOLL_COLLECTOR_RETENTION=7d, PLIMSOLL_AGENT_DOCKER_HOST=unix:///run/docker.sock, ...")
		fmt.Println()
		set.Usage(os.Stdout)
	}
	cfg.readyWithin, cfg.runFor = time.Duration(readyWithin), time.Duration(runFor)
	return cfg, err
}

// newScreen refreshes in place on a terminal and writes one line now and then elsewhere.
func newScreen(out *os.File) *screen {
	s := &screen{out: out, every: 10 * time.Second}
	if fd := int(out.Fd()); term.IsTerminal(fd) {
		s.every = 2 * time.Second
		s.width = func() int {
			columns, _, err := term.GetSize(fd)
			if err != nil || columns < 20 {
				return 80
			}
			return columns
		}
	}
	return s
}
