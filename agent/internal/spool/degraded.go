package spool

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// refused reports whether err means that the directory takes no writes now but
// may later: full, read-only, not permitted, or a failing device.
func refused(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EIO, syscall.EMFILE, syscall.ENFILE,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func absent(err error) bool { return errors.Is(err, os.ErrNotExist) }

// degrade sends records to memory from now on. It logs once per change.
func (s *Spool) degrade(err error) {
	s.metrics.errors.WithLabelValues("write").Inc()
	if s.degraded == nil {
		s.since = time.Now()
		s.log.Error("spool directory refuses writes, batches wait in memory",
			"dir", s.cfg.Dir, "memory_limit_bytes", s.ring.maxBytes, "error", err)
	}
	s.degraded = err
}

// attach makes the directory and takes its lock.
func (s *Spool) attach() error {
	if s.lock != nil {
		return nil
	}
	if err := s.files.MkdirAll(s.cfg.Dir); err != nil {
		return fmt.Errorf("make spool directory %s: %w", s.cfg.Dir, err)
	}
	return s.takeLock()
}

// reattach tries to use a directory again that refused writes: what waits in
// memory goes to disk first, in order.
func (s *Spool) reattach() {
	if err := s.attach(); err != nil {
		s.degrade(err)
		return
	}
	if !s.recovered {
		// The directory was absent at the start. If it has appeared with
		// records in it, such as by a late mount, their numbers collide with
		// ours.
		names, err := s.files.ReadDirNames(s.cfg.Dir)
		if err != nil {
			s.degrade(err)
			return
		}
		for _, name := range names {
			if _, ok := parseSegmentName(name); ok {
				s.degrade(fmt.Errorf("spool directory %s appeared after the start with an older spool in it: restart the agent to take it over", s.cfg.Dir))
				return
			}
		}
		s.recovered = true
	}
	moved := 0
	for len(s.ring.entries) > 0 {
		e := s.ring.entries[0]
		if !s.makeRoom(e.size()) {
			break // drop-newest and full: memory keeps it until there is room
		}
		e.samplesBefore = s.samplesWritten
		if err := s.writeRecord(e.header, e.payload); err != nil {
			s.degrade(err)
			return
		}
		s.ring.removeFront()
		moved++
	}
	if len(s.ring.entries) > 0 {
		return
	}
	if moved == 0 {
		// Nothing was written, so nothing is proved yet.
		if err := s.probe(); err != nil {
			s.degrade(err)
			return
		}
	}
	if !s.nameKept {
		s.takeName()
	}
	s.log.Info("spool directory takes writes again", "dir", s.cfg.Dir, "batches_moved", moved, "after", time.Since(s.since).Round(time.Second))
	s.degraded = nil
	s.since = time.Time{}
}

// probe finds out whether the directory takes writes, by starting the next
// segment.
func (s *Spool) probe() error {
	s.seal()
	now := s.cfg.Now()
	if err := s.createSegment(header{seq: s.nextSeq, createdMillis: now.WallMillis, upMillis: now.UpMillis, samplesBefore: s.samplesWritten}); err != nil {
		return err
	}
	return nil
}
