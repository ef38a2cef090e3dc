package chaos_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/zstd"
)

// show skips what nobody asked for, by PLIMSOLL_SHOW or as a part of the long run.
func show(t *testing.T, name string) {
	t.Helper()
	if _, long := rounds(t); !long && os.Getenv("PLIMSOLL_SHOW") != name {
		t.Skipf("takes minutes: make show-%s", name)
	}
}

// sent is what a receiver got in one request.
type sent struct {
	wire, samples, series int
	labels                map[string]bool
	containers            map[string]int // series of each
}

// scale is a receiver that weighs what it gets and keeps it in a directory, if there is one.
type scale struct {
	t    *testing.T
	keep string

	mu  sync.Mutex
	got []sent
}

func (s *scale) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wire, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer decoder.Close()
	raw, err := decoder.DecodeAll(wire, nil)
	if err != nil {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	unmarshaler := prompb.GetWriteRequestUnmarshaler()
	defer prompb.PutWriteRequestUnmarshaler(unmarshaler)
	req, err := unmarshaler.UnmarshalProtobuf(raw)
	if err != nil {
		s.t.Error(err)
		return
	}
	one := sent{wire: len(wire), series: len(req.Timeseries), labels: map[string]bool{}, containers: map[string]int{}}
	for _, ts := range req.Timeseries {
		one.samples += len(ts.Samples)
		container, id := "", ""
		for _, l := range ts.Labels {
			switch l.Name {
			case "container":
				container = l.Value
			case "id":
				id = strings.Clone(l.Value)
			}
			one.labels[strings.Clone(l.Name)] = true
		}
		if container != "" {
			one.containers[id]++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keep != "" {
		if err := os.WriteFile(filepath.Join(s.keep, fmt.Sprintf("%04d.pb", len(s.got))), raw, 0o600); err != nil {
			s.t.Error(err)
		}
	}
	s.got = append(s.got, one)
	w.WriteHeader(http.StatusNoContent)
}

// since returns what came after so many requests.
func (s *scale) since(n int) []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sent(nil), s.got[n:]...)
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args[:min(len(args), 4)], " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// startPods runs n containers as a Kubernetes node with Docker names them: replicas of ten workloads in five namespaces. A fifth
// of them works all the time, a fifth now and then.
func startPods(t *testing.T, n int) {
	t.Helper()
	const idle, busy = "sleep 100000", "while :; do i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; sleep 1; done"
	var group sync.WaitGroup
	turns := make(chan struct{}, 4)
	t.Cleanup(func() {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("plimsoll-wire-%d", i)
		}
		exec.Command("docker", append([]string{"rm", "-f"}, names...)...).Run()
	})
	for i := range n {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			work := idle
			switch i % 5 {
			case 0:
				work = busy
			case 1:
				work = strings.Replace(strings.Replace(busy, "4000", "80000", 1), "sleep 1", "sleep 9", 1)
			}
			app := []string{"web", "api", "worker", "cache", "queue"}[i/2%5]
			namespace := []string{"shop", "billing", "search", "login", "mail"}[i%5]
			docker(t, "run", "-d", "--name", fmt.Sprintf("plimsoll-wire-%d", i), "--memory=64m", "--cpus=0.5",
				"--label=io.kubernetes.pod.namespace="+namespace, fmt.Sprintf("--label=io.kubernetes.pod.name=%s-%08x-%05x", app, 0x7d4b9c60+i%10, 0xabcde+i*7919),
				"--label=io.kubernetes.container.name="+app, "--label=io.kubernetes.docker.type=container", "plimsoll-bb:test", "sh", "-c", work)
		})
	}
	group.Wait()
}

// What a sample takes on the way, of the real agent beside 100 real containers with every label, in the rounds of some time.
func TestBytesOfASampleOnTheWire(t *testing.T) {
	show(t, "wire")
	if err := exec.Command("docker", "image", "inspect", "plimsoll-bb:test").Run(); err != nil {
		told.tell("bytes of a sample on the wire", "not weighed: needs Docker and the image plimsoll-bb:test, see .ci/run")
		t.Skip("needs Docker and the image plimsoll-bb:test, see .ci/run")
	}
	const containers, rounds, interval = 100, 4, 15 * time.Second
	startPods(t, containers)
	agent := filepath.Join(t.TempDir(), "plimsoll-agent")
	build := exec.Command("go", "build", "-o", agent, "./agent")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./agent: %v\n%s", err, text)
	}
	s := &scale{t: t, keep: os.Getenv("PLIMSOLL_WIRE_DIR")}
	server := httptest.NewServer(s)
	defer server.Close()
	log, err := os.Create(filepath.Join(t.TempDir(), "agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(agent, "run", "--remote-write.url="+server.URL+"/api/v1/write", "--data-dir="+t.TempDir(), "--listen=", "--interval="+interval.String(),
		"--kubernetes=off", "--idc=east", "--cluster=east-1", "--node=node-17.east.example", "--project-map=../../deploy/project-map.example.yaml")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	time.Sleep(2 * interval)
	before := len(s.since(0))
	time.Sleep(rounds * interval)
	got := s.since(before)

	full, all := sent{}, sent{}
	labels, series := map[string]bool{}, map[string]int{}
	for _, one := range got {
		all.wire, all.samples = all.wire+one.wire, all.samples+one.samples
		if one.samples >= 500 { // of a round, not of an event
			full.wire, full.samples = full.wire+one.wire, full.samples+one.samples
		}
		for l := range one.labels {
			labels[l] = true
		}
		for id, n := range one.containers {
			series[id] += n
		}
	}
	if len(series) < containers || full.samples == 0 {
		t.Fatalf("%d containers, %d samples: the agent's log:\n%s", len(series), full.samples, log.Name())
	}
	least := 1 << 30
	for _, n := range series {
		if n/rounds > 10 { // not one that began or ended
			least = min(least, n/rounds)
		}
	}
	for _, l := range []string{"project", "idc", "cluster", "node", "namespace", "workload", "pod", "container", "image", "id", "name"} {
		if !labels[l] {
			t.Errorf("no series has the label %s", l)
		}
	}
	each := float64(full.wire) / float64(full.samples)
	told.tell("bytes of a sample on the wire", "%.2f in rounds (want 10 at most), %.2f with all events; %d containers with at least %d series each, all labels, zstd, %d samples in %d requests",
		each, float64(all.wire)/float64(all.samples), len(series), least, all.samples, len(got))
	if each > 10 {
		t.Errorf("%.2f bytes a sample, want 10 at most", each)
	}
}
