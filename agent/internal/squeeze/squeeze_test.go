package squeeze

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/plimsoll/plimsoll/agent/wire"
)

func decoded(t testing.TB, frame []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := d.DecodeAll(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// round is a batch of a node with so many containers.
func round(containers, metrics int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var batch []byte
	for c := range containers {
		id := fmt.Sprintf("/docker/%016x%016x%016x%016x", rnd.Uint64(), rnd.Uint64(), rnd.Uint64(), rnd.Uint64())
		at := int64(1_795_000_000_000) + int64(c/7)
		for m := range metrics {
			labels := []wire.Label{{Name: "__name__", Value: fmt.Sprintf("container_%s_%d_total", []string{"cpu", "memory", "network"}[m%3], m*m)}, {Name: "cluster", Value: "east-1"},
				{Name: "container", Value: fmt.Sprint("web", c/10)}}
			if m%11 == 5 {
				labels = append(labels, wire.Label{Name: "failure_type", Value: "pgfault"})
			}
			labels = append(labels, wire.Label{Name: "id", Value: id}, wire.Label{Name: "idc", Value: "east"}, wire.Label{Name: "image", Value: "registry.example/shop/web:1.2.3"},
				wire.Label{Name: "namespace", Value: "shop"}, wire.Label{Name: "node", Value: "node-17.east.example"}, wire.Label{Name: "pod", Value: fmt.Sprintf("web%d-5d9c-%05x", c/10, c*7919)},
				wire.Label{Name: "project", Value: "shop"}, wire.Label{Name: "workload", Value: "web"})
			value := 0.0
			switch m % 4 {
			case 1:
				value = float64(rnd.IntN(1 << 20))
			case 2:
				value = rnd.Float64() * 100
			case 3:
				value = float64(m << 20)
			}
			batch = wire.AppendSeries(batch, wire.AppendLabels(nil, labels), value, at)
		}
	}
	return batch
}

func TestWhatIsSqueezedComesBack(t *testing.T) {
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	for _, containers := range []int{0, 1, 2, 3, 10, 100, 400, 1} {
		for _, metrics := range []int{1, 2, 45} {
			plain := round(containers, metrics, uint64(containers*metrics))
			frame := e.EncodeAll(plain, []byte("before"))
			if !bytes.HasPrefix(frame, []byte("before")) || !bytes.Equal(decoded(t, frame[6:]), plain) {
				t.Fatalf("%d containers with %d series came back changed", containers, metrics)
			}
		}
	}
	for name, plain := range map[string][]byte{
		"text":             bytes.Repeat([]byte("no request at all "), 1000),
		"zeros":            make([]byte, 1<<20),
		"half a series":    round(10, 45, 1)[:10_001],
		"more at the end":  append(round(10, 45, 1), 2<<3|2, 0),
		"the same again":   bytes.Repeat(round(1, 1, 1), 5000),
		"two in one value": append(round(2, 45, 3), round(2, 45, 3)...),
	} {
		if !bytes.Equal(decoded(t, e.EncodeAll(plain, nil)), plain) {
			t.Fatalf("%s came back changed", name)
		}
	}
}

// Labels of all lengths and numbers, in targets that come and go.
func TestOddBatchesComeBackToo(t *testing.T) {
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		word := func(most int) string {
			b := make([]byte, rnd.IntN(most))
			for i := range b {
				b[i] = "abcd"[rnd.IntN(1+int(seed%4))]
			}
			return string(b)
		}
		var batch []byte
		for range 1 + rnd.IntN(40) {
			var target []wire.Label
			for i := range rnd.IntN(12) {
				target = append(target, wire.Label{Name: fmt.Sprint("l", i), Value: word(1 + rnd.IntN(400))})
			}
			at := rnd.Int64() >> rnd.IntN(60)
			for m := range rnd.IntN(60) {
				labels := append([]wire.Label{{Name: "__name__", Value: fmt.Sprint("m", m%7, word(20))}}, target...)
				if rnd.IntN(5) == 0 {
					labels = append(labels, wire.Label{Name: "own", Value: word(30)})
				}
				batch = wire.AppendSeries(batch, wire.AppendLabels(nil, labels), float64(rnd.IntN(3)), at)
			}
		}
		if !bytes.Equal(decoded(t, e.EncodeAll(batch, nil)), batch) {
			t.Fatalf("seed %d: %d bytes came back changed", seed, len(batch))
		}
	}
}

// The point of it all: less than the general encoder, of a batch like an agent's.
func TestASampleTakesLessThanWithAGeneralEncoder(t *testing.T) {
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	plain := round(100, 45, 7)
	own, general := len(e.EncodeAll(plain, nil)), len(e.general.EncodeAll(plain, nil))
	t.Logf("%.2f bytes a sample, the general encoder %.2f", float64(own)/4500, float64(general)/4500)
	if own*10 > general*9 {
		t.Errorf("%d bytes, the general encoder needs %d", own, general)
	}
}

func TestSqueezingAllocatesNothing(t *testing.T) {
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	plain := round(100, 45, 7)
	dst := e.EncodeAll(plain, nil)
	if n := testing.AllocsPerRun(10, func() { dst = e.EncodeAll(plain, dst[:0]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSqueeze(f *testing.F) {
	f.Add(round(2, 3, 1))
	f.Add(round(3, 1, 2))
	f.Add(bytes.Repeat([]byte{10, 16, 10, 1, 'a', 18, 11, 9, 0, 0, 0, 0, 0, 0, 0, 0, 16, 1}, 100))
	e, err := NewEncoder()
	if err != nil {
		f.Fatal(err)
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		// What is short goes to the general encoder: make it long, and then different.
		long := bytes.Repeat(plain, 1+2048/max(1, len(plain)))
		for _, one := range [][]byte{plain, long} {
			if got, err := d.DecodeAll(e.EncodeAll(one, nil), nil); err != nil || !bytes.Equal(got, one) {
				t.Fatalf("came back changed: %v", err)
			}
		}
	})
}

func BenchmarkSqueeze(b *testing.B) {
	e, err := NewEncoder()
	if err != nil {
		b.Fatal(err)
	}
	plain, samples := round(100, 45, 7), 4500
	if dir := os.Getenv("SQUEEZE_FILES"); dir != "" {
		plain, samples = nil, 0
		names, _ := filepath.Glob(dir)
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				b.Fatal(err)
			}
			plain = append(plain, text...)
		}
		if !e.matcher.begin(plain) {
			b.Fatal("not series")
		}
		samples = len(e.matcher.series)
	}
	for name, encode := range map[string]func([]byte, []byte) []byte{"own": e.EncodeAll, "general": e.general.EncodeAll} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(plain)))
			var frame []byte
			for b.Loop() {
				frame = encode(plain, frame[:0])
			}
			b.ReportMetric(float64(len(frame))/float64(samples), "B/sample")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*samples), "ns/sample")
		})
	}
}
