package rules

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/common/model"
)

// stateFile keeps what groups know of their alerts, so that a kill -9 costs none of it: the engine's ALERTS series lack the
// seconds that were not on its disk yet. Without a name nothing is kept.
type stateFile struct {
	name string

	mu     sync.Mutex
	groups map[string]savedGroup // by definition key
	dirty  chan struct{}
}

// savedGroup is the state of one group.
type savedGroup struct {
	ActiveAt map[model.Fingerprint]time.Time `json:"activeAt"`
	Firing   []savedAlert                    `json:"firing"`
}

type savedAlert struct {
	Alert *model.Alert `json:"alert"`
	// KeepUntil is until when the alert fires on although its condition is over; zero when it is not.
	KeepUntil time.Time `json:"keepUntil,omitzero"`
}

// saveSpacing is the least time between two writes.
const saveSpacing = 500 * time.Millisecond

// touchInterval is how often the file is marked as current while nothing changes.
const touchInterval = 30 * time.Second

// openState reads the file. What is older than maxAge is not taken: its alerts are another story.
func openState(name string, maxAge time.Duration, now time.Time) (*stateFile, error) {
	s := &stateFile{name: name, groups: map[string]savedGroup{}, dirty: make(chan struct{}, 1)}
	if name == "" {
		return s, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("rules: state of alerts: %w", err)
	}
	info, err := os.Stat(name)
	if err != nil {
		return s, fmt.Errorf("rules: state of alerts: %w", err)
	}
	if now.Sub(info.ModTime()) > maxAge {
		return s, nil
	}
	if err := json.Unmarshal(text, &s.groups); err != nil || s.groups == nil {
		s.groups = map[string]savedGroup{}
		return s, fmt.Errorf("rules: state of alerts in %s is damaged: %w", name, cmp.Or(err, errors.New("it holds null")))
	}
	return s, nil
}

// past is what the file knows of a group; false when it knows nothing.
func (s *stateFile) past(key string, now time.Time, grace time.Duration) (past, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved, ok := s.groups[key]
	p := newPast()
	maps.Copy(p.activeAt, saved.ActiveAt)
	for _, a := range saved.Firing {
		if a.Alert == nil {
			continue
		}
		held := now.Add(grace)
		if a.KeepUntil.After(held) {
			held = a.KeepUntil
		}
		p.firing[a.Alert.Fingerprint()] = told{alert: a.Alert, heldUntil: held}
	}
	return p, ok
}

// put takes the state of a group; write follows.
func (s *stateFile) put(key string, state savedGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[key] = state
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// keep forgets groups that are no more.
func (s *stateFile) keep(keys map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.groups, func(key string, _ savedGroup) bool { return !keys[key] })
}

// run writes changes until ctx ends; failed is told of every attempt's outcome.
func (s *stateFile) run(ctx context.Context, outcome func(error)) {
	if s.name == "" {
		return
	}
	touch := time.NewTicker(touchInterval)
	defer touch.Stop()
	for {
		select {
		case <-s.dirty:
			outcome(s.write())
			sleep(ctx, saveSpacing)
		case <-touch.C:
			now := time.Now()
			_ = os.Chtimes(s.name, now, now) // no file yet: nothing fires
		case <-ctx.Done():
			return
		}
	}
}

func (s *stateFile) write() error {
	s.mu.Lock()
	text, err := json.Marshal(s.groups)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write the state of alerts: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(s.name), filepath.Base(s.name)+".new-")
	if err != nil {
		return fmt.Errorf("write the state of alerts: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), s.name)
	}
	if err != nil {
		os.Remove(file.Name())
		return fmt.Errorf("write the state of alerts: %w", err)
	}
	return nil
}

// save hands the group's state to the file when it differs from the last one.
func (g *group) save() {
	now := g.remember()
	changed := !maps.Equal(now.activeAt, g.saved.activeAt) || len(now.firing) != len(g.saved.firing)
	for fingerprint := range now.firing {
		if _, same := g.saved.firing[fingerprint]; !same {
			changed = true
		}
	}
	keep := g.keepUntil()
	changed = changed || !maps.Equal(keep, g.savedKeep)
	if !changed {
		return
	}
	g.saved, g.savedKeep = past{activeAt: now.activeAt, firing: maps.Clone(now.firing)}, keep
	state := savedGroup{ActiveAt: now.activeAt, Firing: []savedAlert{}}
	for fingerprint, t := range now.firing {
		until := keep[fingerprint]
		if until.IsZero() && !t.heldUntil.IsZero() {
			until = t.heldUntil
		}
		state.Firing = append(state.Firing, savedAlert{Alert: t.alert, KeepUntil: until})
	}
	g.state.put(g.def.key(), state)
}
