package journal

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Fsync is when what was appended is forced to the disk. The death of the process costs nothing in any case.
type Fsync string

const (
	FsyncInterval Fsync = "interval" // every second: power loss costs at most the last one
	FsyncBatch    Fsync = "batch"    // before each acknowledgement: power loss costs nothing
	FsyncNever    Fsync = "never"    // when the kernel sees fit: power loss may cost half a minute
)

// ParseFsync reads what --journal.fsync takes.
func ParseFsync(text string) (Fsync, error) {
	switch f := Fsync(text); f {
	case FsyncInterval, FsyncBatch, FsyncNever:
		return f, nil
	}
	return "", fmt.Errorf("%q is not a time to sync: want %s, %s or %s", text, FsyncInterval, FsyncBatch, FsyncNever)
}

// MinBytes is the smallest journal that can be configured.
const MinBytes = 1 << 20

// Config says where the journal is and how large it may become. Dir and Mark are required.
type Config struct {
	// Dir is the journal's own directory, created when absent.
	Dir string
	// MaxBytes bounds the segments; at the bound Append refuses. 0 means 1 GiB, at least 1 MiB. A minute of batches must fit:
	// the engine takes that long to be trusted (20,000 samples a second at 12 bytes make 15 MB a minute).
	MaxBytes int64
	// SegmentBytes and SegmentAge end a segment. 0 means 32 MiB or a sixteenth of MaxBytes, whichever is less, and 10 s.
	SegmentBytes int64
	SegmentAge   time.Duration
	// Fsync is when to force what was appended to the disk. "" means FsyncInterval; FsyncEvery is the interval, 0 means 1 s.
	Fsync      Fsync
	FsyncEvery time.Duration
	// Mark is called when all batches of a segment were given to the engine. What it returns tells whether all that the
	// engine was given before the call is on disk.
	Mark func() (persisted func() bool)

	openFile func(path string) (*os.File, error) // nil means the real one
}

func (c *Config) validate() error {
	if c.Dir == "" || c.Mark == nil {
		return errors.New("journal: Dir and Mark are required")
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
	}
	if c.MaxBytes < MinBytes {
		return fmt.Errorf("--journal.max-bytes=%d is below %d (1MiB)", c.MaxBytes, MinBytes)
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = min(32<<20, c.MaxBytes/16)
	}
	if c.SegmentAge == 0 {
		c.SegmentAge = 10 * time.Second
	}
	if c.Fsync == "" {
		c.Fsync = FsyncInterval
	}
	if _, err := ParseFsync(string(c.Fsync)); err != nil {
		return fmt.Errorf("--journal.fsync: %w", err)
	}
	if c.FsyncEvery == 0 {
		c.FsyncEvery = time.Second
	}
	if c.openFile == nil {
		c.openFile = func(path string) (*os.File, error) {
			return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
		}
	}
	return nil
}
