package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// recover finds what an earlier run left in the directory: segments, the next
// sequence number and the running total of samples. Only the last segment is
// read through, because only it can end in a write that was cut short; damage
// in the others is met, stepped over and counted when they are read.
func (s *Spool) recover() error {
	names, err := s.files.ReadDirNames(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("list spool directory %s: %w", s.cfg.Dir, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if _, ok := parseSegmentName(name); !ok {
			continue
		}
		g := s.openSegment(filepath.Join(s.cfg.Dir, name))
		if g == nil {
			continue
		}
		if n := len(s.segments); n > 0 {
			if g.firstSeq <= s.segments[n-1].firstSeq {
				s.metrics.errors.WithLabelValues("corrupt").Inc()
				s.log.Error("spool segment repeats an earlier one, ignored", "segment", g.path)
				continue
			}
			previous := s.segments[n-1]
			previous.lastSeq = g.firstSeq - 1
			previous.samplesEnd = g.samplesBefore
			previous.newestUp = max(previous.createdUp, g.createdUp)
		}
		s.segments = append(s.segments, g)
	}
	s.recoverLast()

	highest, written := uint64(0), uint64(0)
	for _, g := range s.segments {
		s.bytes += g.size
		highest = max(highest, g.lastSeq)
		s.samplesWritten = g.samplesEnd
		s.newestUp = g.newestUp
	}
	// A receiver may have acknowledged records that a power loss took from the
	// disk: their numbers must not be used again, or new data would be taken
	// for acknowledged.
	for _, name := range names {
		if firstSeq, ok := parseSegmentName(name); ok {
			highest = max(highest, firstSeq)
		}
		if !isCursorName(name) {
			continue
		}
		if p, ok := s.readCursor(filepath.Join(s.cfg.Dir, name)); ok {
			highest = max(highest, p.done.max())
			written = max(written, p.written)
		}
	}
	if n := len(s.segments); n > 0 && written > s.samplesWritten {
		// Its end is gone: whoever waits for it is told when they come there.
		s.segments[n-1].lastSeq = max(s.segments[n-1].lastSeq, highest)
		s.segments[n-1].samplesEnd = written
	}
	s.samplesWritten = max(s.samplesWritten, written)
	s.nextSeq = highest + 1
	if len(s.segments) > 0 {
		s.log.Info("spool recovered", "dir", s.cfg.Dir, "segments", len(s.segments), "bytes", s.bytes, "next_seq", s.nextSeq)
	}
	return nil
}

// openSegment reads a segment's header, or, when that is damaged, looks for its
// first readable record. It returns nil for a file without any, which is
// removed unless it could not be read.
func (s *Spool) openSegment(path string) *segment {
	f, err := s.files.OpenFile(path, os.O_RDONLY)
	if err != nil {
		s.metrics.errors.WithLabelValues("read").Inc()
		s.log.Error("spool segment cannot be opened, skipped", "segment", path, "error", err)
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		s.metrics.errors.WithLabelValues("read").Inc()
		s.log.Error("spool segment cannot be read, skipped", "segment", path, "error", err)
		return nil
	}
	g := &segment{path: path, size: info.Size()}
	var head [headerBytes]byte
	if _, err := f.ReadAt(head[:], 0); err == nil {
		if h, err := parseSegmentHeader(head[:]); err == nil {
			g.firstSeq, g.lastSeq = h.seq, h.seq-1
			g.samplesBefore, g.samplesEnd = h.samplesBefore, h.samplesBefore
			g.date(h, s.boot, s.cfg.Now())
			return g
		}
	}
	c := scan{f: f, end: g.size}
	h, _, err := c.header()
	switch {
	case err == nil:
		s.metrics.errors.WithLabelValues("corrupt").Inc()
		s.log.Error("spool segment header damaged, records kept", "segment", path)
		g.firstSeq, g.lastSeq = h.seq, h.seq-1
		g.samplesBefore, g.samplesEnd = h.samplesBefore, h.samplesBefore
		g.date(h, s.boot, s.cfg.Now())
		return g
	case c.readErr != nil:
		s.metrics.errors.WithLabelValues("read").Inc()
		s.log.Error("spool segment cannot be read, skipped", "segment", path, "error", c.readErr)
		return nil
	case g.size > headerBytes:
		s.metrics.errors.WithLabelValues("corrupt").Inc()
		s.log.Error("spool segment holds no readable record, removed", "segment", path, "bytes", g.size)
	}
	if err := s.files.Remove(path); err != nil {
		s.metrics.errors.WithLabelValues("remove").Inc()
	}
	return nil
}

// recoverLast reads the last segment through and cuts off a record that was
// being written when the agent ended.
func (s *Spool) recoverLast() {
	if len(s.segments) == 0 {
		return
	}
	g := s.segments[len(s.segments)-1]
	f, err := s.files.OpenFile(g.path, os.O_RDWR)
	writable := err == nil
	if !writable {
		if f, err = s.files.OpenFile(g.path, os.O_RDONLY); err != nil {
			s.metrics.errors.WithLabelValues("read").Inc()
			return
		}
	}
	defer f.Close()
	c := scan{f: f, off: headerBytes, end: g.size}
	valid := int64(headerBytes)
	for {
		h, _, err := c.header()
		if err != nil {
			break
		}
		c.skip(h)
		valid = c.off
		g.lastSeq = h.seq
		g.samplesEnd = h.samplesAfter()
		g.newestUp = h.createdMillis - g.aheadMillis
	}
	if valid < g.size && c.readErr == nil {
		s.metrics.errors.WithLabelValues("torn_tail").Inc()
		s.log.Warn("spool ends in an incomplete record, cut off", "segment", g.path, "bytes", g.size-valid)
		if writable {
			if err := f.Truncate(valid); err != nil {
				s.metrics.errors.WithLabelValues("write").Inc()
			}
		}
		g.size = valid
	}
	if g.empty() {
		s.segments = s.segments[:len(s.segments)-1]
		if err := s.files.Remove(g.path); err != nil {
			s.metrics.errors.WithLabelValues("remove").Inc()
		}
	}
}
