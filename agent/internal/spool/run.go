package spool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ageEvery is how often the age bound is enforced when nothing is appended.
const ageEvery = time.Minute

// Run syncs what was appended within Config.FsyncEvery, enforces the age bound
// and tries a directory again that refused writes, until ctx ends. It returns
// nil. It sleeps while nothing is appended: on an idle node a wake-up a second
// would cost as much as reading several containers.
func (s *Spool) Run(ctx context.Context) error {
	age := time.NewTicker(ageEvery)
	defer age.Stop()
	pause := time.NewTimer(s.cfg.FsyncEvery)
	defer pause.Stop()
	for {
		select {
		case <-s.stir:
		case <-age.C:
		case <-ctx.Done():
			s.tick()
			return nil
		}
		pause.Reset(s.cfg.FsyncEvery)
		select {
		case <-pause.C:
			s.tick()
		case <-ctx.Done():
			s.tick()
			return nil
		}
	}
}

// wakeRun makes Run do a round within FsyncEvery.
func (s *Spool) wakeRun() {
	select {
	case s.stir <- struct{}{}:
	default:
	}
}

// tick is one round of Run.
func (s *Spool) tick() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.enforceAge()
	if s.degraded != nil {
		s.reattach()
	}
	s.removeLeftover()
	s.mu.Unlock()

	if err := s.sync(); err != nil {
		s.mu.Lock()
		// What was appended since the last sync may not be on the disk, but
		// nothing else can be done about it than to stop trusting the disk.
		s.seal()
		s.degrade(err)
		s.mu.Unlock()
	}

	s.mu.Lock()
	if s.degraded != nil || len(s.leftover) > 0 {
		s.wakeRun()
	}
	s.mu.Unlock()
}

// sync makes durable what was appended before the call. Appends go on
// meanwhile.
func (s *Spool) sync() error {
	s.mu.Lock()
	files := s.sealed
	s.sealed = nil
	var active file
	if s.activeDirty {
		active = s.active
		s.activeDirty = false
	}
	dirDirty := s.dirDirty
	s.dirDirty = false
	var cursors []file
	for _, r := range s.readers {
		if dirDirty && r.cursor.f != nil {
			cursors = append(cursors, r.cursor.f)
		}
	}
	s.mu.Unlock()

	var errs []error
	for _, f := range cursors {
		_ = f.Sync() // an older position means that records are sent again
	}
	if active != nil {
		if err := active.Sync(); err != nil {
			errs = append(errs, err)
		}
	}
	for _, f := range files {
		if err := f.Sync(); err != nil {
			errs = append(errs, err)
		}
		f.Close()
	}
	if dirDirty {
		if err := s.files.SyncDir(s.cfg.Dir); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		s.metrics.errors.WithLabelValues("sync").Inc()
		return fmt.Errorf("sync spool: %w", errors.Join(errs...))
	}
	return nil
}

// removeLeftover tries again to remove segments that could not be.
func (s *Spool) removeLeftover() {
	kept := s.leftover[:0]
	for _, path := range s.leftover {
		if err := s.files.Remove(path); err != nil && !absent(err) {
			kept = append(kept, path)
		}
	}
	s.leftover = kept
}
