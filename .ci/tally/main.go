// Command tally runs go test, streams what matters of its output and ends with one line: N passed, N failed, N skipped.
//
// Usage: tally [-again=N] [arguments of go test]. The exit code is 1 when a test, a package or go test itself failed. With -again, at
// most N tests that failed beside the others run once more, each alone; one that passes then is named as unsteady and counts as passed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// quietFor is how long nothing may be printed before the running tests are named.
const quietFor = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	began := time.Now()
	again, args, err := againOf(args)
	if err != nil {
		return err
	}
	t := newTally()
	failed := goTest(ctx, args, t, out)
	t.close()
	if failed != nil && again > 0 && ctx.Err() == nil && t.secondTry(again, func(f failure) bool {
		fmt.Fprintf(out, "...   once more, alone: %s\n", f)
		alone := newTally()
		failed := goTest(ctx, []string{"-count=1", "-run=^" + f.test + "$", f.packagePath}, alone, out)
		alone.close()
		return failed == nil && alone.err() == nil
	}) {
		failed = nil
	}
	t.summary(out, time.Since(began))
	if failed != nil {
		return failed
	}
	return t.err()
}

// goTest runs go test and feeds what it says into the tally.
func goTest(ctx context.Context, args []string, t *tally, out io.Writer) error {
	test := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	test.Stderr = os.Stderr
	test.Cancel = func() error { return test.Process.Signal(syscall.SIGINT) }
	test.WaitDelay = 30 * time.Second
	pipe, err := test.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pipe of go test: %w", err)
	}
	if err := test.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	follow(pipe, t, out)
	if err := test.Wait(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// follow feeds the events of go test into the tally and prints its lines until the stream ends.
func follow(stream io.Reader, t *tally, out io.Writer) {
	events := make(chan event)
	go func() {
		defer close(events)
		lines := bufio.NewReader(stream)
		for {
			line, err := lines.ReadBytes('\n')
			if len(line) > 0 {
				events <- decode(line)
			}
			if err != nil {
				return
			}
		}
	}()
	quiet := time.NewTicker(quietFor)
	defer quiet.Stop()
	for {
		select {
		case e, open := <-events:
			if !open {
				return
			}
			if text := t.step(e, time.Now()); text != "" {
				io.WriteString(out, text)
				quiet.Reset(quietFor)
			}
		case now := <-quiet.C:
			io.WriteString(out, t.running(now))
		}
	}
}

// decode reads one event; a line that is none (output of a child that outlived its test) becomes output of no package.
func decode(line []byte) event {
	var e event
	if err := json.Unmarshal(line, &e); err != nil || e.Action == "" {
		return event{Action: "output", Output: string(line)}
	}
	return e
}
