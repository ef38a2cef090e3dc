package chaos_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// scraper writes to a collector as one that knows nothing of sequences does: each round has so many series that stay and some that are new.
type scraper struct {
	c     *collector
	zero  int64
	round int
	sums  map[int64]float64 // of the acknowledged rounds, by timestamp
}

const staying, fresh = 500, 20

func (s *scraper) write() error {
	at := s.zero + int64(s.round)*50
	var raw []byte
	sum := 0.0
	add := func(name string, i int) {
		labels := wire.AppendLabels(nil, []wire.Label{{Name: "__name__", Value: "replay_value"}, {Name: "cluster", Value: "c"}, {Name: "series", Value: name + strconv.Itoa(i)}})
		value := float64(s.round*1000 + i)
		raw = wire.AppendSeries(raw, labels, value, at)
		sum += value
	}
	for i := range staying {
		add("staying", i)
	}
	for i := range fresh {
		add("fresh", s.round*fresh+i)
	}
	s.round++
	req, err := http.NewRequest(http.MethodPost, s.c.url+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, raw)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Encoding", "snappy")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("write: %s", resp.Status)
	}
	s.sums[at] = sum
	return nil
}

// unseen is how many of the acknowledged rounds a query does not find whole.
func (s *scraper) unseen() (rounds int) {
	for at, want := range s.sums {
		body, err := s.c.get("/api/v1/query", url.Values{"query": {"sum(sum_over_time(replay_value[1ms]))"}, "time": {strconv.FormatFloat(float64(at)/1000, 'f', 3, 64)}, "nocache": {"1"}})
		if err != nil {
			s.c.t.Fatal(err)
		}
		if !bytes.Contains(body, []byte(`"`+strconv.FormatFloat(want, 'f', -1, 64)+`"`)) {
			rounds++
		}
	}
	return rounds
}

// A collector that says it is ready shows all that it had acknowledged, series among it that are not in the index on disk, also to one
// that asked for them meanwhile and was told what there was.
func TestWhatIsReplayedIsSeenWhenReady(t *testing.T) {
	n, long := 1, false
	if _, long = rounds(t); long {
		n = 8
	} else {
		t.Parallel()
	}
	asked, writes, missing := 0, 0, 0
	for round := range n {
		c := newCollector(t)
		c.start()
		c.waitReady()
		s := &scraper{c: c, zero: time.Now().Add(-time.Minute).UnixMilli(), sums: map[int64]float64{}}
		for range 40 + 7*round {
			if err := s.write(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		c.kill()
		c.start()
		for {
			if _, err := c.get("/api/v1/query", url.Values{"query": {"count(replay_value)"}, "time": {strconv.FormatInt(time.Now().Unix(), 10)}}); err == nil {
				asked++
			}
			if _, err := c.get("/-/ready", nil); err == nil {
				break
			}
		}
		missing += s.unseen()
		writes += len(s.sums)
		c.kill()
	}
	if long {
		told.tell("what is replayed is seen at ready", "%d of %d acknowledged writes were not whole in the first queries after %d kills; %d queries came before ready", missing, writes, n, asked)
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged writes are not seen", missing, writes)
	}
}
