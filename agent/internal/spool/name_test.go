package spool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTheNameStaysWithTheDirectory(t *testing.T) {
	nameOf := func(dir string) string {
		t.Helper()
		s := openSpool(t, Config{Dir: dir})
		defer s.Close()
		r := openReader(t, s, "r")
		if _, err := s.Append([]byte("x"), 1); err != nil {
			t.Fatal(err)
		}
		rec, err := r.Next(ended(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return rec.Spool
	}
	dir := t.TempDir()
	name := nameOf(dir)
	if again := nameOf(dir); len(name) != 32 || again != name {
		t.Errorf("named %q, then %q", name, again)
	}
	if other := nameOf(t.TempDir()); other == name {
		t.Error("two spools have one name")
	}
	if err := os.WriteFile(filepath.Join(dir, nameFile), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	renamed := nameOf(dir)
	if renamed == name || nameOf(dir) != renamed {
		t.Errorf("with a torn name file: %q", renamed)
	}
}

// A machine that was cloned, or whose disk went to another one, counted on under the name of the first: gaps and losses of the two were
// mixed up in one table.
func TestACopyOnAnotherNodeGetsAnotherName(t *testing.T) {
	dir := t.TempDir()
	nameOn := func(node string) string {
		t.Helper()
		s := openSpool(t, Config{Dir: dir, Node: node})
		defer s.Close()
		return s.name
	}
	unknown := nameOn("")
	first := nameOn("n1") // such as after an update from a version that kept no node
	if first != unknown || nameOn("n1") != first {
		t.Errorf("named %q, then %q on n1", unknown, first)
	}
	second := nameOn("node-with-a-longer-name")
	if second == first || nameOn("node-with-a-longer-name") != second || nameOn("") != second {
		t.Errorf("named %q on another node", second)
	}
	if nameOn("n1") == second {
		t.Error("back on the first node it has the name of the second")
	}
}

func TestFirstIsTheLowestNumberThatMayStillCome(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir()})
	r := openReader(t, s, "r")
	for range 5 {
		if _, err := s.Append([]byte("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	var firsts []uint64
	var given []uint64
	for {
		rec, err := r.Next(ended(), nil)
		if err != nil {
			if !errors.Is(err, ended().Err()) {
				t.Fatal(err)
			}
			break
		}
		firsts, given = append(firsts, rec.First), append(given, rec.Seq)
		if rec.Seq >= 3 {
			r.Ack(rec.Seq)
		}
	}
	for i, first := range firsts {
		if first != 1 {
			t.Errorf("record %d: first %d, yet 1 is not acknowledged", given[i], first)
		}
	}
	r.Ack(1)
	r.Ack(2)
	if _, err := s.Append([]byte("x"), 1); err != nil {
		t.Fatal(err)
	}
	if rec, err := r.Next(ended(), nil); err != nil || rec.Seq != 6 || rec.First != 6 {
		t.Errorf("got %+v, %v", rec, err)
	}
}
