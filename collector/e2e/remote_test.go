package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// certificate writes NAME.pem and NAME.key into dir, signed by the authority there, which the first one becomes.
func certificate(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{
		SerialNumber: big.NewInt(rand.Int64()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: name == "ca", BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := own, key
	if own.IsCA {
		own.KeyUsage |= x509.KeyUsageCertSign
	} else {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
		if err != nil {
			t.Fatal(err)
		}
		parent, signer = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	}
	signed, err := x509.CreateCertificate(crand.Reader, own, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: signed}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// remoteEngine puts the local engine behind TLS on TCP, for clients that show a certificate.
func remoteEngine(t *testing.T, dir string) (address string) {
	t.Helper()
	for _, name := range []string{"ca", "engine", "agent"} {
		certificate(t, dir, name)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "engine.pem"), filepath.Join(dir, "engine.key"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("unix", "/var/run/docker.sock")
				if err != nil {
					return
				}
				defer to.Close()
				go func() { io.Copy(to, from); to.Close() }()
				io.Copy(from, to)
			}()
		}
	}()
	return listener.Addr().String()
}

// TestARemoteEngineTellsTheSame: an agent that sees an engine over TLS alone, and no cgroup of its containers, ships the figures that the agent on
// the engine's host reads from the kernel, under the same names.
func TestARemoteEngineTellsTheSame(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "remote-engine" {
		t.Skip("compares rates of a minute: make show-remote-engine")
	}
	p := newPair(t, time.Second)
	keys, here := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(here, "cgroup.controllers"), []byte("cpu memory pids\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	near := p.agent(t)
	far := *p
	far.data, far.node = t.TempDir(), "elsewhere"
	far.more = []string{"--docker.host=tcp://" + remoteEngine(t, keys), "--docker.tls.ca=" + filepath.Join(keys, "ca.pem"),
		"--docker.tls.cert=" + filepath.Join(keys, "agent.pem"), "--docker.tls.key=" + filepath.Join(keys, "agent.key"), "--root.cgroup=" + here}
	remote := far.agent(t)
	name := fmt.Sprintf("remote-%06x", rand.N(1<<24))
	run(t, name, "--label=project="+name, "--memory=64m", "--cpus=0.2", image, "sh", "-c", "head -c 8388608 /dev/zero > /tmp/x; while :; do :; done")

	ask := func(node, metric, expr string) (float64, bool) {
		t.Helper()
		all := mustQuery(t, p.collector.url, fmt.Sprintf(expr, metric, name, node))
		if len(all) == 0 {
			return 0, false
		}
		return all[0].Value.value, true
	}
	eventually(t, 60*time.Second, "both have followed it for a while", func() error {
		for _, n := range []string{node, far.node} {
			if v, _ := ask(n, "container_cpu_usage_seconds_total", `count_over_time(%s{name=%q,node=%q,cpu="total"}[60s])`); v < 6 {
				return fmt.Errorf("%v samples from %s", v, n)
			}
		}
		return nil
	})
	if asked, read := remote.metric(t, `plimsoll_agent_containers_by_source{source="docker"}`), near.metric(t, `plimsoll_agent_containers_by_source{source="docker"}`); asked == 0 || read != 0 {
		t.Errorf("the far agent asks for %v containers, the near one for %v", asked, read)
	}

	shown := map[string]map[string]bool{}
	for _, s := range mustQuery(t, p.collector.url, fmt.Sprintf(`{name=%q}`, name)) {
		n := s.Metric["node"]
		if shown[n] == nil {
			shown[n] = map[string]bool{}
		}
		shown[n][s.Metric["__name__"]] = true
		if s.Metric["project"] != name || s.Metric["container"] != name || s.Metric["image"] != image {
			t.Errorf("labels %v", s.Metric)
		}
	}
	for metric := range shown[far.node] {
		if !shown[node][metric] {
			t.Errorf("the near agent has no %s", metric)
		}
	}
	rows := [][]any{{"metric", "cgroup", "engine", "difference"}}
	for _, c := range []struct {
		metric, expr  string
		within, grain float64 // share, and what an engine's tick of a second makes of a rate
	}{
		{"container_cpu_usage_seconds_total", `rate(%s{name=%q,node=%q,cpu="total"}[30s])`, 0.1, 0.01},
		{"container_cpu_cfs_throttled_periods_total", `rate(%s{name=%q,node=%q}[30s])`, 0.2, 1},
		{"container_memory_usage_bytes", `avg_over_time(%s{name=%q,node=%q}[5s])`, 0.02, 0},
		{"container_memory_working_set_bytes", `avg_over_time(%s{name=%q,node=%q}[5s])`, 0.02, 4096},
		{"container_spec_memory_limit_bytes", `%s{name=%q,node=%q}`, 0, 0},
		{"container_spec_cpu_quota", `%s{name=%q,node=%q}`, 0, 0},
		{"container_start_time_seconds", `%s{name=%q,node=%q}`, 0, 0},
		{"container_threads", `%s{name=%q,node=%q}`, 0, 0},
	} {
		read, a := ask(node, c.metric, c.expr)
		told, b := ask(far.node, c.metric, c.expr)
		rows = append(rows, []any{c.metric, read, told, percent(told, read)})
		if !a || !b || math.Abs(told-read) > c.within*read+c.grain {
			t.Errorf("%s: %v from the cgroup (%v), %v from the engine (%v)", c.metric, read, a, told, b)
		}
	}
	table(t, rows...)
	t.Logf("%d names from the cgroup, %d from the engine; only from the cgroup: %v", len(shown[node]), len(shown[far.node]),
		slices.Sorted(maps.Keys(without(shown[node], shown[far.node]))))
}

func without(all, some map[string]bool) map[string]bool {
	rest := maps.Clone(all)
	maps.DeleteFunc(rest, func(name string, _ bool) bool { return some[name] })
	return rest
}
