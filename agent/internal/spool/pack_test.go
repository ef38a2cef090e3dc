package spool

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestACompressedSpoolHoldsLessAndGivesTheSame(t *testing.T) {
	dir := t.TempDir()
	repetitive := bytes.Repeat([]byte("container_cpu_usage_seconds_total"), 1000)
	random := make([]byte, 1000)
	rand.Read(random)

	s := openSpool(t, Config{Dir: dir})
	if _, err := s.Append(repetitive, 1); err != nil { // what a version without compression left
		t.Fatal(err)
	}
	s.Close()
	s = openSpool(t, Config{Dir: dir, Compress: true})
	before := s.Status().Bytes
	for _, payload := range [][]byte{repetitive, random} {
		if _, err := s.Append(payload, 1); err != nil {
			t.Fatal(err)
		}
	}
	if grown := s.Status().Bytes - before; grown > 2000 {
		t.Errorf("%d bytes of repetitions and 1000 random ones took %d bytes", len(repetitive), grown)
	}
	s.Close()

	r := openReader(t, openSpool(t, Config{Dir: dir}), "r") // reading needs no setting
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	for i, want := range []struct {
		payload  []byte
		encoding Encoding
	}{{repetitive, Plain}, {repetitive, Zstd}, {random, Plain}} {
		rec := take(t, r)
		if rec.Encoding != want.encoding {
			t.Fatalf("record %d has encoding %d, want %d", i, rec.Encoding, want.encoding)
		}
		got := rec.Payload
		if rec.Encoding == Zstd {
			if got, err = decoder.DecodeAll(got, nil); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want.payload) {
			t.Errorf("record %d changed in the spool", i)
		}
	}
}

// An encoding of a later version can not be delivered: its samples are counted, what stands beside it is.
func TestARecordOfAnUnknownEncodingIsSteppedOver(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	for n := range uint64(3) {
		mustAppend(t, s, n, 100, 10)
	}
	s.Close()
	path := filepath.Join(dir, segmentName(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := b[headerBytes+headerBytes+100:]
	h, err := parseHeader(second, recordMagic)
	if err != nil {
		t.Fatal(err)
	}
	h.encoding = Zstd + 1
	putHeader(second, recordMagic, h)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, Config{Dir: dir})
	r := openReader(t, s, "r")
	if got := drain(t, r); len(got) != 2 || got[0] != 0 || got[1] != 2 {
		t.Errorf("delivered %v, want 0 and 2", got)
	}
}
