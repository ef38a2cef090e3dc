package chaos_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/ship"
)

// fault is a way in which a receiver fails; "" is none.
type fault string

// faults are all of them; those of the last row come after the collector has taken the batch.
func faults() []fault {
	return []fault{"down", "slow (1 byte/s)", "silent", "500", "429 with Retry-After", "503 with Retry-After", "reset", "half an answer", "wrong TLS",
		"reset after", "half an answer after", "500 after", "slow answer after"}
}

// faulty stands between agent and collector, with TLS when it has certificates.
type faulty struct {
	t       *testing.T
	URL     string
	caFile  string
	address string
	pass    *httputil.ReverseProxy
	right   *tls.Certificate
	wrong   *tls.Certificate

	mode     atomic.Value // fault
	mu       sync.Mutex
	newest   uint64          // sequence number that was taken
	taken    map[uint64]bool // sequence numbers
	late     int             // that were taken after a newer one
	again    int
	requests sync.Map     // of the fault, *atomic.Int64
	server   *http.Server // nil while down
}

func newFaulty(t *testing.T, to string) *faulty {
	t.Helper()
	f := &faulty{t: t}
	f.begin(to)
	f.URL = "http://" + f.address
	return f
}

// newFaultyTLS is a newFaulty whose certificate the authority in f.caFile has signed.
func newFaultyTLS(t *testing.T, to string) *faulty {
	t.Helper()
	f := &faulty{t: t}
	f.right, f.wrong = certificate(t), certificate(t)
	f.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(f.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.right.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	f.begin(to)
	f.URL = "https://" + f.address
	return f
}

// certificate is one that signs itself.
func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "receiver"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (f *faulty) begin(to string) {
	target, err := url.Parse(to)
	if err != nil {
		f.t.Fatal(err)
	}
	f.pass = httputil.NewSingleHostReverseProxy(target)
	f.taken = map[uint64]bool{}
	f.pass.ModifyResponse = func(resp *http.Response) error {
		if seq, err := strconv.ParseUint(resp.Request.Header.Get(ship.SequenceHeader), 10, 64); err == nil && resp.StatusCode/100 == 2 {
			f.note(seq)
		}
		return nil
	}
	f.pass.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	f.mode.Store(fault(""))
	f.address = "127.0.0.1:0"
	f.serve()
	f.t.Cleanup(func() {
		if f.server != nil {
			f.server.Close()
		}
	})
}

// serve listens at the address, the same again after a fault.
func (f *faulty) serve() {
	var l net.Listener
	var err error
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if l, err = net.Listen("tcp", f.address); err == nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			f.t.Fatal(err)
		}
	}
	f.address = l.Addr().String()
	f.server = &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)}
	if f.right != nil {
		l = tls.NewListener(l, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if f.mode.Load() == fault("wrong TLS") {
				f.count("wrong TLS")
				return f.wrong, nil
			}
			return f.right, nil
		}})
	}
	go f.server.Serve(l)
}

// set changes how the receiver fails. Connections end with it.
func (f *faulty) set(mode fault) {
	if f.server != nil {
		f.server.Close()
		f.server = nil
	}
	f.mode.Store(mode)
	if mode != "down" {
		f.serve()
	}
}

func (f *faulty) count(mode fault) {
	n, _ := f.requests.LoadOrStore(mode, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// note notes a batch that was taken.
func (f *faulty) note(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.taken[seq]:
		f.again++
	case seq < f.newest:
		f.late++
	}
	f.taken[seq] = true
	f.newest = max(f.newest, seq)
}

// arrivals is how many batches were taken after a newer one for the first time, and how many another time.
func (f *faulty) arrivals() (late, again int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.late, f.again
}

// counted is how many requests met the fault; those to a closed port are not seen.
func (f *faulty) counted(mode fault) int64 {
	if n, ok := f.requests.Load(mode); ok {
		return n.(*atomic.Int64).Load()
	}
	return 0
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mode := f.mode.Load().(fault)
	f.count(mode)
	switch mode {
	case "":
		f.pass.ServeHTTP(w, r)
		return
	case "reset after", "half an answer after", "500 after", "slow answer after":
		f.pass.ServeHTTP(httptest.NewRecorder(), r)
	case "slow (1 byte/s)":
		for one := make([]byte, 1); f.mode.Load() == mode; time.Sleep(time.Second) {
			if _, err := r.Body.Read(one); err != nil {
				break
			}
		}
		panic(http.ErrAbortHandler)
	default:
		io.Copy(io.Discard, r.Body)
	}
	switch mode {
	case "500", "500 after":
		w.WriteHeader(http.StatusInternalServerError)
	case "429 with Retry-After":
		w.Header().Set("Retry-After", "0.5")
		w.WriteHeader(http.StatusTooManyRequests)
	case "503 with Retry-After":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	case "silent":
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	default:
		f.breakOff(w, mode)
	}
}

// breakOff answers below HTTP.
func (f *faulty) breakOff(w http.ResponseWriter, mode fault) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	switch mode {
	case "half an answer", "half an answer after":
		io.WriteString(conn, "HTTP/1.1 20")
	case "slow answer after":
		for _, one := range []byte("HTTP/1.1 204 No Content\r\n\r\n") {
			if _, err := conn.Write([]byte{one}); err != nil || f.mode.Load() != mode {
				return
			}
			time.Sleep(time.Second)
		}
	default:
		if c, ok := conn.(*tls.Conn); ok {
			conn = c.NetConn()
		}
		conn.(*net.TCPConn).SetLinger(0)
	}
}
