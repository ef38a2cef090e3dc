package spool

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The file nameFile holds the spool's name: nameBytes random bytes in hexadecimal, made once, and on the next line the node it is of. It
// lies beside the segments so that a directory that is lost takes its name with it: the numbers that start anew belong to another spool.
// The copy of a directory on another node gets another name: two spools that count on under one would hide each other's gaps.
const (
	nameFile  = "name"
	nameBytes = 16

	maxNodeBytes = 1 << 10
)

// takeName reads the spool's name, or keeps a new one. A directory that refuses it costs no more than that receivers see
// another spool after the next start; so does a power loss in the first
// half minute.
func (s *Spool) takeName() {
	path := filepath.Join(s.cfg.Dir, nameFile)
	own := strings.ReplaceAll(s.cfg.Node[:min(len(s.cfg.Node), maxNodeBytes)], "\n", " ")
	if name, node, ok := s.readName(path); ok {
		switch {
		case own == "" || node == own:
			s.name, s.nameKept = name, true
			return
		case node == "":
			s.name = name // of a version that kept no node
		default:
			s.log.Warn("spool directory was another node's: what waits in it is sent from here, under a new name", "dir", s.cfg.Dir, "node", node)
		}
	}
	if s.name == "" {
		random := make([]byte, nameBytes)
		rand.Read(random) // never fails
		s.name = hex.EncodeToString(random)
	}
	f, err := s.files.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return
	}
	defer f.Close()
	_, err = f.WriteAt([]byte(s.name+"\n"+own+"\n"), 0)
	s.nameKept = err == nil
}

func (s *Spool) readName(path string) (name, node string, ok bool) {
	f, err := s.files.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return "", "", false
	}
	defer f.Close()
	text := make([]byte, 2*nameBytes+maxNodeBytes+2)
	n, err := f.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", "", false
	}
	name, node, _ = strings.Cut(string(text[:n]), "\n")
	if _, notHex := hex.DecodeString(name); notHex != nil || len(name) != 2*nameBytes {
		return "", "", false
	}
	return name, strings.TrimSuffix(node, "\n"), true
}
