package series_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

func target() []wire.Label {
	return []wire.Label{{Name: "workload", Value: "web"}, {Name: "container", Value: "web"}, {Name: "namespace", Value: ""}}
}

// decoded maps "name{labels}" to the value as text, stale markers as "stale".
func decoded(t *testing.T, message []byte) map[string]string {
	t.Helper()
	u := &prompb.WriteRequestUnmarshaler{}
	wr, err := u.UnmarshalProtobuf(message)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, ts := range wr.Timeseries {
		for i := 1; i < len(ts.Labels); i++ {
			if ts.Labels[i-1].Name >= ts.Labels[i].Name {
				t.Errorf("labels out of order: %v", ts.Labels)
			}
		}
		text := fmt.Sprint(ts.Samples[0].Value)
		if wire.IsStale(ts.Samples[0].Value) {
			text = "stale"
		}
		got[prompb.LabelsToString(ts.Labels)] = text
	}
	return got
}

func TestASeriesThatIsNotPutAgainEndsOnce(t *testing.T) {
	s := series.New(target())
	s.Begin()
	s.Put(catalog.CPUUsage, 1)
	s.PutFor(catalog.NetworkReceiveBytes, "eth0", 2)
	s.PutFor(catalog.NetworkReceiveBytes, "eth1", 3)
	message, n := s.AppendWire(nil, 1000)
	got := decoded(t, message)
	if n != 3 || got[`{__name__="container_network_receive_bytes_total",container="web",interface="eth1",workload="web"}`] != "3" ||
		got[`{__name__="container_cpu_usage_seconds_total",container="web",cpu="total",workload="web"}`] != "1" {
		t.Fatalf("%d %v", n, got)
	}
	for round, want := range []string{"stale", ""} {
		s.Begin()
		s.Put(catalog.CPUUsage, 2)
		s.PutFor(catalog.NetworkReceiveBytes, "eth0", 4)
		message, _ = s.AppendWire(nil, 2000)
		if got := decoded(t, message)[`{__name__="container_network_receive_bytes_total",container="web",interface="eth1",workload="web"}`]; got != want {
			t.Fatalf("round %d: eth1 is %q, want %q", round, got, want)
		}
	}
}

func TestAGoneTargetEndsEverythingItShowed(t *testing.T) {
	s := series.New(target())
	s.Begin()
	s.Put(catalog.CPUUsage, 1)
	s.Put(catalog.Threads, 1)
	s.AppendWire(nil, 1000)
	message, n := s.AppendStale(nil, 2000)
	for k, v := range decoded(t, message) {
		if v != "stale" {
			t.Errorf("%s = %s", k, v)
		}
	}
	if _, again := s.AppendStale(nil, 3000); n != 2 || again != 0 {
		t.Fatalf("%d markers, then %d", n, again)
	}
}

func TestNewLabelsEndTheOldSeriesAndForkNothing(t *testing.T) {
	s := series.New(target())
	s.Begin()
	s.Put(catalog.Threads, 1)
	s.AppendWire(nil, 1000)
	message, _ := s.Relabel(nil, []wire.Label{{Name: "workload", Value: "api"}}, 2000)
	if got := decoded(t, message); len(got) != 1 || got[`{__name__="container_threads",container="web",workload="web"}`] != "stale" {
		t.Fatal(got)
	}
	s.Begin()
	s.Put(catalog.Threads, 2)
	message, _ = s.AppendWire(nil, 2001)
	if got := decoded(t, message); len(got) != 1 || got[`{__name__="container_threads",workload="api"}`] != "2" {
		t.Fatal(got)
	}
}

// An agent that had started told each container's series twice at one moment: a staleness marker and the value.
func TestTheSameLabelsEndNothing(t *testing.T) {
	s := series.New(target())
	s.Begin()
	s.Put(catalog.Threads, 1)
	s.Slow().Begin()
	s.Slow().Put(catalog.FileDescriptors, 3)
	s.AppendWire(nil, 1000)
	s.Slow().AppendWire(nil, 1000)
	same := target()
	slices.Reverse(same)
	if message, n := s.Relabel(nil, append(same, wire.Label{Name: "pod"}), 2000); n != 0 || len(message) != 0 {
		t.Fatal(decoded(t, message))
	}
	if message, n := s.AppendStale(nil, 3000); n != 2 {
		t.Fatal(decoded(t, message))
	}
}

func TestNoSeriesHasTwoValuesOfOneTime(t *testing.T) {
	s := series.New(target())
	var got []int64
	for _, at := range []int64{5000, 5000, 5000, 5001, 9000, 8500, 7999, 2000, 2000} {
		s.Begin()
		s.Put(catalog.Threads, float64(at))
		message, _ := s.AppendWire(nil, at)
		u := &prompb.WriteRequestUnmarshaler{}
		wr, err := u.UnmarshalProtobuf(message)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, wr.Timeseries[0].Samples[0].Timestamp)
	}
	if want := []int64{5000, 5001, 5002, 5003, 9000, 9001, 7999, 2000, 2001}; !slices.Equal(got, want) { // the clock was set back twice
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestAFullSetRefusesMoreInterfaces(t *testing.T) {
	s := series.New(target())
	s.Begin()
	accepted := 0
	for i := range 3000 {
		if s.PutFor(catalog.NetworkReceiveBytes, fmt.Sprint("eth", i), 1) {
			accepted++
		}
	}
	if accepted != 2048 {
		t.Fatalf("%d accepted", accepted)
	}
}

func TestTheTextFormatIsReadByPrometheusAndFamiliesStandTogether(t *testing.T) {
	a := series.New(target())
	b := series.New([]wire.Label{{Name: "container", Value: "od\"d\\\n"}})
	for _, s := range []*series.Set{a, b} {
		s.Begin()
		s.Put(catalog.CPUUsage, 1.25)
		s.Put(catalog.PageFaultContainer, 3)
		s.Put(catalog.MajorFaultContainer, 4)
		s.PutFor(catalog.NetworkReceiveBytes, "eth0", 12345678901)
	}
	text := series.AppendText(nil, []*series.Set{a, b})
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(families) != 3 || len(families["container_memory_failures_total"].Metric) != 4 || families["container_cpu_usage_seconds_total"].Metric[1].Label[0].GetValue() != "od\"d\\\n" {
		t.Fatalf("%d families in\n%s", len(families), text)
	}
}

func TestARoundAllocatesNothing(t *testing.T) {
	s := series.New(target())
	buf := make([]byte, 0, 1<<16)
	round := func() {
		s.Begin()
		for _, id := range catalog.IDs() {
			s.PutFor(id, "eth0", 1)
		}
		buf, _ = s.AppendWire(buf[:0], 1764000000123)
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkRound(b *testing.B) {
	s := series.New(target())
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		s.Begin()
		for id := catalog.ID(1); int(id) < catalog.Count; id++ {
			s.Put(id, float64(i))
		}
		buf, _ = s.AppendWire(buf[:0], 1764000000123)
	}
}
