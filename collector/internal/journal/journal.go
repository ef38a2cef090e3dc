// Package journal keeps every accepted batch on disk until the engine has surely persisted it, and gives back after a
// crash what the engine may have lost.
//
// The engine holds samples in memory for some seconds. A batch is therefore appended here first, then to the engine, then
// acknowledged: from Append's return on it survives the death of the process, and power loss as Config.Fsync says. Batches
// are records in append-only segment files. A segment is removed once the engine says that everything it was given up to
// the segment's end is on disk. At the next start Replay gives back what is left; the engine drops what it has already.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What Append returns for conditions a caller can act on.
var (
	ErrFull      = errors.New("journal is full")                  // the same again later: it empties within a minute or two
	ErrDisk      = errors.New("journal can not be written")       // the same again later
	ErrReplaying = errors.New("journal is being replayed")        // the same again later
	ErrClosed    = errors.New("journal is closed")                // the same again at the next start
	ErrTooLarge  = errors.New("batch is larger than the journal") // never
)

// Batch is one accepted remote write request.
type Batch struct {
	// Encoding is the compression of Body, as in Content-Encoding.
	Encoding string
	// Agent, Sequence and First are what the sender said of the batch's place among its others; empty from strangers.
	Agent           string
	Sequence, First uint64
	// Run tells one start of the agent from others. It is not kept.
	Run      string
	Received time.Time
	Samples  int
	// Body is the compressed message. Replay reuses its memory.
	Body []byte
}

// Journal is a bounded log of batches. All methods may be called from any goroutine.
type Journal struct {
	cfg     Config
	log     *slog.Logger
	m       metrics
	records sync.Pool  // *[]byte
	syncing sync.Mutex // one fsync at a time; those who wait are served by it

	mu       sync.Mutex
	closed   bool
	replayed bool
	segments []*segment // by number; the last takes records when it is not sealed
	next     uint64     // number of the next segment
	bytes    int64
	fault    error // why the directory refuses writes
	dirDirty bool  // a segment was created since the directory was synced
	full     bool  // logged

	replayTotal, replayDone atomic.Int64 // bytes
}

// segment is one file. Its fields are guarded by Journal.mu.
type segment struct {
	number  uint64
	path    string
	file    *os.File // nil once sealed and synced
	size    int64
	synced  int64
	created time.Time
	sealed  bool
	open    int         // records whose batch is still on its way into the engine
	done    func() bool // set once sealed and none is open: whether the engine has all of it on disk
}

// Open takes the directory and finds what an earlier run left. The caller replays it, then runs the journal. Two
// processes must not share a directory; the engine's lock beside it sees to that.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Journal, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	j := &Journal{cfg: cfg, log: log, next: 1}
	j.records.New = func() any { return new([]byte) }
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the journal's directory: %w", err)
	}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the journal's directory: %w", err)
	}
	for _, entry := range entries { // by name, and so by number
		number, ok := parseName(entry.Name())
		if !ok {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, fmt.Errorf("open the journal: %w", err)
		}
		j.segments = append(j.segments, &segment{number: number, path: filepath.Join(cfg.Dir, entry.Name()), size: info.Size(), synced: info.Size(), created: info.ModTime(), sealed: true})
		j.bytes += info.Size()
		j.next = number + 1
	}
	j.replayTotal.Store(j.bytes)
	j.m = newMetrics(reg, j)
	return j, nil
}

// Append keeps b. The caller gives the batch to the engine next and then, whatever came of that, calls given.
func (j *Journal) Append(b Batch) (given func(), err error) {
	buf := j.records.Get().(*[]byte)
	defer j.records.Put(buf)
	record := appendRecord((*buf)[:0], b)
	if cap(record) <= keepBytes {
		*buf = record
	}
	g, end, err := j.write(record)
	if err != nil {
		return nil, err
	}
	given = func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		g.open--
	}
	if j.cfg.Fsync == FsyncBatch {
		if err := j.syncTo(g, end); err != nil {
			given()
			return nil, err
		}
	}
	return given, nil
}

// keepBytes is the largest buffer kept for the next record.
const keepBytes = 4 << 20

// write puts a record at the end of the open segment.
func (j *Journal) write(record []byte) (g *segment, end int64, err error) {
	size := int64(len(record))
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, 0, ErrClosed
	case !j.replayed:
		return nil, 0, ErrReplaying
	case size > j.cfg.MaxBytes:
		j.m.refused.WithLabelValues("too_large").Inc()
		return nil, 0, fmt.Errorf("%w: %d bytes, --journal.max-bytes is %d", ErrTooLarge, size, j.cfg.MaxBytes)
	}
	if g = j.writable(); g != nil && g.size > 0 && g.size+size > j.cfg.SegmentBytes {
		g.sealed = true
		g = nil
	}
	if j.bytes+size > j.cfg.MaxBytes {
		j.m.refused.WithLabelValues("full").Inc()
		if !j.full {
			j.full = true
			j.log.Warn("the journal is full; writes are answered 503 until the engine has persisted more. Should this last, raise --journal.max-bytes", "bytes", j.bytes, "max_bytes", j.cfg.MaxBytes)
		}
		return nil, 0, fmt.Errorf("%w: %d of %d bytes (--journal.max-bytes)", ErrFull, j.bytes, j.cfg.MaxBytes)
	}
	if g == nil {
		if g, err = j.create(); err != nil {
			return nil, 0, j.refuse(err)
		}
	}
	if _, err := g.file.WriteAt(record, g.size); err != nil {
		if g.file.Truncate(g.size) != nil {
			g.sealed = true // replay steps over what was written of the record
		}
		return nil, 0, j.refuse(err)
	}
	g.size += size
	g.open++
	j.bytes += size
	j.full = false
	j.recovered()
	return g, g.size, nil
}

// writable is the segment that takes records, or nil.
func (j *Journal) writable() *segment {
	if n := len(j.segments); n > 0 && !j.segments[n-1].sealed {
		return j.segments[n-1]
	}
	return nil
}

func (j *Journal) create() (*segment, error) {
	g := &segment{number: j.next, path: filepath.Join(j.cfg.Dir, nameOf(j.next)), created: time.Now()}
	var err error
	if g.file, err = j.cfg.openFile(g.path); err != nil {
		return nil, err
	}
	j.next++
	j.dirDirty = true
	j.segments = append(j.segments, g)
	return g, nil
}

// refuse notes that the directory refuses writes.
func (j *Journal) refuse(err error) error {
	j.m.refused.WithLabelValues("disk").Inc()
	if j.fault == nil {
		j.log.Error("the journal can not be written; writes are answered 503 until it can", "dir", j.cfg.Dir, "error", err)
	}
	j.fault = err
	return fmt.Errorf("%w: %w", ErrDisk, err)
}

func (j *Journal) recovered() {
	if j.fault != nil {
		j.log.Info("the journal can be written again")
	}
	j.fault = nil
}

// Fault is why the last batch could not be written, nil when it could.
func (j *Journal) Fault() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fault
}

// Close syncs and lets go of the files. With Discard after the engine has closed cleanly nothing is replayed at the next start.
func (j *Journal) Close() error {
	err := j.sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	for _, g := range j.segments {
		if g.file != nil {
			g.file.Close()
			g.file = nil
		}
		g.sealed = true
	}
	if j.cfg.Fsync == FsyncNever {
		return nil
	}
	return err
}

// Discard removes every segment of a closed journal: all of it is on disk elsewhere.
func (j *Journal) Discard() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed || !j.replayed {
		return
	}
	for len(j.segments) > 0 && j.removeFirst() {
	}
}

// removeFirst removes the oldest segment. One that can not be removed is tried again later.
func (j *Journal) removeFirst() bool {
	g := j.segments[0]
	if err := os.Remove(g.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		j.m.errors.WithLabelValues("remove").Inc()
		return false
	}
	if g.file != nil {
		g.file.Close()
	}
	j.bytes -= g.size
	j.segments = j.segments[1:]
	return true
}

// Run syncs, ends segments that are old enough and removes those the engine has persisted, until ctx ends.
func (j *Journal) Run(ctx context.Context) error {
	tick := time.NewTicker(j.cfg.FsyncEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			j.tick(now)
		case <-ctx.Done():
			return nil
		}
	}
}
