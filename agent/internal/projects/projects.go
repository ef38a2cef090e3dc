// Package projects keeps the project map in force: from a file, or from the collector that the agent ships to.
//
// A map that is broken, or whose own tests fail, changes nothing: the last good one stays, on disk too, so that it is there
// after a restart with the collector down. Where nobody wrote a map the built-in defaults are in force.
package projects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// Client sends a request with the receiver's credentials. A ship.Client is one.
type Client interface {
	Do(*http.Request) (*http.Response, error)
}

// Config says where the map is. With neither File nor URL the built-in one is in force for ever.
type Config struct {
	File string // a file on this host; goes before URL
	URL  string // the collector's /api/project-map, see CollectorURL
	// Copy is the file for the last good map. Run writes it. "" is none.
	Copy string
	// Every is the time between two looks, give or take a tenth. 0 is 30 s.
	Every  time.Duration
	Client Client // needed with URL
	// Place is told, with every answer of a collector, the place of the agent's token there; "" where it has none. nil: nobody asks.
	Place   func(idc, cluster string)
	Metrics prometheus.Registerer // nil is nowhere
}

// Source is where the map in force came from.
type Source string

// The sources.
const (
	Builtin   Source = "builtin"
	File      Source = "file"
	Collector Source = "collector"
	Copy      Source = "copy" // the last good one, from disk; the source has not confirmed it since the start
)

// foreignEvery is the time between two looks at a receiver that is no Plimsoll collector. It may become one.
const foreignEvery = 15 * time.Minute

// Keeper holds the map in force. Build it with New. Look and Run are for one goroutine.
type Keeper struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	trouble  string    // the sort of what the last look failed for, as logged
	next     time.Time // no look before it
	saved    string    // hash of the map in the copy
	unsaving bool      // writing the copy fails, and that is logged

	mu      sync.Mutex // guards the rest; never held over a read or a request
	current *projectmap.Map
	source  Source
	invalid bool // the newest version at the source is broken
}

// New reads the copy of the last good map; the source is asked by Look and Run.
func New(cfg Config, log *slog.Logger) (*Keeper, error) {
	if cfg.Every < 0 {
		return nil, fmt.Errorf("--project-map.interval=%s must not be negative", cfg.Every)
	}
	if cfg.Every == 0 {
		cfg.Every = 30 * time.Second
	}
	k := &Keeper{cfg: cfg, log: log, current: projectmap.Builtin(), source: Builtin}
	var err error
	if k.metrics, err = newMetrics(cfg.Metrics, k); err != nil {
		return nil, fmt.Errorf("register project map metrics: %w", err)
	}
	if cfg.File == "" && cfg.URL == "" {
		return k, nil
	}
	if m, err := k.readCopy(); err != nil {
		log.Warn("the copy of the last good project map can not be used", "error", err)
	} else if m != nil {
		k.current, k.source, k.saved = m, Copy, m.Hash()
	}
	return k, nil
}

// CollectorURL is where the collector behind a remote-write URL serves the project map; empty if that URL is not a Plimsoll
// collector's.
func CollectorURL(remoteWrite string) string {
	u, err := url.Parse(remoteWrite)
	if err != nil {
		return ""
	}
	base, ok := strings.CutSuffix(u.Path, "/api/v1/write")
	if !ok {
		return ""
	}
	u.Path, u.RawPath, u.RawQuery, u.Fragment = base+"/api/project-map", "", "", ""
	return u.String()
}

// Map is the map in force and where it came from.
func (k *Keeper) Map() (*projectmap.Map, Source) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current, k.source
}

// ErrBroken is a map that can not be used, told with file and line.
var ErrBroken = errors.New("project map")

// failure is a look that brought no map.
type failure struct {
	reason string // as in the metric
	err    error
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

// Look asks the source once. The error is what keeps the map there from being in force: ErrBroken, or that it could not be
// had. It has been counted; Run also logs it. The map in force stays as it was then.
func (k *Keeper) Look(ctx context.Context) error {
	var err error
	switch {
	case k.cfg.File != "":
		err = k.readFile(ctx)
	case k.cfg.URL != "":
		err = k.fetch(ctx)
	}
	var failed failure
	if errors.As(err, &failed) {
		k.metrics.failures.WithLabelValues(failed.reason).Inc()
	}
	return err
}

// Run looks at the source until ctx ends and calls changed with every new map; it returns nil. The first look is at once.
func (k *Keeper) Run(ctx context.Context, changed func(*projectmap.Map)) error {
	if k.cfg.File == "" && k.cfg.URL == "" {
		<-ctx.Done()
		return nil
	}
	last, _ := k.Map()
	for {
		if !time.Now().Before(k.next) {
			k.report(k.Look(ctx))
		}
		k.save()
		if m, source := k.Map(); m.Hash() != last.Hash() {
			last = m
			k.log.Info("project map in force", "source", string(source), "hash", m.Hash(), "rules", m.Rules(), "tests", m.Tests())
			changed(m)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(k.cfg.Every - k.cfg.Every/10 + rand.N(k.cfg.Every/5+1)):
		}
	}
}

// report logs a trouble when it begins, when it becomes another, and when it ends.
func (k *Keeper) report(err error) {
	sort := ""
	var failed failure
	if errors.As(err, &failed) {
		sort = failed.reason
	}
	if errors.Is(err, ErrBroken) {
		sort = err.Error() // another mistake is news
	}
	if sort == k.trouble || errors.Is(err, context.Canceled) {
		return
	}
	k.trouble = sort
	m, source := k.Map()
	switch {
	case err == nil:
		k.log.Info("the project map can be read again", "source", string(source), "hash", m.Hash())
	case errors.Is(err, ErrBroken):
		k.log.Error("the new project map is broken; the last good one stays in force", "error", err, "in_force", m.Hash())
	default:
		k.log.Warn("the project map can not be had; the last good one stays in force", "error", err, "in_force", m.Hash())
	}
}

// settleTime is how long a file that has changed must stay as it is: it may be in the middle of being written.
const settleTime = 200 * time.Millisecond

// readFile takes what the file holds now, once it holds still.
func (k *Keeper) readFile(ctx context.Context) error {
	current, source := k.Map()
	text, err := readBounded(k.cfg.File)
	for source != File || !bytes.Equal(text, current.Text()) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settleTime):
		}
		before := text
		if text, err = readBounded(k.cfg.File); err != nil || bytes.Equal(text, before) {
			break
		}
	}
	if err != nil {
		return failure{"unreadable", fmt.Errorf("--project-map: %w", err)}
	}
	return k.take(k.cfg.File, text, File)
}

// take puts text in force if it is good.
func (k *Keeper) take(name string, text []byte, source Source) error {
	m, err := projectmap.Parse(name, text)
	if err == nil {
		err = m.Verify()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.invalid = err != nil
	if err != nil {
		return failure{"broken", fmt.Errorf("%w: %w", ErrBroken, err)}
	}
	k.current, k.source = m, source
	return nil
}

// set puts m in force.
func (k *Keeper) set(m *projectmap.Map, source Source) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current, k.source, k.invalid = m, source, false
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > projectmap.MaxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, the most is %d", path, info.Size(), projectmap.MaxFileBytes)
	}
	return os.ReadFile(path)
}

func (k *Keeper) readCopy() (*projectmap.Map, error) {
	if k.cfg.Copy == "" {
		return nil, nil
	}
	text, err := readBounded(k.cfg.Copy)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return projectmap.Parse(k.cfg.Copy, text)
}

// save brings the copy up to date. The built-in map is no copy.
func (k *Keeper) save() {
	m, _ := k.Map()
	if k.cfg.Copy == "" || k.saved == m.Hash() {
		return
	}
	err := writeCopy(k.cfg.Copy, m.Text())
	if err == nil {
		k.saved = m.Hash()
	} else if !k.unsaving {
		k.log.Warn("the last good project map can not be kept on disk", "error", err)
	}
	k.unsaving = err != nil
}
