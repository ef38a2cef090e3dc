package wire_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/agent/wire"
)

func decode(t *testing.T, message []byte) *prompb.WriteRequest {
	t.Helper()
	u := &prompb.WriteRequestUnmarshaler{}
	wr, err := u.UnmarshalProtobuf(message)
	if err != nil {
		t.Fatal(err)
	}
	return wr
}

func TestAForeignDecoderReadsWhatWasEncoded(t *testing.T) {
	long := strings.Repeat("x", 300)
	first := wire.AppendLabels(nil, []wire.Label{{"__name__", "a_total"}, {"container", "wéb"}, {"long", long}})
	second := wire.AppendLabels(nil, []wire.Label{{"__name__", "b"}})
	message := wire.AppendSeries(nil, first, 1.5, 1764000000123)
	message = wire.AppendSeries(message, second, wire.Stale(), 0)
	wr := decode(t, message)
	if len(wr.Timeseries) != 2 {
		t.Fatalf("%d series", len(wr.Timeseries))
	}
	a, b := wr.Timeseries[0], wr.Timeseries[1]
	if len(a.Labels) != 3 || a.Labels[1] != (prompb.Label{Name: "container", Value: "wéb"}) || a.Labels[2].Value != long {
		t.Errorf("labels %v", a.Labels)
	}
	if a.Samples[0] != (prompb.Sample{Value: 1.5, Timestamp: 1764000000123}) {
		t.Errorf("sample %v", a.Samples)
	}
	if !wire.IsStale(b.Samples[0].Value) || wire.IsStale(math.NaN()) {
		t.Error("the staleness marker did not survive, or every NaN is taken for it")
	}
}

func TestEncodingASampleAllocatesNothing(t *testing.T) {
	labels := wire.AppendLabels(nil, []wire.Label{{"__name__", "a_total"}, {"container", "web"}})
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = wire.AppendSeries(buf[:0], labels, 1, 1764000000123) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkAppendSeries(b *testing.B) {
	labels := wire.AppendLabels(nil, []wire.Label{{"__name__", "container_memory_working_set_bytes"}, {"cluster", "c1"}, {"container", "web"}, {"idc", "bj-a"}, {"node", "n1"}, {"project", "shop"}, {"workload", "web"}})
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		buf = wire.AppendSeries(buf[:0], labels, float64(i), 1764000000123)
	}
}

func TestLabelsAreReadBackAsTheyWereWritten(t *testing.T) {
	labels := []wire.Label{{Name: "a", Value: strings.Repeat("x", 300)}, {Name: "b", Value: "ü"}, {Name: strings.Repeat("c", 200), Value: ""}}
	encoded := wire.AppendLabels(nil, labels)
	size := 0
	for _, l := range labels {
		size += wire.LabelBytes(l)
	}
	if got := wire.ReadLabels(nil, encoded); !slices.Equal(got, labels) || size != len(encoded) {
		t.Errorf("%d of %d bytes, read %q", size, len(encoded), got)
	}
	for cut := range encoded {
		if got := wire.ReadLabels(nil, encoded[:cut]); len(got) >= len(labels) {
			t.Errorf("of %d bytes: %d labels", cut, len(got))
		}
	}
}
