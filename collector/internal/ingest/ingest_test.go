package ingest

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/plimsoll/plimsoll/agent/wire"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

// shared is the one engine of this test binary; the library allows no second.
var shared *engine.Engine

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "ingest-test")
	if err != nil {
		panic(err)
	}
	if shared, err = engine.Open(engine.Config{DataDir: dir}, quiet()); err != nil {
		panic(err)
	}
	code := m.Run()
	shared.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// bench is a handler over the real engine with its metrics.
type bench struct {
	*Handler
	reg *prometheus.Registry
}

func newBench(t *testing.T, limits Limits, store Store) bench {
	t.Helper()
	reg := prometheus.NewRegistry()
	h, err := New(Config{Limits: limits, Nodes: OpenNodes(NodesConfig{}, quiet(), reg)}, store, quiet(), reg)
	if err != nil {
		t.Fatal(err)
	}
	return bench{h, reg}
}

func (b bench) post(encoding string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(body))
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

// unsized is zstd as a stream makes it: nothing says how much it holds.
func unsized(message []byte) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		panic(err)
	}
	w.Write(message[:len(message)/2])
	w.Flush()
	w.Write(message[len(message)/2:])
	w.Close()
	return out.Bytes()
}

// metric is the value of a series of the handler's registry, given as Prometheus text writes it.
func (b bench) metric(t *testing.T, series string) float64 { return metric(t, b.reg, series) }

func metric(t *testing.T, reg *prometheus.Registry, series string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		expfmt.MetricFamilyToText(&text, f)
	}
	for line := range strings.Lines(text.String()) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no %s in\n%s", series, text.String())
	return 0
}

func (b bench) rejected(t *testing.T, why reason) float64 {
	return b.metric(t, fmt.Sprintf(`plimsoll_collector_samples_rejected_total{reason="%s"}`, why))
}

// message is a write request of one sample now for each series, given as label pairs.
func message(series ...[]string) []byte {
	var out []byte
	for _, pairs := range series {
		out = wire.AppendSeries(out, encoded(pairs), 1, time.Now().UnixMilli())
	}
	return out
}

func encoded(pairs []string) []byte {
	var labels []wire.Label
	for i := 0; i+1 < len(pairs); i += 2 {
		labels = append(labels, wire.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return wire.AppendLabels(nil, labels)
}

func snap(b []byte) []byte { return snappy.Encode(nil, b) }

func zstandard(b []byte) []byte {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return enc.EncodeAll(b, nil)
}

func count(t *testing.T, expr string) int {
	t.Helper()
	shared.Flush()
	got, err := shared.Query(t.Context(), expr, time.Now().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return len(got)
}

func TestSnappyAndZstdAreStored(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	for encoding, body := range map[string][]byte{
		"snappy": snap(message([]string{"__name__", "w_snappy", "project", "shop"})),
		"zstd":   zstandard(message([]string{"__name__", "w_zstd", "project", "shop"})),
		"":       snap(message([]string{"__name__", "w_", "project", "shop"})), // snappy is the protocol's default
	} {
		if w := b.post(encoding, body); w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", encoding, w.Code, w.Body)
		}
		if count(t, `{__name__="w_`+encoding+`",project="shop"}`) != 1 {
			t.Errorf("%s: the series is not found", encoding)
		}
	}
	if got := b.metric(t, "plimsoll_collector_samples_ingested_total"); got != 3 {
		t.Errorf("%v samples counted", got)
	}
}

func TestAStaleMarkerPassesThrough(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	now, labels := time.Now(), encoded([]string{"__name__", "w_stale"})
	live := wire.AppendSeries(nil, labels, 7, now.Add(-2*time.Second).UnixMilli())
	b.post("snappy", snap(live))
	if count(t, "w_stale") != 1 {
		t.Fatal("the series is not found")
	}
	b.post("snappy", snap(wire.AppendSeries(nil, labels, wire.Stale(), now.Add(-time.Second).UnixMilli())))
	if count(t, "w_stale") != 0 {
		t.Error("the series is still there")
	}
}

func TestASeriesThatCanNotBeStoredIsNamedAndTheRestIsStored(t *testing.T) {
	limits := Limits{Labels: 5, NameBytes: 20, ValueBytes: 30}
	for want, c := range map[string]struct {
		why    reason
		series []string
	}{
		`label name "a-b" is not of the form`:                    {reasonLabelName, []string{"__name__", "bad", "a-b", "x"}},
		`label name "" is not of the form`:                       {reasonLabelName, []string{"__name__", "bad", "", "x"}},
		`metric name "9lives" is not of the form`:                {reasonMetricName, []string{"__name__", "9lives"}},
		"no label __name__":                                      {reasonMetricName, []string{"project", "shop"}},
		`label "b" comes twice`:                                  {reasonDuplicateLabel, []string{"__name__", "bad", "b", "1", "a", "1", "b", "2"}},
		"6 labels, the most is 5 (--limit.labels)":               {reasonLabelCount, []string{"__name__", "bad", "a", "1", "b", "1", "c", "1", "d", "1", "e", "1"}},
		"has 21 bytes, the most is 20 (--limit.label-name)":      {reasonLabelLength, []string{"__name__", "bad", strings.Repeat("n", 21), "1"}},
		`"v" has 31 bytes, the most is 30 (--limit.label-value)`: {reasonLabelLength, []string{"__name__", "bad", "v", strings.Repeat("v", 31)}},
		`the value of label "v" is not UTF-8`:                    {reasonLabelValue, []string{"__name__", "bad", "v", "\xff"}},
	} {
		b := newBench(t, limits, shared)
		good := fmt.Sprintf("w_beside_%s", c.why)
		w := b.post("zstd", zstandard(message([]string{"__name__", good}, c.series)))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "1 of 2 series") || !strings.Contains(w.Body.String(), "series 1 ") {
			t.Errorf("want %q, got %d %s", want, w.Code, w.Body)
		}
		if got := b.rejected(t, c.why); got != 1 {
			t.Errorf("%s: %v rejected samples counted", c.why, got)
		}
		if count(t, good) != 1 {
			t.Errorf("%s: the good series beside it is lost", c.why)
		}
	}
}

func TestTimestampsOutOfReachAreRejectedAlone(t *testing.T) {
	b := newBench(t, Limits{Future: time.Minute, Retention: 24 * time.Hour}, shared)
	now := time.Now()
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "w_times"}}, Samples: []prompb.Sample{
		{Value: 1, Timestamp: now.Add(-time.Second).UnixMilli()}, {Value: 2, Timestamp: now.Add(2 * time.Minute).UnixMilli()},
		{Value: 3, Timestamp: now.Add(-25 * time.Hour).UnixMilli()}, {Value: 4, Timestamp: math.MaxInt64}}}
	w := b.post("snappy", snap((&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{ts}}).MarshalProtobuf(nil)))
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "--limit.future") || !strings.Contains(w.Body.String(), `w_times`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if b.rejected(t, reasonFuture) != 2 || b.rejected(t, reasonRetention) != 1 {
		t.Errorf("future %v, retention %v", b.rejected(t, reasonFuture), b.rejected(t, reasonRetention))
	}
	if count(t, "w_times == 1") != 1 {
		t.Error("the good sample is lost")
	}
}

func TestANaNIsCountedAndNoError(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	w := b.post("snappy", snap(wire.AppendSeries(nil, encoded([]string{"__name__", "w_nan"}), math.NaN(), time.Now().UnixMilli())))
	if w.Code != http.StatusNoContent || b.rejected(t, reasonNaN) != 1 {
		t.Errorf("got %d, %v counted", w.Code, b.rejected(t, reasonNaN))
	}
}

func TestASecondVersionIsRefusedWhateverItsHeaderSays(t *testing.T) {
	b := newBench(t, Limits{}, stub{})
	// Request{symbols: ["", "__name__", "x"], timeseries: [{labels_refs: [1, 2], samples: [{value: 1, timestamp: 1}]}]}
	request := []byte{4<<3 | 2, 0, 4<<3 | 2, 8, '_', '_', 'n', 'a', 'm', 'e', '_', '_', 4<<3 | 2, 1, 'x', 5<<3 | 2, 17, 1<<3 | 2, 2, 1, 2, 2<<3 | 2, 11, 1<<3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2 << 3, 1}
	if w := b.post("snappy", snap(request)); w.Code != http.StatusUnsupportedMediaType || !strings.Contains(w.Body.String(), "2.0; send 1.0") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAMessageOfAlmostNothingIsRefused(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	emptyLabels := func(n int) []byte {
		return append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(2*n)), bytes.Repeat([]byte{1<<3 | 2, 0}, n)...)
	}
	if w := b.post("snappy", snap(emptyLabels(100_000))); w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "almost nothing") {
		t.Errorf("100,000 labels of nothing: %d %s", w.Code, w.Body)
	}
	if w := b.post("snappy", snap(emptyLabels(10_000))); w.Code != http.StatusNoContent {
		t.Errorf("10,000 of them, in a series without a sample: %d %s", w.Code, w.Body)
	}
	// The least that a series can be, and many of it.
	var least [][]string
	for i := range 50_000 {
		least = append(least, []string{"__name__", "x", "a", fmt.Sprint(i % 10), "b", fmt.Sprint(i / 10 % 10), "c", fmt.Sprint(i / 100 % 10), "d", fmt.Sprint(i / 1000)})
	}
	if w := b.post("zstd", zstandard(message(least...))); w.Code != http.StatusNoContent {
		t.Errorf("labels of a letter: %d %s", w.Code, w.Body)
	}
}

func TestWhatIsNoRemoteWriteIsRefusedWithTheReason(t *testing.T) {
	b := newBench(t, Limits{BodyBytes: 64 << 10, DecodedBytes: 256 << 10, Series: 100}, shared)
	many := make([][]string, 101)
	for i := range many {
		many[i] = []string{"__name__", "w_many", "i", fmt.Sprint(i)}
	}
	claims := func(n uint64) []byte { return append(binary.AppendUvarint(nil, n), bytes.Repeat([]byte{0xff}, 50)...) }
	emptyLabels := append(binary.AppendUvarint([]byte{1<<3 | 2}, 60_000), bytes.Repeat([]byte{1<<3 | 2, 0}, 30_000)...)
	emptyLabels = bytes.Repeat(emptyLabels, 4)
	histogram := append([]byte{4<<3 | 2}, append(binary.AppendUvarint(nil, 40_000), make([]byte, 40_000)...)...)
	histogram = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(histogram))), histogram...)
	for name, c := range map[string]struct {
		encoding string
		body     []byte
		code     int
		want     string
	}{
		"gzip":                      {"gzip", nil, 415, "use snappy or zstd"},
		"no snappy":                 {"snappy", []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 400, "not a snappy block"},
		"empty snappy":              {"snappy", nil, 400, "not a snappy block"},
		"cut snappy":                {"snappy", snap(message(many[:50]...))[:40], 400, "not a snappy block"},
		"no zstd":                   {"zstd", []byte("hello, this is not zstd"), 400, "not zstd"},
		"cut zstd":                  {"zstd", zstandard(message(many[:50]...))[:60], 400, "not zstd"},
		"no protobuf":               {"snappy", snap([]byte("hello, this is no protobuf")), 400, "not a remote write 1.0 message"},
		"cut protobuf":              {"zstd", zstandard(message(many[:50]...)[:1000]), 400, "not a remote write 1.0 message"},
		"wrong type in a label":     {"snappy", snap([]byte{1<<3 | 2, 4, 1<<3 | 2, 2, 1 << 3, 7}), 400, "not a remote write 1.0 message"},
		"body too large":            {"snappy", make([]byte, 64<<10+1), 413, "--limit.write-body"},
		"snappy bomb":               {"snappy", snap(make([]byte, 256<<10+1)), 413, "--limit.write-decoded"},
		"zstd bomb":                 {"zstd", zstandard(make([]byte, 256<<10+1)), 413, "--limit.write-decoded"},
		"zstd bomb of two frames":   {"zstd", bytes.Repeat(zstandard(make([]byte, 200<<10)), 2), 400, "more than the 204800 bytes that its header states"},
		"zstd bomb without a size":  {"zstd", unsized(make([]byte, 256<<10+1)), 413, "--limit.write-decoded"},
		"a header that lies":        {"snappy", claims(200 << 10), 400, "can not hold"},
		"a header of 4 GiB":         {"snappy", claims(math.MaxUint32), 413, "--limit.write-decoded"},
		"too many series":           {"snappy", snap(message(many...)), 413, "more than 100 series (--limit.write-series)"},
		"labels of nothing":         {"zstd", zstandard(emptyLabels), 413, "bytes of memory"},
		"a histogram that explodes": {"zstd", zstandard(histogram), 413, "bytes of memory"},
	} {
		w := b.post(c.encoding, c.body)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: want %d %q, got %d %s", name, c.code, c.want, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(snap(message(many[0]))))
	r.Header.Set("Content-Type", "application/x-protobuf;proto=IO.prometheus.write.v2.Request")
	w := httptest.NewRecorder()
	if b.ServeHTTP(w, r); w.Code != 415 || !strings.Contains(w.Body.String(), "remote write 2.0") {
		t.Errorf("version 2: %d %s", w.Code, w.Body)
	}
	r = httptest.NewRequest("GET", "/api/v1/write", nil)
	w = httptest.NewRecorder()
	if b.ServeHTTP(w, r); w.Code != 405 {
		t.Errorf("GET: %d", w.Code)
	}
	if w := b.post("snappy", snap(message(many[0]))); w.Code != 204 {
		t.Errorf("after all of these: %d %s", w.Code, w.Body)
	}
	if got := b.metric(t, `plimsoll_collector_write_requests_total{code="415"}`); got != 2 {
		t.Errorf("%v answers 415 counted", got)
	}
}

func TestABodyOfUnknownLengthIsCutAtTheLimit(t *testing.T) {
	b := newBench(t, Limits{BodyBytes: 2000}, shared)
	r := httptest.NewRequest("POST", "/api/v1/write", io.LimitReader(zeros{}, 1<<40))
	r.ContentLength = -1
	w := httptest.NewRecorder()
	if b.ServeHTTP(w, r); w.Code != 413 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// stub is a store that answers with err and waits for release when it is set.
type stub struct {
	err              error
	readOnly         bool
	entered, release chan struct{}
}

func (s stub) Append([]prompb.TimeSeries) error {
	if s.release != nil {
		s.entered <- struct{}{}
		<-s.release
	}
	return s.err
}
func (s stub) AppendMetadata([]prompb.MetricMetadata) error { return s.err }
func (s stub) ReadOnly() bool                               { return s.readOnly }
func (s stub) IgnoredSamples() map[string]float64           { return map[string]float64{"small_timestamp": 3} }

func TestWhatMayWorkLaterSaysWhen(t *testing.T) {
	body := snap(message([]string{"__name__", "later"}))
	for _, err := range []error{engine.ErrReadOnly, engine.ErrClosed} {
		w := newBench(t, Limits{}, stub{err: err}).post("snappy", body)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%v: %d %v", err, w.Code, w.Header())
		}
	}
	closing := newBench(t, Limits{}, stub{})
	closing.Close()
	if w := closing.post("snappy", body); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("closing: %d %v", w.Code, w.Header())
	}
}

// journalOf counts what it is given.
type journalOf struct{ batches int }

func (j *journalOf) Append(journal.Batch) (func(), error) { j.batches++; return func() {}, nil }

func TestAFullDiskIsNotFilledByTheJournalToo(t *testing.T) {
	for _, readOnly := range []bool{true, false} {
		reg, kept := prometheus.NewRegistry(), &journalOf{}
		h, err := New(Config{Journal: kept, Nodes: OpenNodes(NodesConfig{}, quiet(), reg)}, stub{readOnly: readOnly}, quiet(), reg)
		if err != nil {
			t.Fatal(err)
		}
		w := bench{h, reg}.post("snappy", snap(message([]string{"__name__", "full"})))
		if readOnly && (w.Code != 503 || w.Header().Get("Retry-After") != "30" || !strings.Contains(w.Body.String(), "--limit.free-disk") || kept.batches != 0) {
			t.Errorf("full disk: %d %v %s, %d batches in the journal", w.Code, w.Header(), w.Body, kept.batches)
		}
		if !readOnly && (w.Code != 204 || kept.batches != 1) {
			t.Errorf("free disk: %d %s, %d batches in the journal", w.Code, w.Body, kept.batches)
		}
	}
}

func TestMoreWritesThanTheLimitAreToldToComeAgain(t *testing.T) {
	store := stub{entered: make(chan struct{}), release: make(chan struct{})}
	b := newBench(t, Limits{Concurrency: 1}, store)
	body, first := snap(message([]string{"__name__", "busy"})), make(chan int)
	go func() { first <- b.post("snappy", body).Code }()
	<-store.entered
	if w := b.post("snappy", body); w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "--limit.write-concurrency") {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	close(store.release)
	if code := <-first; code != 204 {
		t.Errorf("the first got %d", code)
	}
}

func TestWhatTheEngineDroppedIsAReasonOfItsOwn(t *testing.T) {
	if got := newBench(t, Limits{}, stub{}).rejected(t, "engine_small_timestamp"); got != 3 {
		t.Errorf("got %v", got)
	}
}

func TestLimitsAreChecked(t *testing.T) {
	for _, l := range []Limits{{BodyBytes: 1}, {DecodedBytes: -1}, {Series: -1}, {Concurrency: -1}, {Labels: 5000}, {NameBytes: 1 << 20}, {ValueBytes: 1 << 20}, {Future: 100 * 24 * time.Hour}} {
		if _, err := New(Config{Limits: l}, stub{}, quiet(), prometheus.NewRegistry()); err == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
}

func TestAChangeOfAnEventMetricIsTold(t *testing.T) {
	told := 0
	reg := prometheus.NewRegistry()
	h, err := New(Config{Nodes: OpenNodes(NodesConfig{}, quiet(), reg), EventMetrics: []string{"oom_total"}, OnEvent: func() { told++ }}, stub{}, quiet(), reg)
	if err != nil {
		t.Fatal(err)
	}
	b := bench{h, reg}
	send := func(name string, v float64) {
		b.post("snappy", snap(wire.AppendSeries(nil, encoded([]string{"__name__", name, "container", "a"}), v, time.Now().UnixMilli())))
	}
	for _, step := range []struct {
		name  string
		value float64
		want  int // told so far
	}{
		{"oom_total", 0, 0}, {"oom_total", 0, 0}, {"cpu_total", 5, 0}, {"oom_total", 1, 1}, {"oom_total", 1, 1},
		{"oom_total", wire.Stale(), 1}, {"oom_total", 3, 2}, // not known since it ended: rather once too often
	} {
		if send(step.name, step.value); told != step.want {
			t.Errorf("after %s %v: told %d times, want %d", step.name, step.value, told, step.want)
		}
	}
}
