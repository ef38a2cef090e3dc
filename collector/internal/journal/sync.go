package journal

import (
	"fmt"
	"os"
	"time"
)

// tick is one round of Run.
func (j *Journal) tick(now time.Time) {
	j.mu.Lock()
	if g := j.writable(); g != nil && g.size > 0 && now.Sub(g.created) >= j.cfg.SegmentAge {
		g.sealed = true
	}
	j.mu.Unlock()
	_ = j.sync() // counted and logged
	j.trim()
}

// trim removes the segments that the engine has persisted, oldest first.
func (j *Journal) trim() {
	j.syncing.Lock() // its files stay open meanwhile
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.replayed {
		return // the engine was not given what is here
	}
	for _, g := range j.segments {
		if g.sealed && g.open == 0 && g.done == nil {
			g.done = j.cfg.Mark()
		}
	}
	for len(j.segments) > 0 {
		if g := j.segments[0]; g.done == nil || !g.done() || !j.removeFirst() {
			return
		}
	}
}

// syncTo makes a segment durable up to end, along with all that others have appended meanwhile.
func (j *Journal) syncTo(g *segment, end int64) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	covered := g.synced >= end
	j.mu.Unlock()
	if covered {
		return nil
	}
	return j.syncLocked()
}

// sync makes durable what was appended before the call and closes the files of ended segments. Appends go on meanwhile.
func (j *Journal) sync() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	return j.syncLocked()
}

func (j *Journal) syncLocked() error {
	type dirty struct {
		*segment
		file   *os.File
		size   int64
		sealed bool
	}
	var files []dirty
	j.mu.Lock()
	for _, g := range j.segments {
		if g.file != nil {
			files = append(files, dirty{g, g.file, g.size, g.sealed})
		}
	}
	dirDirty := j.dirDirty
	j.dirDirty = false
	j.mu.Unlock()

	var err error
	for _, f := range files {
		if j.cfg.Fsync != FsyncNever && f.synced < f.size {
			if e := f.file.Sync(); e != nil {
				err = e
				continue
			}
		}
		j.mu.Lock()
		f.synced = f.size
		if f.sealed && f.segment.file != nil {
			f.file.Close()
			f.segment.file = nil
		}
		j.mu.Unlock()
	}
	if dirDirty && j.cfg.Fsync != FsyncNever {
		if e := syncDir(j.cfg.Dir); e != nil {
			err = e
		}
	}
	if err == nil {
		return nil
	}
	j.m.errors.WithLabelValues("sync").Inc()
	j.mu.Lock()
	defer j.mu.Unlock()
	// What a failed fsync was to write may be gone from the kernel's memory: later records go to another file.
	for _, f := range files {
		f.segment.sealed = true
	}
	j.dirDirty = j.dirDirty || dirDirty
	if j.fault == nil {
		j.log.Error("the journal can not be synced", "dir", j.cfg.Dir, "error", err)
	}
	j.fault = err
	return fmt.Errorf("%w: %w", ErrDisk, err)
}

// syncDir makes created names durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
