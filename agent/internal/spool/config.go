package spool

import (
	"errors"
	"fmt"
	"time"
)

// Policy says what gives way when the spool is full.
type Policy string

const (
	DropOldest Policy = "drop-oldest" // the oldest segment, waiting batches counted
	DropNewest Policy = "drop-newest" // the batch being appended
)

// ParsePolicy reads a policy as --spool.when-full takes it.
func ParsePolicy(text string) (Policy, error) {
	switch p := Policy(text); p {
	case DropOldest, DropNewest:
		return p, nil
	}
	return "", fmt.Errorf("%q is not a policy: want %s or %s", text, DropOldest, DropNewest)
}

// Limits and defaults of Config.
const (
	defaultMaxBytes     = 1 << 30
	minMaxBytes         = 64 << 10
	defaultMaxAge       = 24 * time.Hour
	defaultSegmentBytes = 8 << 20
	defaultMemoryBytes  = 16 << 20
	defaultFsyncEvery   = time.Second

	// segmentsPerMaxAge is into how many segments at least MaxAge is divided,
	// so that age frees the disk in steps finer than a quiet node's segment.
	segmentsPerMaxAge = 16
)

// Config says where the spool is and how large it may become.
type Config struct {
	// Dir is the spool's own directory. It is made if absent.
	Dir string

	// Node is the node that fills the spool. A directory that another node has filled gets a new name, see Record.Spool. "" is any.
	Node string

	// MaxBytes bounds the segment files, bytes. 0 means 1 GiB; at least 64 KiB.
	MaxBytes int64

	// MaxAge is how long a batch waits for a receiver. 0 means 24 hours. It is
	// time that passes, also while the machine is suspended: setting the clock
	// makes nothing older, except over a reboot.
	MaxAge time.Duration

	// SegmentBytes is the size at which a new segment starts, bytes; a larger
	// batch gets its own. 0 means 8 MiB or an eighth of MaxBytes, whichever is
	// less, so that dropping the oldest segment costs an eighth at most.
	SegmentBytes int64

	// Compress stores payloads compressed with zstd, so that the bounds hold many
	// times as much and a receiver that takes zstd gets them as they are.
	Compress bool

	// MemoryBytes bounds what is kept in memory while the directory refuses
	// writes, bytes. 0 means 16 MiB.
	MemoryBytes int64

	// WhenFull says what gives way at MaxBytes and MemoryBytes. "" means
	// DropOldest.
	WhenFull Policy

	// FsyncEvery is how much time a power loss may cost. 0 means one second.
	FsyncEvery time.Duration

	// Now reads the clocks. nil means those of the machine.
	Now func() Moment

	files fileSystem // nil means the real one
}

// validate fills in defaults and refuses what cannot work.
func (c *Config) validate() error {
	if c.Dir == "" {
		return errors.New("spool: Dir is empty: name a directory, such as --data-dir's spool")
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.MaxBytes < minMaxBytes {
		return fmt.Errorf("--spool.max-bytes %d: want at least %d (64KiB)", c.MaxBytes, minMaxBytes)
	}
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	if c.MaxAge < 0 {
		return fmt.Errorf("--spool.max-age %s: want a positive duration, such as 24h", c.MaxAge)
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = min(defaultSegmentBytes, c.MaxBytes/8)
	}
	if c.SegmentBytes < 0 || c.SegmentBytes > c.MaxBytes {
		return fmt.Errorf("spool: SegmentBytes %d: want 1 to MaxBytes, %d", c.SegmentBytes, c.MaxBytes)
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = defaultMemoryBytes
	}
	if c.MemoryBytes < 0 {
		return fmt.Errorf("spool: MemoryBytes %d: want a positive number", c.MemoryBytes)
	}
	if c.WhenFull == "" {
		c.WhenFull = DropOldest
	}
	if _, err := ParsePolicy(string(c.WhenFull)); err != nil {
		return fmt.Errorf("--spool.when-full: %w", err)
	}
	if c.FsyncEvery == 0 {
		c.FsyncEvery = defaultFsyncEvery
	}
	if c.FsyncEvery < 0 {
		return fmt.Errorf("spool: FsyncEvery %s: want a positive duration", c.FsyncEvery)
	}
	if c.files == nil {
		c.files = osFiles{}
	}
	if c.Now == nil {
		c.Now = readClocks
	}
	return nil
}
