package ship

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// numbered is a batch of so many series, told apart by the label n.
func numbered(series int) []byte {
	var payload []byte
	for n := range series {
		labels := wire.AppendLabels(nil, []wire.Label{{Name: "__name__", Value: "m"}, {Name: "n", Value: fmt.Sprint(n)}})
		payload = wire.AppendSeries(payload, labels, float64(n), 1)
	}
	return payload
}

// stingy is a receiver of snappy that takes so many series in a request.
type stingy struct {
	t    *testing.T
	most int
	bad  string // a series that it rejects

	mu       sync.Mutex
	requests int
	placed   int // requests that said where they have their place
	series   []string
}

func (s *stingy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	body, _ := io.ReadAll(r.Body)
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	unmarshaler := prompb.GetWriteRequestUnmarshaler()
	defer prompb.PutWriteRequestUnmarshaler(unmarshaler)
	req, err := unmarshaler.UnmarshalProtobuf(raw)
	if err != nil {
		s.t.Errorf("a part is no write request: %v", err)
	}
	if len(req.Timeseries) > s.most {
		http.Error(w, "too many series", http.StatusRequestEntityTooLarge)
		return
	}
	for _, ts := range req.Timeseries {
		if s.bad != "" && ts.Labels[1].Value == s.bad {
			http.Error(w, "a bad series", http.StatusBadRequest)
			return
		}
	}
	for _, ts := range req.Timeseries {
		s.series = append(s.series, strings.Clone(ts.Labels[1].Value))
	}
	if r.Header.Get(SequenceHeader) != "" {
		s.placed++
	}
	w.WriteHeader(http.StatusNoContent)
}

func TestABatchThatIsTooLargeIsSentInParts(t *testing.T) {
	const series = 100
	for _, c := range []struct {
		name           string
		most, rejected int
		bad            string
		requests       int // at most, for three batches
	}{
		{name: "half of it", most: 50, requests: 3 * 4},
		{name: "one series", most: 1, requests: 3*2*series + 10},
		{name: "not even one", most: 0, rejected: series, requests: 3 * 9},
		{name: "a bad series in it", most: 50, bad: "7", rejected: 50, requests: 3 * 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stingy{t: t, most: c.most, bad: c.bad}
			cfg := serve(t, &script{})
			cfg.transport = transportFunc(func(req *http.Request) (*http.Response, error) {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, req)
				req.Body.Close()
				return w.Result(), nil
			})
			cfg.Compression = Snappy
			r := newRig(t, cfg, quiet(), 0)
			for range 3 {
				if _, err := r.spool.Append(numbered(series), series); err != nil {
					t.Fatal(err)
				}
			}
			r.run()
			r.eventually("all delivered", r.empty)
			r.stop()
			if len(s.series) != 3*(series-c.rejected) || s.requests > c.requests {
				t.Fatalf("%d series came in %d requests, want %d in at most %d", len(s.series), s.requests, 3*(series-c.rejected), c.requests)
			}
			counts := map[string]int{}
			for _, n := range s.series {
				counts[n]++
			}
			for n, times := range counts {
				if times != 3 {
					t.Fatalf("series %s came %d times in 3 batches", n, times)
				}
			}
			if c.rejected == 0 && s.placed != 3 {
				t.Fatalf("%d of the parts have the place of one of 3 batches", s.placed)
			}
			if got := r.metric("plimsoll_agent_samples_dropped_total"); int(got) != 3*c.rejected {
				t.Fatalf("%v samples counted as dropped, want %d", got, 3*c.rejected)
			}
			if got := r.shipped(); int(got) != 3*(series-c.rejected) {
				t.Fatalf("%v samples counted as shipped, want %d", got, 3*(series-c.rejected))
			}
		})
	}
}

func TestPartsAreCutBetweenSeriesNearTheMiddle(t *testing.T) {
	for _, series := range []int{2, 3, 10, 101} {
		plain := numbered(series)
		first, second, ok := part{}.halve(plain)
		if !ok || !bytes.Equal(slices.Concat(first.of(plain), second.of(plain)), plain) {
			t.Fatalf("%d series: %v %v %v", series, first, second, ok)
		}
		if a, b := samplesIn(first.of(plain)), samplesIn(second.of(plain)); a+b != series || abs(a-b) > 2 {
			t.Fatalf("%d series: cut to %d and %d", series, a, b)
		}
	}
	for _, plain := range [][]byte{nil, numbered(1), []byte("no message at all"), {0x0a, 0x7f, 0x01}} {
		if _, _, ok := (part{}).halve(plain); ok {
			t.Fatalf("%q was cut", plain)
		}
	}
}
