package spool

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
)

// The file nameFile holds the spool's name: nameBytes random bytes in hexadecimal, made once. It lies beside the segments so
// that a directory that is lost takes its name with it: the numbers that start anew belong to another spool.
const (
	nameFile  = "name"
	nameBytes = 16
)

// takeName reads the spool's name, or keeps a new one. A directory that refuses it costs no more than that receivers see
// another spool after the next start; so does a power loss in the first
// half minute.
func (s *Spool) takeName() {
	path := filepath.Join(s.cfg.Dir, nameFile)
	if f, err := s.files.OpenFile(path, os.O_RDONLY); err == nil {
		text := make([]byte, 2*nameBytes)
		_, err := f.ReadAt(text, 0)
		f.Close()
		if _, notHex := hex.DecodeString(string(text)); err == nil && notHex == nil {
			s.name, s.nameKept = string(text), true
			return
		}
	}
	if s.name == "" {
		random := make([]byte, nameBytes)
		rand.Read(random) // never fails
		s.name = hex.EncodeToString(random)
	}
	f, err := s.files.OpenFile(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return
	}
	defer f.Close()
	_, err = f.WriteAt([]byte(s.name), 0)
	s.nameKept = err == nil
}
