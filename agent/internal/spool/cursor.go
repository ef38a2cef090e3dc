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
//	496 written     uint64  the spool's running total of samples
//	504 settled     uint64  of those, how many the receiver is done with
//
// What the receiver did not have then, and what the spool holds of it now, tell
// exactly how much was lost with files that are gone or without any record.
// The two figures are absent under cursorMagicBare, of earlier versions.
//
// It is written at every acknowledgement and left to the kernel to flush: after
// a power loss an older position means that records are sent again, which
// receivers recognise as duplicates.
const (
	cursorMagic     uint32 = 0x32434c50 // "PLC2"
	cursorMagicBare uint32 = 0x31434c50 // "PLC1"
	cursorSlotBytes        = 512
	cursorPrefix           = "cursor-"

	// maxCursorRanges is how many ranges a slot holds; the records of further
	// ones are sent again after a restart.
	maxCursorRanges = (cursorSlotBytes - 40) / 16

	maxReceiverNameBytes = 80
)

// cursorPath is the file of a receiver's position. The name is escaped so that
// every receiver name makes a file name.
func cursorPath(dir, receiver string) string {
	return filepath.Join(dir, cursorPrefix+url.QueryEscape(receiver))
}

func isCursorName(name string) bool { return strings.HasPrefix(name, cursorPrefix) }

// position is what is on disk of one receiver's.
type position struct {
	done spans
	// written and settled are as in the file; counted is whether it has them.
	counted          bool
	written, settled uint64
}

// lost is how many samples the receiver did not have that are not in the spool
// any more, of which so many wait for it.
func (p position) lost(written, waiting uint64) uint64 {
	if have := p.settled + waiting; p.counted && written > have {
		return written - have
	}
	return 0
}

// cursor is the position of one receiver on disk. It is guarded by Spool.mu.
type cursor struct {
	path       string
	f          file
	generation uint64
	broken     bool // the last save failed
	slot       [cursorSlotBytes]byte
}

// open reads the position; an absent or damaged file is an empty one.
func (c *cursor) open(s *Spool) position {
	f, err := s.files.OpenFile(c.path, os.O_RDWR)
	if err != nil {
		if f, err = s.files.OpenFile(c.path, os.O_RDONLY); err != nil {
			if !absent(err) {
				s.metrics.errors.WithLabelValues("cursor").Inc()
				s.log.Error("spool position cannot be read, everything kept is sent again", "file", c.path, "error", err)
			}
			return position{}
		}
	}
	c.f = f
	p, generation, ok := readSlots(f)
	if !ok {
		if info, err := f.Stat(); err == nil && info.Size() > 0 {
			s.metrics.errors.WithLabelValues("cursor").Inc()
			s.log.Error("spool position is damaged, everything kept is sent again", "file", c.path)
		}
		return position{}
	}
	c.generation = generation
	return p
}

// save writes the position. A failure is logged once and tried again at the
// next acknowledgement.
func (c *cursor) save(s *Spool, p position) {
	if err := c.write(s.files, p); err != nil {
		s.metrics.errors.WithLabelValues("cursor").Inc()
		if !c.broken {
			s.log.Error("spool position cannot be written, records may be sent again after a restart", "file", c.path, "error", err)
		}
		c.broken = true
		return
	}
	c.broken = false
}

func (c *cursor) write(files fileSystem, p position) error {
	if c.f == nil || c.broken {
		f, err := files.OpenFile(c.path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return err
		}
		c.close()
		c.f = f
	}
	c.generation++
	putSlot(&c.slot, c.generation, p)
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
func (s *Spool) readCursor(path string) (position, bool) {
	f, err := s.files.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return position{}, false
	}
	defer f.Close()
	p, _, ok := readSlots(f)
	return p, ok
}

// readSlots returns the newer whole slot.
func readSlots(f file) (p position, generation uint64, ok bool) {
	var slot [cursorSlotBytes]byte
	for i := range int64(2) {
		if _, err := f.ReadAt(slot[:], i*cursorSlotBytes); err != nil {
			continue
		}
		found, g, whole := parseSlot(&slot)
		if whole && g >= generation {
			p, generation, ok = found, g, true
		}
	}
	return p, generation, ok
}

func putSlot(slot *[cursorSlotBytes]byte, generation uint64, p position) {
	le := binary.LittleEndian
	done := p.done[:min(len(p.done), maxCursorRanges)]
	clear(slot[:])
	le.PutUint32(slot[0:], cursorMagic)
	le.PutUint64(slot[8:], generation)
	le.PutUint64(slot[16:], uint64(len(done)))
	for i, r := range done {
		le.PutUint64(slot[24+16*i:], r.lo)
		le.PutUint64(slot[32+16*i:], r.hi)
	}
	le.PutUint64(slot[496:], p.written)
	le.PutUint64(slot[504:], p.settled)
	le.PutUint32(slot[4:], checksum(slot[8:]))
}

func parseSlot(slot *[cursorSlotBytes]byte) (p position, generation uint64, ok bool) {
	le := binary.LittleEndian
	most := uint64(maxCursorRanges)
	switch le.Uint32(slot[0:]) {
	case cursorMagic:
		p.counted, p.written, p.settled = true, le.Uint64(slot[496:]), le.Uint64(slot[504:])
	case cursorMagicBare:
		most++
	default:
		return position{}, 0, false
	}
	n := le.Uint64(slot[16:])
	if n > most || p.settled > p.written || le.Uint32(slot[4:]) != checksum(slot[8:]) {
		return position{}, 0, false
	}
	for i := range n {
		p.done.add(le.Uint64(slot[24+16*i:]), le.Uint64(slot[32+16*i:]))
	}
	return p, le.Uint64(slot[8:]), true
}
