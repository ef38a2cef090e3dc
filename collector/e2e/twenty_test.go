package e2e_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lateEngine is an engine that tells of a container when that is over and removed: its start, its end and its removal at once. No real one is
// later. What it can not do here is run containers: runc does, at a rate that no engine reaches on two CPUs.
type lateEngine struct {
	address string
	events  chan []byte
}

func startLateEngine(t *testing.T) *lateEngine {
	t.Helper()
	dir, err := os.MkdirTemp("", "plimsoll-engine-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	e := &lateEngine{address: "unix://" + socket, events: make(chan []byte, 1000)}
	server := &http.Server{Handler: e}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return e
}

func (e *lateEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case path == "/_ping":
		fmt.Fprint(w, "OK")
	case strings.HasSuffix(path, "/info"):
		fmt.Fprint(w, `{"ID":"late","ServerVersion":"20.10","CgroupDriver":"cgroupfs"}`)
	case strings.HasSuffix(path, "/containers/json"):
		fmt.Fprint(w, "[]")
	case strings.HasSuffix(path, "/events"):
		w.(http.Flusher).Flush()
		for {
			select {
			case event := <-e.events:
				w.Write(event)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	default:
		http.Error(w, `{"message":"No such container"}`, http.StatusNotFound)
	}
}

// tell says that a container lived from began until now.
func (e *lateEngine) tell(id, name, project string, began time.Time) {
	e.say("start", id, name, project, began)
	e.say("die", id, name, project, time.Now())
	e.say("destroy", id, name, project, time.Now())
}

func (e *lateEngine) say(action, id, name, project string, at time.Time) {
	event, _ := json.Marshal(map[string]any{"Type": "container", "Action": action, "time": at.Unix(), "timeNano": at.UnixNano(), "Actor": map[string]any{"ID": id,
		"Attributes": map[string]string{"exitCode": "0", "name": name, "image": image, "project": project, "com.docker.compose.project": project, "com.docker.compose.service": "s" + id[:1]}}})
	e.events <- append(event, '\n')
}

// bundle writes what runc runs: a shell that counts, in a cgroup of that path.
func bundle(t *testing.T, dir, rootfs, cgroup string, loops int) {
	t.Helper()
	config, _ := json.Marshal(map[string]any{
		"ociVersion": "1.0.2", "root": map[string]any{"path": rootfs, "readonly": true},
		"process": map[string]any{"cwd": "/", "user": map[string]any{"uid": 0, "gid": 0}, "env": []string{"PATH=/bin"}, "args": []string{"sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); done", loops)}},
		"mounts":  []any{map[string]any{"destination": "/proc", "type": "proc", "source": "proc"}, map[string]any{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}},
		"linux":   map[string]any{"cgroupsPath": cgroup, "namespaces": []any{map[string]any{"type": "pid"}, map[string]any{"type": "mount"}}},
	})
	if err := cmp.Or(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func rootfs(t *testing.T) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	require(t, err == nil, "needs busybox (apt busybox-static)")
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", fmt.Sprintf("cd %s && mkdir bin proc dev && cp %s bin/busybox && ln -s busybox bin/sh", dir, busybox)).CombinedOutput(); err != nil {
		t.Fatalf("make a root file system: %v: %s", err, out)
	}
	return dir
}

// TestTwentyContainersASecond: runc's containers come and go at 20 a second for minutes, some a few milliseconds long, and the engine tells of
// each when it is over. Each leaves a record with what the kernel counted, and nothing is held afterwards.
func TestTwentyContainersASecond(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "exits" {
		t.Skip("takes minutes: make show-churn")
	}
	_, err := exec.LookPath("runc")
	require(t, err == nil, "needs runc")
	lasting := churnFor(t, 3*time.Minute)
	p, engine := newPair(t, interval), startLateEngine(t)
	p.more = []string{"--docker.host=" + engine.address, "--kubernetes=off"}
	agent := p.agent(t)
	project := fmt.Sprintf("twenty-%06x", rand.N(1<<24))
	parent := "/plimsoll-" + project
	dir, root := t.TempDir(), rootfs(t)
	t.Cleanup(func() {
		for _, dir := range append(glob("/sys/fs/cgroup/*"+parent), glob("/sys/fs/cgroup"+parent)...) {
			os.Remove(dir)
		}
	})
	one := func(n int) {
		id := fmt.Sprintf("%032x%032x", rand.Uint64(), n)
		home := filepath.Join(dir, id)
		bundle(t, home, root, parent+"/"+id, rand.N([]int{1, 500, 5000, 20_000}[n%4]))
		began := time.Now()
		if out, err := exec.Command("runc", "--root", filepath.Join(dir, "runc"), "run", "--bundle", home, id).CombinedOutput(); err != nil {
			t.Errorf("runc run: %v: %s", err, out)
		}
		engine.tell(id, fmt.Sprint(project, "-", n), project, began)
		os.RemoveAll(home)
	}
	one(0) // the parent is there from now on
	before := agent.held(t)

	began, made := time.Now(), 1
	var living sync.WaitGroup
	for tick := time.NewTicker(50 * time.Millisecond); time.Since(began) < lasting; <-tick.C {
		n := made
		made++
		living.Go(func() { one(n) })
	}
	living.Wait()
	elapsed := time.Since(began).Seconds()

	var records []exit
	came := time.Now()
	eventually(t, time.Minute, "the records reach the collector", func() (err error) {
		if records, err = exitsOf(p, project); err == nil && len(records) < made && time.Since(came) < 20*time.Second {
			err = fmt.Errorf("%d of %d", len(records), made)
		}
		return err
	})
	complete, sum, lacking := 0, 0.0, map[string]int{}
	for _, r := range records {
		if r.CPU != nil && r.Memory != nil && r.Code != nil && r.Runtime != nil {
			complete++
		} else {
			lacking[fmt.Sprintf("CPU %v memory %v code %v runtime %v", r.CPU != nil, r.Memory != nil, r.Code != nil, r.Runtime != nil)]++
		}
		if r.CPU != nil {
			sum += *r.CPU
		}
	}
	truth, missed := parentUsage(t, parent), agent.metric(t, "plimsoll_agent_final_readings_missed_total")
	table(t,
		[]any{"containers", "a second", "records", "complete", "missed", "CPU s, kernel", "CPU s, records", "error"},
		[]any{made, float64(made) / elapsed, len(records), complete, missed, truth, sum, percent(sum, truth)})
	if len(records) != made || float64(complete)+missed < float64(made) {
		t.Errorf("%d records of %d containers, %d of them complete, %v counted as missed; they have %v", len(records), made, complete, missed, lacking)
	}
	if off := sum/truth - 1; missed > float64(made/100) || off > 0.02 || off < -0.02 {
		t.Errorf("%v final readings missed; the records add up to %.3f s, the kernel counted %.3f s", missed, sum, truth)
	}
	agent.heldNoMore(t, before)
}
