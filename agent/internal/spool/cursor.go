package spool

import (
	"encoding/binary"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// A cursor file holds two slots of cursorSlotBytes that are written in turn, so
// that one of them is whole at any moment; the one with the higher generation
// counts. A slot, little endian:
//
//	 0  magic       uint32
//	 4  checksum    uint32  CRC-32C of the rest of the slot
//	 8  generation  uint64
//	16  ranges      uint64  how many follow
//	24  lo, hi      2 × uint64 each: the records the receiver is done with
//
// It is written at every acknowledgement and left to the kernel to flush: after
// a power loss an older position means that records are sent again, which
// receivers recognise as duplicates.
const (
	cursorMagic     uint32 = 0x31434c50 // "PLC1"
	cursorSlotBytes        = 512
	cursorPrefix           = "cursor-"

	// maxCursorRanges is how many ranges a slot holds; the records of further
	// ones are sent again after a restart.
	maxCursorRanges = (cursorSlotBytes - 24) / 16

	maxReceiverNameBytes = 80
)

// cursorPath is the file of a receiver's position. The name is escaped so that
// every receiver name makes a file name.
func cursorPath(dir, receiver string) string {
	return filepath.Join(dir, cursorPrefix+url.QueryEscape(receiver))
}

func isCursorName(name string) bool { return strings.HasPrefix(name, cursorPrefix) }

// cursor is the position of one receiver on disk. It is guarded by Spool.mu.
type cursor struct {
	path       string
	f          file
	generation uint64
	broken     bool // the last save failed
	slot       [cursorSlotBytes]byte
}

// open reads the position; an absent or damaged file is an empty one.
func (c *cursor) open(s *Spool) spans {
	f, err := s.files.OpenFile(c.path, os.O_RDWR)
	if err != nil {
		if f, err = s.files.OpenFile(c.path, os.O_RDONLY); err != nil {
			if !absent(err) {
				s.metrics.errors.WithLabelValues("cursor").Inc()
				s.log.Error("spool position cannot be read, everything kept is sent again", "file", c.path, "error", err)
			}
			return nil
		}
	}
	c.f = f
	done, generation, ok := readSlots(f)
	if !ok {
		if info, err := f.Stat(); err == nil && info.Size() > 0 {
			s.metrics.errors.WithLabelValues("cursor").Inc()
			s.log.Error("spool position is damaged, everything kept is sent again", "file", c.path)
		}
		return nil
	}
	c.generation = generation
	return done
}

// save writes the position. A failure is logged once and tried again at the
// next acknowledgement.
func (c *cursor) save(s *Spool, done spans) {
	if err := c.write(s.files, done); err != nil {
		s.metrics.errors.WithLabelValues("cursor").Inc()
		if !c.broken {
			s.log.Error("spool position cannot be written, records may be sent again after a restart", "file", c.path, "error", err)
		}
		c.broken = true
		return
	}
	c.broken = false
}

func (c *cursor) write(files fileSystem, done spans) error {
	if c.f == nil || c.broken {
		f, err := files.OpenFile(c.path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return err
		}
		c.close()
		c.f = f
	}
	c.generation++
	putSlot(&c.slot, c.generation, done)
	_, err := c.f.WriteAt(c.slot[:], int64(c.generation&1)*cursorSlotBytes)
	return err
}

func (c *cursor) close() {
	if c.f != nil {
		c.f.Close()
		c.f = nil
	}
}

// readCursor reads a position without taking it, of any receiver.
func (s *Spool) readCursor(path string) (spans, bool) {
	f, err := s.files.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	done, _, ok := readSlots(f)
	return done, ok
}

// readSlots returns the newer whole slot.
func readSlots(f file) (done spans, generation uint64, ok bool) {
	var slot [cursorSlotBytes]byte
	for i := range int64(2) {
		if _, err := f.ReadAt(slot[:], i*cursorSlotBytes); err != nil {
			continue
		}
		d, g, whole := parseSlot(&slot)
		if whole && g >= generation {
			done, generation, ok = d, g, true
		}
	}
	return done, generation, ok
}

func putSlot(slot *[cursorSlotBytes]byte, generation uint64, done spans) {
	le := binary.LittleEndian
	done = done[:min(len(done), maxCursorRanges)]
	clear(slot[:])
	le.PutUint32(slot[0:], cursorMagic)
	le.PutUint64(slot[8:], generation)
	le.PutUint64(slot[16:], uint64(len(done)))
	for i, r := range done {
		le.PutUint64(slot[24+16*i:], r.lo)
		le.PutUint64(slot[32+16*i:], r.hi)
	}
	le.PutUint32(slot[4:], checksum(slot[8:]))
}

func parseSlot(slot *[cursorSlotBytes]byte) (done spans, generation uint64, ok bool) {
	le := binary.LittleEndian
	if le.Uint32(slot[0:]) != cursorMagic || le.Uint32(slot[4:]) != checksum(slot[8:]) {
		return nil, 0, false
	}
	n := le.Uint64(slot[16:])
	if n > maxCursorRanges {
		return nil, 0, false
	}
	for i := range n {
		done.add(le.Uint64(slot[24+16*i:]), le.Uint64(slot[32+16*i:]))
	}
	return done, le.Uint64(slot[8:]), true
}
