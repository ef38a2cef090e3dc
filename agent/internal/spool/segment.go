package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	segmentSuffix = ".seg"

	// maxSealedFiles bounds the full segments that are open until they are
	// synced.
	maxSealedFiles = 8
)

// segment is what the spool knows of one file of records. All fields are
// guarded by Spool.mu; path never changes.
type segment struct {
	path string

	// firstSeq and lastSeq bound the records in it; lastSeq < firstSeq when it
	// has none. For a sealed segment found at start lastSeq is an upper bound.
	firstSeq, lastSeq uint64

	// samplesBefore and samplesEnd are the spool's running total of samples at
	// the segment's start and end.
	samplesBefore, samplesEnd uint64

	// size is how many bytes of the file are valid.
	size int64

	// createdUp and newestUp are when its first and last record were appended,
	// as Moment.UpMillis. For a sealed segment found at start newestUp is an
	// upper bound.
	createdUp, newestUp int64

	// aheadMillis is by how much the wall clock, which its records have, was
	// ahead of the uptime.
	aheadMillis int64

	// gone is set once the segment was dropped or removed: a reader that is in
	// the middle of it delivers no more of it.
	gone bool
}

func (g *segment) empty() bool { return g.lastSeq < g.firstSeq }

func segmentName(firstSeq uint64) string {
	return fmt.Sprintf("%020d%s", firstSeq, segmentSuffix)
}

// parseSegmentName returns the first sequence number in a segment's file name.
func parseSegmentName(name string) (firstSeq uint64, ok bool) {
	digits, isSegment := strings.CutSuffix(name, segmentSuffix)
	if !isSegment || len(digits) != 20 {
		return 0, false
	}
	firstSeq, err := strconv.ParseUint(digits, 10, 64)
	return firstSeq, err == nil
}

// sealedFile is a segment's file that is still to be synced.
type sealedFile struct {
	file
	seg *segment
}

// createSegment starts the active segment with the record h as its first.
func (s *Spool) createSegment(h header) error {
	if n := len(s.segments); n > 0 && s.segments[n-1].empty() {
		s.removeSegment(n - 1)
	}
	path := filepath.Join(s.cfg.Dir, segmentName(h.seq))
	s.leftover = slices.DeleteFunc(s.leftover, func(p string) bool { return p == path })
	f, err := s.files.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	h.boot = s.boot
	putSegmentHeader(s.head[:], h)
	if _, err := f.WriteAt(s.head[:], 0); err != nil {
		f.Close()
		s.files.Remove(path)
		return fmt.Errorf("write segment header: %w", err)
	}
	s.segments = append(s.segments, &segment{
		path:          path,
		firstSeq:      h.seq,
		lastSeq:       h.seq - 1,
		samplesBefore: h.samplesBefore,
		samplesEnd:    h.samplesBefore,
		size:          headerBytes,
		createdUp:     h.upMillis,
		newestUp:      h.upMillis,
		aheadMillis:   h.createdMillis - h.upMillis,
	})
	s.active = f
	s.activeDirty = true
	s.dirDirty = true
	s.bytes += headerBytes
	return nil
}

// seal ends the active segment; the next record starts a new one. Its file is
// synced and closed by Run, or here when Run lags far behind.
func (s *Spool) seal() {
	if s.active == nil {
		return
	}
	if len(s.sealed) < maxSealedFiles {
		s.sealed = append(s.sealed, sealedFile{s.active, s.activeSegment()})
	} else {
		if err := s.active.Sync(); err != nil {
			s.metrics.errors.WithLabelValues("sync").Inc()
		}
		s.active.Close()
	}
	s.active = nil
	s.activeDirty = false
}

// activeSegment is the segment that s.active writes, or nil.
func (s *Spool) activeSegment() *segment {
	if s.active == nil {
		return nil
	}
	return s.segments[len(s.segments)-1]
}

// writeRecord puts one record on disk, starting a new segment when the active
// one is full or old. After an error nothing of the record counts as written.
func (s *Spool) writeRecord(h header, payload []byte) error {
	if g := s.activeSegment(); g != nil && !g.empty() {
		full := g.size+h.size() > s.cfg.SegmentBytes
		old := h.upMillis-g.createdUp > s.cfg.MaxAge.Milliseconds()/segmentsPerMaxAge
		stepped := g.aheadMillis - (h.createdMillis - h.upMillis)
		if full || old || max(stepped, -stepped) > clockStep.Milliseconds() {
			s.seal()
		}
	}
	if s.active == nil {
		if err := s.createSegment(h); err != nil {
			return err
		}
	}
	g := s.activeSegment()
	putHeader(s.head[:], recordMagic, h)
	_, err := s.active.WriteAt(s.head[:], g.size)
	if err == nil {
		_, err = s.active.WriteAt(payload, g.size+headerBytes)
	}
	if err != nil {
		s.abandonWrite(g)
		return fmt.Errorf("write record: %w", err)
	}
	s.tail = place{seg: g, off: g.size, seq: h.seq, samplesBefore: h.samplesBefore}
	g.size += h.size()
	g.lastSeq = h.seq
	g.samplesEnd = h.samplesAfter()
	g.newestUp = h.upMillis
	s.bytes += h.size()
	s.samplesWritten = h.samplesAfter()
	s.activeDirty = true
	return nil
}

// abandonWrite leaves g without the bytes of a write that failed half way. If
// the file cannot be cut, recovery will step over them: they hold no complete
// record.
func (s *Spool) abandonWrite(g *segment) {
	if err := s.active.Truncate(g.size); err != nil {
		s.metrics.errors.WithLabelValues("write").Inc()
	}
	s.seal()
	if g.empty() {
		s.removeSegment(len(s.segments) - 1)
	}
}

// removeSegment deletes the i-th segment from disk and from the list.
func (s *Spool) removeSegment(i int) {
	g := s.segments[i]
	if i == len(s.segments)-1 {
		s.seal()
	}
	for _, r := range s.readers {
		if r.unsaved {
			r.save() // or the next start would miss what was in it
		}
	}
	for j, f := range s.sealed {
		if f.seg == g {
			f.Close() // or the disk would not get the space back before the next sync
			s.sealed = slices.Delete(s.sealed, j, j+1)
			break
		}
	}
	if err := s.files.Remove(g.path); err != nil && !os.IsNotExist(err) {
		s.metrics.errors.WithLabelValues("remove").Inc()
		s.leftover = append(s.leftover, g.path)
	}
	g.gone = true
	s.bytes -= g.size
	s.segments = append(s.segments[:i], s.segments[i+1:]...)
	s.dirDirty = true
}
