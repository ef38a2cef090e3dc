// Package ship moves spooled batches to one remote-write receiver, fresh data
// first where the receiver allows it, and tells the spool what became of each.
//
// It speaks Prometheus remote write 1.0,
// https://prometheus.io/docs/specs/prw/remote_write_spec/, over HTTP, with
// snappy, or zstd where the receiver takes it.
//
// What becomes of a batch follows from the answer:
//
//	2xx                      delivered
//	5xx, 408, 425, 429       sent again after a pause, Retry-After honoured
//	no or half an answer     the same
//	401, 403                 kept and sent again: the token may be put right
//	3xx, 404, 405, 407, 415  kept and sent again: the address may be put right
//	413                      split in two and sent again, down to one series
//	any other 4xx            set aside and counted, for the batch is at fault
//
// A receiver that takes batches in any order gets several at once, as many as
// it can stand; another one gets one at a time.
package ship

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

// Source is where the batches come from: a *spool.Reader.
type Source interface {
	// Next returns a batch with its payload in dst's storage. It waits until
	// ctx ends; a batch that already waits is returned even after that.
	Next(ctx context.Context, dst []byte) (spool.Record, error)
	// Ack says that the receiver has the batch.
	Ack(seq uint64)
	// Reject says that the receiver will never take so many samples of the
	// batch, and has the others.
	Reject(seq uint64, samples int, reason string)
	// SetOrder chooses in which order batches are given.
	SetOrder(order spool.Order)
	// SetBacklogRate bounds how much of what piled up is given a second, bytes; 0 is no bound.
	SetBacklogRate(bytesPerSecond int64)
	// Backlog is what the receiver does not have.
	Backlog() spool.Backlog
}

// Order says in which order a receiver gets what piled up during an outage.
type Order string

const (
	// AutoOrder is in order until the receiver says in its answers that it
	// takes older samples after newer ones (AnyOrderHeader), then fresh first.
	AutoOrder  Order = "auto"
	FreshFirst Order = "fresh-first"
	// InOrder is what Prometheus needs: it refuses samples older than the
	// newest of their series.
	InOrder Order = "in-order"
)

// AnyOrderHeader is set to "1" in the answers of a receiver that takes older
// samples after newer ones.
const AnyOrderHeader = "X-Plimsoll-Any-Order"

// What a batch says of its place among the others of its spool: the spool's
// name, its number, and the lowest number that the receiver may still be sent.
// A receiver can tell from them what is late and what will not come.
const (
	AgentHeader         = "X-Plimsoll-Agent"
	SequenceHeader      = "X-Plimsoll-Sequence"
	FirstSequenceHeader = "X-Plimsoll-First-Sequence"
)

// RunHeader tells one start of the agent from others: two agents whose spools have one name, as copies of a machine have, take turns in it.
const RunHeader = "X-Plimsoll-Run"

// SentHeader is the sender's clock when it sent the batch, in milliseconds since
// 1970: a receiver compares it with its own.
const SentHeader = "X-Plimsoll-Sent"

// ParseOrder reads an order as --remote-write.order takes it.
func ParseOrder(text string) (Order, error) {
	switch o := Order(text); o {
	case AutoOrder, FreshFirst, InOrder:
		return o, nil
	}
	return "", fmt.Errorf("%q is not an order: want %s, %s or %s", text, AutoOrder, FreshFirst, InOrder)
}

// Receiver says where to and how.
type Receiver struct {
	// Name is the receiver label of the metrics. "" means NameOf(URL).
	Name string

	// URL is the receiver's write address, such as
	// http://127.0.0.1:9750/api/v1/write. Required.
	URL string

	// TokenFile holds a bearer token, or Username and PasswordFile make basic
	// authentication. Files are read for every request, so a change counts at
	// once.
	TokenFile              string
	Username, PasswordFile string

	// CAFile holds the authorities that may have signed the receiver's
	// certificate, "" means the system's. CertFile and KeyFile are the client
	// certificate. All PEM, and followed when they change.
	CAFile, CertFile, KeyFile string

	Compression Compression // "" means Auto
	Order       Order       // "" means AutoOrder

	// Concurrency bounds how many requests are under way at once to a receiver
	// that takes batches in any order. 0 means 4. Each may hold a batch in
	// memory, plain and compressed.
	Concurrency int

	// BacklogBytesPerSecond bounds, compressed as in the spool, how fast what
	// piled up during an outage goes to the receiver. 0 is no bound.
	BacklogBytesPerSecond int64

	// Timeout bounds one request with its answer. 0 means 30 s.
	Timeout time.Duration

	// DrainTimeout bounds what is sent after Run's context ended. 0 means 5 s.
	DrainTimeout time.Duration

	// MinBackoff and MaxBackoff bound the pause after a failed request. It
	// doubles with each failure in a row, and is cut by a random part of up to
	// a half so that agents spread. 0 means 250 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration

	// Version goes into the User-Agent, plimsoll-agent/<Version>.
	Version string

	transport http.RoundTripper // nil means the network
}

// Phase is what the shipper is at.
type Phase string

const (
	Starting     Phase = "starting"     // no answer yet
	Delivering   Phase = "delivering"   // the last batch was taken or set aside
	Retrying     Phase = "retrying"     // the receiver is down or busy
	Unauthorised Phase = "unauthorised" // the receiver refuses the credentials
	Misdirected  Phase = "misdirected"  // nothing at the address takes writes
	Stopped      Phase = "stopped"
)

// State is a receiver's condition at a moment.
type State struct {
	Name, URL      string
	Phase          Phase
	Compression    Compression // what the next request uses
	LastSuccess    time.Time
	LastError      string // "" when there was none
	LastErrorAt    time.Time
	BacklogBytes   int64
	BacklogSamples uint64
	// Lag is how long the oldest new batch waits that the receiver does not
	// have, 0 when it has the newest.
	Lag            time.Duration
	SamplesShipped uint64
}

// Shipper serves one receiver.
type Shipper struct {
	cfg     Receiver
	url     *url.URL
	run     string // see RunHeader
	source  Source
	log     *slog.Logger
	metrics metrics

	auth    *auth
	backoff backoff

	mu           sync.Mutex
	state        State
	window       window
	changed      chan struct{} // closed when the window changes
	negotiate    negotiation
	refusedBytes int       // the least that the receiver found too large
	refusedUntil time.Time // how long to believe that
	failingSince time.Time
	told         bool      // the log has the failure
	toldAt       time.Time // of the newest such line
	authFault    string    // what was last wrong with a credential file
	anyOrder     bool      // the receiver takes older samples after newer ones
	rejected     rejectLog
}

// New checks the configuration, including that the credential files can be
// read, and returns a shipper that the caller runs.
func New(cfg Receiver, source Source, log *slog.Logger, reg prometheus.Registerer) (*Shipper, error) {
	u, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	s := &Shipper{
		cfg:     cfg,
		url:     u,
		run:     rand.Text(),
		source:  source,
		log:     log.With("receiver", cfg.Name),
		backoff: backoff{min: cfg.MinBackoff, max: cfg.MaxBackoff},
		state:   State{Name: cfg.Name, URL: u.Redacted(), Phase: Starting},
		changed: make(chan struct{}),
	}
	s.negotiate.wanted = cfg.Compression
	if s.auth, err = newAuth(cfg); err != nil {
		return nil, err
	}
	if cfg.Order == FreshFirst {
		source.SetOrder(spool.FreshFirst)
		s.window.setMost(cfg.Concurrency)
	} else {
		source.SetOrder(spool.InOrder)
		s.window.setMost(1)
	}
	source.SetBacklogRate(cfg.BacklogBytesPerSecond)
	if s.metrics, err = newMetrics(reg, cfg.Name, s); err != nil {
		return nil, err
	}
	return s, nil
}

// NameOf is the name of the receiver at a URL when it is given none: its host
// and port.
func NameOf(rawURL string) string {
	if u, err := url.Parse(rawURL); err == nil && u.Host != "" {
		return u.Host
	}
	return rawURL
}

// validate fills in defaults and refuses what cannot work.
func (r *Receiver) validate() (*url.URL, error) {
	u, err := parseURL(r.URL)
	if err != nil {
		return nil, err
	}
	if r.Name == "" {
		r.Name = NameOf(r.URL)
	}
	if r.TokenFile != "" && (r.Username != "" || r.PasswordFile != "") {
		return nil, errors.New("--remote-write.token-file and --remote-write.username: give one of them, not both")
	}
	if (r.Username != "") != (r.PasswordFile != "") {
		return nil, errors.New("--remote-write.username and --remote-write.password-file: give both or neither")
	}
	if (r.CertFile != "") != (r.KeyFile != "") {
		return nil, errors.New("--remote-write.tls.cert and --remote-write.tls.key: give both or neither")
	}
	if r.Compression == "" {
		r.Compression = Auto
	}
	if _, err := ParseCompression(string(r.Compression)); err != nil {
		return nil, fmt.Errorf("--remote-write.compression: %w", err)
	}
	if r.Order == "" {
		r.Order = AutoOrder
	}
	if _, err := ParseOrder(string(r.Order)); err != nil {
		return nil, fmt.Errorf("--remote-write.order: %w", err)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"Timeout", &r.Timeout, 30 * time.Second},
		{"DrainTimeout", &r.DrainTimeout, 5 * time.Second},
		{"MinBackoff", &r.MinBackoff, 250 * time.Millisecond},
		{"MaxBackoff", &r.MaxBackoff, 30 * time.Second},
	} {
		if *d.value < 0 {
			return nil, fmt.Errorf("receiver %s: %s %s: want a positive duration", r.Name, d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.unset
		}
	}
	if r.Concurrency < 0 {
		return nil, fmt.Errorf("--remote-write.concurrency %d: want at least 1", r.Concurrency)
	}
	if r.BacklogBytesPerSecond < 0 {
		return nil, fmt.Errorf("--remote-write.backlog-bytes-per-second %d: want a positive number, or 0 for no bound", r.BacklogBytesPerSecond)
	}
	if r.Concurrency == 0 {
		r.Concurrency = 4
	}
	if r.Version == "" {
		r.Version = "unknown"
	}
	return u, nil
}

func parseURL(raw string) (*url.URL, error) {
	const right = "want one such as http://127.0.0.1:9750/api/v1/write"
	u, err := url.Parse(raw)
	var parse *url.Error
	switch {
	case raw == "":
		return nil, fmt.Errorf("--remote-write.url is empty: %s", right)
	case errors.As(err, &parse):
		return nil, fmt.Errorf("--remote-write.url: %w: %s", parse.Err, right)
	case err != nil:
		return nil, fmt.Errorf("--remote-write.url: %w: %s", err, right)
	case u.User != nil:
		return nil, fmt.Errorf("--remote-write.url %s: no user or password in the address: use --remote-write.username and --remote-write.password-file", u.Redacted())
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("--remote-write.url %s: no http:// or https:// in front: %s", raw, right)
	case u.Hostname() == "":
		return nil, fmt.Errorf("--remote-write.url %s: no host: %s", raw, right)
	case u.Path == "" || u.Path == "/":
		return nil, fmt.Errorf("--remote-write.url %s: no path: %s", raw, right)
	}
	return u, nil
}

// State returns the receiver's condition.
func (s *Shipper) State() State {
	now := time.Now()
	waiting := s.source.Backlog()
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Compression = s.negotiate.choose(false, now)
	state.BacklogBytes = waiting.Bytes
	state.BacklogSamples = waiting.Samples
	if !waiting.WaitingSince.IsZero() {
		state.Lag = max(0, now.Sub(waiting.WaitingSince))
	}
	return state
}
