// Package spool keeps every batch on disk until each receiver has it: a batch
// that was appended is delivered to every receiver or counted as dropped, also
// across kill -9 of the agent.
//
// Batches are records in append-only segment files. Append returns once the
// record is with the kernel, so it survives the death of the process; it
// survives power loss once synced, at most Config.FsyncEvery later. Each
// receiver has a Reader with its own position, so a slow one holds back no
// other. A record is in one of these states per receiver: waiting, in flight
// (returned by Next), done (acknowledged, or dropped and counted).
//
// When the directory refuses writes (full, read-only, broken), records go to a
// bounded ring in memory, so that live data still flows, and to disk as soon as
// it takes them again. Only while degraded like this does the death of the
// process lose what was not yet sent.
package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/squeeze"
)

// What Append, Open and Next return for conditions a caller can act on.
var (
	// ErrFull: the spool is at its bound and the policy drops the newest. The
	// batch is already counted as dropped; carry on.
	ErrFull = errors.New("spool is full")
	// ErrTooLarge: no spool of this configuration can hold the batch. It is
	// already counted as dropped; send smaller batches.
	ErrTooLarge = errors.New("batch is too large for the spool")
	// ErrLocked: another process uses the directory. Treat as a configuration
	// error.
	ErrLocked = errors.New("spool directory is in use")
	// ErrClosed: the spool was closed.
	ErrClosed = errors.New("spool is closed")
)

// Spool is a bounded queue of batches on disk. All methods may be called from
// several goroutines.
type Spool struct {
	cfg     Config
	log     *slog.Logger
	metrics metrics
	files   fileSystem

	mu       sync.Mutex
	closed   bool
	nextSeq  uint64
	readers  []*Reader
	segments []*segment // by sequence
	bytes    int64      // sum of the segments' sizes

	// samplesWritten is the running total of samples in records on disk.
	samplesWritten uint64
	newestUp       int64 // when the newest record was appended, as Moment.UpMillis
	tail           place // where the newest record on disk is

	active      file         // the last segment's file while it takes records
	activeDirty bool         // it has bytes that are not synced
	sealed      []sealedFile // full segments, to be synced and closed
	dirDirty    bool         // names were created or removed since the last sync
	leftover    []string

	boot      uint32 // see readBoot
	lock      file
	name      string // see takeName
	nameKept  bool   // it is in the directory
	recovered bool   // the directory's content is known
	degraded  error
	since     time.Time // of degraded
	ring      ring

	head [headerBytes]byte // scratch of Append
	pack packer            // locked before mu

	stir chan struct{} // wakes Run
}

// place is where a record is on disk. samplesBefore is the running total at it.
type place struct {
	seg           *segment
	off           int64
	seq           uint64
	samplesBefore uint64
}

// Open takes the directory, recovers what an earlier run left in it and returns
// the spool. A directory that cannot be written is no error, see the package
// comment; one that another process uses is ErrLocked. The caller starts Run.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Spool, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Spool{cfg: cfg, log: log, files: cfg.files, nextSeq: 1, boot: readBoot(), metrics: newMetrics(), stir: make(chan struct{}, 1)}
	s.ring.maxBytes = cfg.MemoryBytes
	if cfg.Compress {
		var err error
		if s.pack.encoder, err = squeeze.NewEncoder(); err != nil {
			return nil, err
		}
	}
	if err := s.attach(); err != nil {
		if !refused(err) {
			s.closeFiles()
			return nil, err
		}
		s.degrade(err)
		s.wakeRun()
	}
	if !s.recovered {
		if err := s.recover(); err != nil {
			if s.degraded == nil || !refused(err) && !absent(err) {
				s.closeFiles()
				return nil, err
			}
		} else {
			s.recovered = true
		}
	}
	s.takeName()
	if err := s.metrics.register(reg, s); err != nil {
		s.closeFiles()
		return nil, err
	}
	return s, nil
}

// Append stores one batch, which holds the given number of samples, and returns
// its sequence number. Numbers only grow; one that was not returned may be
// missing. The payload is opaque and not kept after the return.
//
// After an error the batch is not stored and counted as dropped, except for
// ErrClosed.
func (s *Spool) Append(payload []byte, samples int) (seq uint64, err error) {
	s.pack.Lock()
	defer s.pack.Unlock()
	appended := len(payload)
	payload, encoding := s.pack.pack(payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	now := s.cfg.Now()
	h := header{
		payloadBytes:  uint32(len(payload)),
		samples:       uint32(max(samples, 0)),
		encoding:      encoding,
		seq:           s.nextSeq,
		createdMillis: now.WallMillis,
		upMillis:      now.UpMillis,
	}
	if appended > maxPayloadBytes || h.size() > s.cfg.MaxBytes-headerBytes {
		s.refuse(h, reasonTooLarge)
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, appended, min(maxPayloadBytes, s.cfg.MaxBytes-2*headerBytes))
	}
	h.payloadCRC = checksum(payload)
	if s.degraded == nil {
		if !s.makeRoom(h.size()) {
			s.refuse(h, reasonFull)
			return 0, ErrFull
		}
		h.samplesBefore = s.samplesWritten
		if err := s.writeRecord(h, payload); err != nil {
			s.degrade(err)
		}
	}
	if s.degraded != nil {
		if !s.makeRoomInMemory(h.size()) {
			s.refuse(h, reasonMemoryFull)
			return 0, fmt.Errorf("%w: the directory refuses writes (%w) and memory holds %d bytes", ErrFull, s.degraded, s.ring.bytes)
		}
		s.ring.put(h, payload)
	}
	s.nextSeq++
	s.newestUp = h.upMillis
	s.wakeRun()
	s.metrics.spooled.Add(float64(h.samples))
	for _, r := range s.readers {
		r.appended(h)
	}
	return h.seq, nil
}

// Status is the spool's condition at a moment.
type Status struct {
	Dir         string
	Bytes       int64 // on disk
	Segments    int
	MemoryBytes int64 // in the ring

	// Err is why the directory refuses writes, nil while it takes them; Since
	// is from when on.
	Err   error
	Since time.Time
}

// Status returns the spool's condition.
func (s *Spool) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{
		Dir:         s.cfg.Dir,
		Bytes:       s.bytes,
		Segments:    len(s.segments),
		MemoryBytes: s.ring.bytes,
		Err:         s.degraded,
		Since:       s.since,
	}
}

// Close syncs and gives the directory back. Call it after the readers' users
// ended.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.seal()
	for _, r := range s.readers {
		r.wakeUp()
	}
	s.mu.Unlock()

	err := s.sync()

	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring.entries) > 0 {
		s.log.Error("spool closed with batches in memory that no disk took", "batches", len(s.ring.entries), "bytes", s.ring.bytes)
	}
	s.closeFiles()
	return err
}

func (s *Spool) closeFiles() {
	for _, r := range s.readers {
		r.closeFiles()
	}
	if s.active != nil {
		s.active.Close()
		s.active = nil
	}
	for _, f := range s.sealed {
		f.Close()
	}
	s.sealed = nil
	if s.lock != nil {
		s.lock.Close()
		s.lock = nil
	}
}
