// Package ingest answers POST /api/v1/write: Prometheus remote write 1.0, compressed with snappy or zstd, every part of it limited.
//
// A request is stored in full (204), stored without the series and samples that can never be stored (400, naming the
// first of them; sending it again would not help), refused as a whole (400, 405, 413, 415) or to be sent again later
// (429 and 503, with Retry-After). What is stored is in the journal first, so that an acknowledged batch survives the death
// of the process. What the specification of the protocol asks of a receiver is at
// https://prometheus.io/docs/specs/prw/remote_write_spec/.
package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/allowance"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// Store takes the samples. engine.ErrReadOnly and engine.ErrClosed mean: the same again later.
type Store interface {
	Append([]prompb.TimeSeries) error
	AppendMetadata([]prompb.MetricMetadata) error
	IgnoredSamples() map[string]float64
	// ReadOnly tells whether Append would refuse all now for want of free disk.
	ReadOnly() bool
}

// Journal keeps what is accepted until the store has it on disk: a *journal.Journal. given is called once the store was
// given the batch.
type Journal interface {
	Append(journal.Batch) (given func(), err error)
}

// Config of the endpoint. Nodes is required.
type Config struct {
	Limits Limits
	// Journal may be nil: then the death of the process costs what the store has in memory.
	Journal Journal
	// Nodes learns of every agent that writes.
	Nodes *Nodes
	// Roster learns of the nodes that clusters tell of. nil: nobody wants to know.
	Roster interface{ Observe([]prompb.TimeSeries) }
	// Sender tells what the sender of a request adds and may write. nil: nothing, everything.
	Sender func(*http.Request) Sender
	// Census bounds the series. nil: there is no bound.
	Census *Census
	// EventMetrics are metrics whose every change someone waits for; OnEvent is called after a change has been stored.
	EventMetrics []string
	OnEvent      func()
}

// Handler is the endpoint.
type Handler struct {
	limits Limits
	store  Store
	log    *slog.Logger

	journal Journal
	nodes   *Nodes
	roster  interface{ Observe([]prompb.TimeSeries) }
	events  *events
	sender  func(*http.Request) Sender
	census  *Census
	clock   clock

	requests *seats                   // being served, their bodies being read or in memory
	offences *allowance.Table[string] // of messages that were refused as too large or as none, by caller
	decoders *decoders                // in memory decompressed
	closing  atomic.Bool
	bodies   sync.Pool // *[]byte

	m *metrics
}

// keepBytes is the largest memory for a message, and keepBodyBytes that for a body, that is kept for the next request; a batch of an agent with
// 100 containers takes about 1 MiB, and a tenth of that as a body.
const (
	keepBytes     = 4 << 20
	keepBodyBytes = 512 << 10
)

// New returns the endpoint over store.
func New(cfg Config, store Store, log *slog.Logger, reg prometheus.Registerer) (*Handler, error) {
	limits := cfg.Limits.withDefaults()
	if err := limits.validate(); err != nil {
		return nil, err
	}
	decoders, err := newDecoders(limits.DecodedBytes)
	if err != nil {
		return nil, err
	}
	h := &Handler{limits: limits, store: store, journal: cfg.Journal, nodes: cfg.Nodes, roster: cfg.Roster, sender: cfg.Sender, census: cfg.Census, events: newEvents(cfg.EventMetrics, cfg.OnEvent), log: log, decoders: decoders, m: newMetrics(reg, store),
		requests: newSeats(limits.Concurrency, bodiesFactor*limits.BodyBytes), offences: allowance.New[string](float64(limits.Refused), offencesPerSec, limits.Now)}
	h.bodies.New = func() any { return new([]byte) }
	last := cfg.Nodes.newest()
	h.clock = newClock(limits.Now, last)
	if now := limits.Now(); h.clock.unset(now).Sub(now) > leastBack {
		log.Error("the clock is behind the last batch that was received: set it right; samples of now may be answered 503 until then", "last_received", last)
	}
	return h, nil
}

// Close makes every further request answer 503. Those running are the server's to wait for.
func (h *Handler) Close() { h.closing.Store(true) }

// refusal is an answer other than 204.
type refusal struct {
	code       int
	retryAfter time.Duration // 0: sending the same again is of no use
	reason     string
	offence    bool // what came is no message, or too large: who keeps sending such is heard less
}

func refuse(code int, format string, args ...any) *refusal {
	return &refusal{code: code, reason: fmt.Sprintf(format, args...)}
}

// offends marks an answer to what is no message, or too large.
func (r *refusal) offends() *refusal {
	r.offence = true
	return r
}

func later(code int, after time.Duration, reason string) *refusal {
	return &refusal{code: code, retryAfter: after, reason: reason}
}

// anyOrderHeader tells agents that older samples are taken after newer ones, so that they send fresh ones first.
const anyOrderHeader = "X-Plimsoll-Any-Order"

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.limits.Now()
	w.Header().Set(anyOrderHeader, "1")
	answer := h.serve(w, r)
	h.m.duration.Observe(h.limits.Now().Sub(start).Seconds())
	if answer == nil {
		h.m.requests.WithLabelValues("204").Inc()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.m.requests.WithLabelValues(strconv.Itoa(answer.code)).Inc()
	h.log.Debug("write refused", "code", answer.code, "reason", answer.reason, "from", r.RemoteAddr)
	if answer.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(answer.retryAfter/time.Second)))
	}
	http.Error(w, answer.reason, answer.code)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) *refusal {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return refuse(http.StatusMethodNotAllowed, "remote write is a POST")
	}
	if h.closing.Load() {
		return later(http.StatusServiceUnavailable, 5*time.Second, "the collector is stopping")
	}
	if answer := checkHeaders(w, r); answer != nil {
		return answer
	}
	answer := h.take(w, r)
	h.resent(r, answer)
	return answer
}

// take reads a body and stores what is in it.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) *refusal {
	came := h.limits.Now()
	encoding := r.Header.Get("Content-Encoding")
	if answer := h.patience(r).body(r.ContentLength); answer != nil {
		return answer
	}
	buf := h.bodies.Get().(*[]byte)
	defer h.release(buf)
	body, answer := h.incoming(w, r, buf)
	if answer != nil {
		return answer
	}
	more, answer := body.start()
	defer func() { h.m.receivedBytes.Add(float64(len(*buf))) }()
	if answer != nil {
		return answer
	}
	patient := func() *refusal { return h.patience(r).message(encoding, *buf) }
	if answer := patient(); answer != nil {
		return answer
	}
	seat := h.requests.take(r)
	if seat == nil {
		return later(http.StatusTooManyRequests, time.Second, fmt.Sprintf("%d writes are being served, or half of that from this address, or three eighths from this sender (--limit.write-concurrency)", h.requests.most))
	}
	defer seat.leave()
	if more {
		if answer := h.decoders.early(encoding, *buf, r.ContentLength); answer != nil {
			return answer
		}
		if answer := body.rest(seat.hold); answer != nil {
			return answer
		}
	}
	batch := journal.Batch{Encoding: encoding, Body: *buf, Received: h.limits.Now()}
	batch.Agent, batch.Sequence, batch.First = sequence(r.Header)
	batch.Run = run(r.Header)
	return h.decoders.inTurn(r.Context(), batch.Encoding, batch.Body, func(unpack func() ([]byte, *refusal)) *refusal {
		if answer := patient(); answer != nil { // others of the caller had their turn meanwhile
			return answer
		}
		message, answer := unpack()
		if answer == nil {
			answer = h.ingestFrom(w, r, message, &batch)
			h.nodes.compareClock(batch.Agent, r.Header, came)
		}
		h.resent(r, answer)
		return answer
	})
}

// ingestFrom stores the message of a request, as its sender may.
func (h *Handler) ingestFrom(w http.ResponseWriter, r *http.Request, message []byte, batch *journal.Batch) *refusal {
	var from Sender
	if h.sender != nil {
		from = h.sender(r)
	}
	answer := h.ingest(message, batch, from)
	if batch.Agent == "" && r.Header.Get(agentHeader) != "" {
		w.Header().Set(refusedAgentHeader, "it makes no sense, or is the name of a node that another token writes; batches are stored and their numbers do not count")
	}
	return answer
}

// resent remembers an offence, once.
func (h *Handler) resent(r *http.Request, answer *refusal) {
	if answer != nil && answer.offence {
		answer.offence = false
		h.offences.Spend(turns.Who(r.Context()))
	}
}

// checkHeaders refuses what is not remote write 1.0. A missing or odd Content-Type and any protocol version header are
// tolerated: the message itself decides.
func checkHeaders(w http.ResponseWriter, r *http.Request) *refusal {
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "snappy", "zstd":
	default:
		w.Header().Set("Accept-Encoding", "zstd, snappy")
		return refuse(http.StatusUnsupportedMediaType, "Content-Encoding %.40q is not supported; use snappy or zstd", encoding)
	}
	if proto := r.Header.Get("Content-Type"); strings.Contains(strings.ToLower(proto), "io.prometheus.write.v2") {
		return refuse(http.StatusUnsupportedMediaType, "Content-Type %.80q: %v", proto, errSecond)
	}
	return nil
}

// ingest stores the message in body, which batch holds compressed. The decoded labels point into body.
func (h *Handler) ingest(body []byte, batch *journal.Batch, from Sender) *refusal {
	most := messageSize{series: h.limits.Series, memoryBytes: decodedCostFactor * h.limits.DecodedBytes, plainBytes: plainCostFactor*int64(len(body)) + plainCostBytes}
	size, err := measure(body, most)
	if errors.Is(err, errSecond) {
		return refuse(http.StatusUnsupportedMediaType, "%v", err)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "not a remote write 1.0 message: %v", err).offends()
	}
	if !size.within(most) {
		h.m.reject(reasonRequestSize, size.samples)
	}
	switch {
	case size.series > most.series:
		return refuse(http.StatusRequestEntityTooLarge, "the request has more than %d series (--limit.write-series); send smaller batches", most.series).offends()
	case size.memoryBytes > most.memoryBytes:
		return refuse(http.StatusRequestEntityTooLarge, "the request would take more than %d bytes of memory (%d times --limit.write-decoded); send smaller batches", most.memoryBytes, decodedCostFactor).offends()
	case size.plainBytes > most.plainBytes:
		return refuse(http.StatusRequestEntityTooLarge, "a request of %d bytes decompressed would take more than %d bytes of memory, %d times as many; it is made of almost nothing", len(body), most.plainBytes, plainCostFactor).offends()
	}
	u := prompb.GetWriteRequestUnmarshaler()
	if size.memoryBytes <= keepBytes {
		defer prompb.PutWriteRequestUnmarshaler(u)
	}
	wr, err := u.UnmarshalProtobuf(body)
	if err != nil {
		return refuse(http.StatusBadRequest, "not a remote write 1.0 message: %v", err).offends()
	}
	return h.storeValid(wr, batch, from)
}

func (h *Handler) storeValid(wr *prompb.WriteRequest, batch *journal.Batch, from Sender) *refusal {
	series := len(wr.Timeseries)
	var faults faults
	if len(from.Bounds) > 0 && len(wr.Metadata) > 0 {
		// What a metric means is told to everybody, and a bound token speaks for its own series only.
		wr.Metadata, faults.beyondReplay = nil, true
	}
	taken := h.limits.period(batch.Received, h.clock.unset(batch.Received))
	valid := h.limits.admit(from.apply(wr.Timeseries, &faults), taken, &faults)
	if taken.back > leastBack && faults.samples[reasonFuture] > 0 {
		return later(http.StatusServiceUnavailable, 30*time.Second, fmt.Sprintf("the collector's clock was set back by %s, to before what it has received; samples of now are kept out until it is right", taken.back.Round(time.Second)))
	}
	if h.census != nil {
		valid = h.census.admit(valid, &faults)
	}
	if faults.beyondReplay {
		// The journal keeps what is stored: a replay knows nothing of tokens and caps.
		wr.Timeseries = valid
		message := wr.MarshalProtobuf(nil)
		if int64(len(message)) > h.limits.DecodedBytes {
			return refuse(http.StatusRequestEntityTooLarge, "with the labels of the token the message has %d bytes, the most is %d (--limit.write-decoded); send smaller batches", len(message), h.limits.DecodedBytes)
		}
		batch.Encoding, batch.Body = "snappy", snappy.Encode(nil, message)
	}
	for reason, n := range faults.samples {
		h.m.reject(reason, n)
	}
	for i := range valid {
		batch.Samples += len(valid[i].Samples)
	}
	if h.nodes.disowned(batch.Agent, from.Name, valid) {
		batch.Agent, batch.Sequence, batch.First = "", 0, 0
	}
	if answer := h.keep(wr, valid, *batch); answer != nil {
		return answer
	}
	h.nodes.observe(valid, *batch, from.Name)
	if h.roster != nil {
		h.roster.Observe(valid)
	}
	h.m.ingested.Add(float64(batch.Samples))
	if h.events.happened(valid) {
		h.events.tell()
	}
	if faults.first != "" {
		return refuse(http.StatusBadRequest, "%d of %d series rejected in full or in part, the rest is stored; the first: %s", faults.series, series, faults.first)
	}
	return nil
}

// keep puts a batch into the journal and then into the store. What the store would refuse does not come into the journal, which is on the
// same full disk and would have it again with each attempt.
func (h *Handler) keep(wr *prompb.WriteRequest, valid []prompb.TimeSeries, batch journal.Batch) *refusal {
	if h.store.ReadOnly() {
		return later(http.StatusServiceUnavailable, 30*time.Second, "less disk is free than --limit.free-disk")
	}
	if h.journal != nil {
		given, err := h.journal.Append(batch)
		switch {
		case errors.Is(err, journal.ErrReplaying):
			return later(http.StatusServiceUnavailable, time.Second, err.Error())
		case errors.Is(err, journal.ErrTooLarge):
			return refuse(http.StatusRequestEntityTooLarge, "%v; send smaller batches", err)
		case err != nil:
			return later(http.StatusServiceUnavailable, 5*time.Second, err.Error())
		}
		defer given()
	}
	return h.give(wr, valid)
}

// give puts a batch into the store.
func (h *Handler) give(wr *prompb.WriteRequest, valid []prompb.TimeSeries) *refusal {
	err := h.store.Append(valid)
	if err == nil && len(wr.Metadata) > 0 {
		err = h.store.AppendMetadata(h.limits.admitMetadata(wr.Metadata))
	}
	switch {
	case errors.Is(err, engine.ErrReadOnly):
		return later(http.StatusServiceUnavailable, 30*time.Second, err.Error())
	case errors.Is(err, engine.ErrClosed):
		return later(http.StatusServiceUnavailable, 5*time.Second, "the collector is stopping")
	case errors.Is(err, engine.ErrLabels):
		return refuse(http.StatusBadRequest, "store: %v", err)
	case err != nil:
		return refuse(http.StatusInternalServerError, "store: %v", err)
	}
	return nil
}

func (h *Handler) release(body *[]byte) {
	if cap(*body) <= keepBodyBytes {
		*body = (*body)[:0]
		h.bodies.Put(body)
	}
}
