package engine

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
)

// repeatAfter is how long a place in the library stays silent after it logged a line; the next line says how many were left out.
const repeatAfter = 10 * time.Second

// logBridge turns the library's lines ("level<TAB>file:line<TAB>message") into records of our logger.
type logBridge struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	places map[string]*place
}

// place is one line of the library's source that logs. There are a few hundred, so the table is bounded.
type place struct {
	last       time.Time
	suppressed int
}

func newLogBridge(log *slog.Logger, now func() time.Time) *logBridge {
	return &logBridge{log: log, now: now, places: map[string]*place{}}
}

func (b *logBridge) install()   { logger.SetOutputForTests(b) }
func (b *logBridge) uninstall() { logger.ResetOutputForTest() }

// Write takes one line; the library calls it once a line, one at a time.
func (b *logBridge) Write(line []byte) (int, error) {
	parts := strings.SplitN(string(bytes.TrimRight(line, "\n")), "\t", 3)
	if len(parts) != 3 {
		b.log.Warn("engine says", "message", strings.TrimSpace(string(line)))
		return len(line), nil
	}
	where, message := shortPlace(parts[1]), parts[2]
	level := levelOf(parts[0], where, message)
	left, print := b.admit(where, level)
	if !print {
		return len(line), nil
	}
	args := []any{"at", where, "message", message}
	if left > 0 {
		args = append(args, "left_out", left)
	}
	b.log.Log(context.Background(), level, "engine", args...)
	return len(line), nil
}

func (b *logBridge) admit(where string, level slog.Level) (left int, print bool) {
	if level > slog.LevelError { // the process ends with this line
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.places[where]
	if p == nil {
		p = &place{}
		b.places[where] = p
	}
	now := b.now()
	if !p.last.IsZero() && now.Sub(p.last) < repeatAfter {
		p.suppressed++
		return 0, false
	}
	left, p.suppressed, p.last = p.suppressed, 0, now
	return left, true
}

// levelOf maps the library's levels. What it tells an operator at INFO is detail here, and a client's wrong query is the
// client's business: the answer says it.
func levelOf(level, where, message string) slog.Level {
	switch level {
	case "panic", "fatal":
		return slog.LevelError + 4
	case "error":
		return slog.LevelError
	case "warn":
		if strings.HasPrefix(where, "app/vmselect/") && !strings.HasPrefix(message, "slow query") {
			return slog.LevelDebug
		}
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// shortPlace cuts the module's directory off a source position.
func shortPlace(where string) string {
	if _, rest, ok := strings.Cut(where, "@v"); ok {
		if _, file, ok := strings.Cut(rest, "/"); ok {
			return file
		}
	}
	return where
}
