// Command tally runs go test, streams what matters of its output and ends with one line: N passed, N failed, N skipped.
//
// Usage: tally [arguments of go test]. The exit code is 1 when a test, a package or go test itself failed.
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
	t := newTally()
	follow(pipe, t, out)
	failed := test.Wait()
	t.summary(out, time.Since(began))
	if failed != nil {
		return fmt.Errorf("go test: %w", failed)
	}
	return t.err()
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
