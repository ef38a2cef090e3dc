package chaos_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// scraped is how many series a Prometheus scrapes.
const scraped = 200

// clerk stands between a real Prometheus and the collector and keeps a copy of every sample that was acknowledged.
type clerk struct {
	t    *testing.T
	pass *httputil.ReverseProxy

	mu    sync.Mutex
	acked map[string]map[int64]float64
}

func (c *clerk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	c.pass.ServeHTTP(answer, r)
	if answer.Code/100 == 2 {
		c.note(body)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

func (c *clerk) note(body []byte) {
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		c.t.Error(err)
		return
	}
	unmarshaler := prompb.GetWriteRequestUnmarshaler()
	defer prompb.PutWriteRequestUnmarshaler(unmarshaler)
	req, err := unmarshaler.UnmarshalProtobuf(raw)
	if err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ts := range req.Timeseries {
		name, of := "", ""
		for _, l := range ts.Labels {
			switch l.Name {
			case "__name__":
				name = l.Value
			case "series":
				of = strings.Clone(l.Value)
			}
		}
		if name != "chaos_scraped" {
			continue
		}
		if c.acked[of] == nil {
			c.acked[of] = map[int64]float64{}
		}
		for _, s := range ts.Samples {
			if !wire.IsStale(s.Value) {
				c.acked[of][s.Timestamp] = s.Value
			}
		}
	}
}

// Kill -9 of a real Prometheus that remote-writes, and of the collector, in turn: what was acknowledged is stored once. Prometheus does
// not send after a crash what it had scraped and not sent before; that is counted apart.
func TestARealPrometheusWritesThroughKillNine(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes a minute: make chaos")
	}
	const kills = 6
	var scrapes atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := scrapes.Add(1)
		for i := range scraped {
			fmt.Fprintf(w, "chaos_scraped{series=\"%d\"} %d\n", i, int(n)*scraped+i)
		}
	}))
	defer target.Close()
	c := newCollector(t)
	to, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	between := &clerk{t: t, pass: httputil.NewSingleHostReverseProxy(to), acked: map[string]map[int64]float64{}}
	between.pass.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	front := httptest.NewServer(between)
	defer front.Close()
	p := prometheusPeer(t, fmt.Sprintf(`
scrape_configs:
- job_name: chaos
  scrape_interval: 250ms
  scrape_timeout: 250ms
  static_configs: [{targets: ["%s"]}]
remote_write:
- url: %s/api/v1/write
  queue_config: {batch_send_deadline: 200ms, min_backoff: 30ms, max_backoff: 200ms}
`, strings.TrimPrefix(target.URL, "http://"), front.URL))
	c.start()
	c.waitReady()
	p.start()
	rnd := newRandom(t)
	for i := range 2 * kills {
		time.Sleep(3500*time.Millisecond + random(rnd, 2*time.Second)) // a Prometheus scrapes from the fifth second on
		if i%2 == 0 {
			c.kill()
			time.Sleep(random(rnd, time.Second))
			c.start()
			continue
		}
		p.kill()
		time.Sleep(random(rnd, 500*time.Millisecond))
		p.start()
	}
	time.Sleep(8 * time.Second)
	c.waitReady()
	end := time.Now()
	time.Sleep(3 * time.Second) // what was scraped till then is sent
	sampled := p.export(p, "chaos_scraped")
	p.kill()
	c.killLast()

	stored := scrapedIn(t, c)
	counts := c.query("count_over_time(chaos_scraped[3h])", time.Now())
	var acked, lost, double, wrong, unsent int
	for i := range scraped {
		of := strconv.Itoa(i)
		for at, value := range between.acked[of] {
			acked++
			if have, ok := stored[of][at]; !ok {
				lost++
			} else if have != value {
				wrong++
			}
		}
		double += max(0, int(counts[of])-len(stored[of]))
		for at, value := range sampled[of] {
			if _, ok := stored[of][at]; !ok && at <= end.UnixMilli() {
				unsent++
			} else if ok && int(value)%scraped != i {
				wrong++
			}
		}
	}
	told.count(fmt.Sprintf("prometheus writes, %d kills each", kills), count{expected: acked, stored: total(lengths(stored)), lost: lost, double: double, wrong: wrong}, "spooled is what the collector acknowledged; %d more were scraped and, after its death, never sent by Prometheus", unsent)
	if acked < 20*scraped || lost+double+wrong > 0 {
		t.Errorf("acknowledged %d, lost %d, double %d, wrong %d", acked, lost, double, wrong)
	}
}

func lengths(stored map[string]map[int64]float64) map[string]int {
	n := map[string]int{}
	for of, samples := range stored {
		n[of] = len(samples)
	}
	return n
}

// scrapedIn is what the collector has of the series that Prometheus scraped.
func scrapedIn(t *testing.T, c *collector) map[string]map[int64]float64 {
	t.Helper()
	end := strconv.FormatInt(time.Now().Unix()+1, 10) // the default is the last full second
	body, err := c.get("/api/v1/export", url.Values{"match[]": {"chaos_scraped"}, "end": {end}})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[int64]float64{}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Buffer(nil, 64<<20); lines.Scan(); {
		var one struct {
			Metric     map[string]string
			Values     []*float64 // null for a staleness marker
			Timestamps []int64
		}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		of := all[one.Metric["series"]]
		if of == nil {
			of = map[int64]float64{}
			all[one.Metric["series"]] = of
		}
		for i, at := range one.Timestamps {
			if one.Values[i] != nil {
				of[at] = *one.Values[i]
			}
		}
	}
	return all
}
