package bench_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// deep is where bare cgroups are: deeper than agents look for containers, so that no other one on this machine meets them.
const deep = "plimsoll-bench/1/2/3/4/5/6/7/8/9"

// bareTree is cgroups without processes, in every hierarchy, and a folder that shows them as a tree of their own.
type bareTree struct {
	root string
	tops []string // in each hierarchy
}

func newBareTree(b *testing.B) bareTree {
	b.Helper()
	const mounted = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(mounted, "cgroup.controllers")); err == nil {
		b.Skip("the tree is cgroup v2: a cgroup nine levels down has no controllers")
	}
	t := bareTree{root: b.TempDir()}
	for _, hierarchy := range []string{"cpu", "cpuacct", "memory", "pids", "blkio", "unified"} {
		mount, err := filepath.EvalSymlinks(filepath.Join(mounted, hierarchy))
		if err != nil {
			continue // this kernel has none
		}
		b.Cleanup(func() { removeCgroups(filepath.Join(mount, strings.SplitN(deep, "/", 2)[0])) })
		top := filepath.Join(mount, deep)
		if err := os.MkdirAll(filepath.Join(top, "docker"), 0o755); err != nil {
			b.Skipf("make cgroups, as root: %v", err)
		}
		if err := os.Symlink(top, filepath.Join(t.root, hierarchy)); err != nil {
			b.Fatal(err)
		}
		t.tops = append(t.tops, top)
	}
	return t
}

// removeCgroups removes a cgroup and all below it. The kernel's files in them are no obstacle, and nothing that could be removed.
func removeCgroups(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroups(filepath.Join(dir, e.Name()))
		}
	}
	os.Remove(dir)
}

func (t bareTree) make(b *testing.B, id string) {
	b.Helper()
	for _, top := range t.tops {
		if err := os.Mkdir(filepath.Join(top, "docker", id), 0o755); err != nil {
			b.Fatal(err)
		}
	}
}

func (t bareTree) remove(b *testing.B, id string) {
	b.Helper()
	for _, top := range t.tops {
		if err := os.Remove(filepath.Join(top, "docker", id)); err != nil {
			b.Fatal(err)
		}
	}
}

func containerIDs(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i))))
	}
	return ids
}

// stub answers like a Docker engine. Its containers are of fifty services.
type stub struct {
	address  string
	began    string
	nameless bool // they are of none: each is a slot of its own

	mu      sync.Mutex
	running map[string]bool
	events  chan []byte
}

func startStub(b *testing.B, ids []string) *stub {
	b.Helper()
	e := &stub{began: time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano), running: map[string]bool{}, events: make(chan []byte, 1000)}
	for _, id := range ids {
		e.running[id] = true
	}
	socket := filepath.Join(b.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: e}
	go server.Serve(l)
	b.Cleanup(func() { server.Close() })
	e.address = "unix://" + socket
	return e
}

// say starts or ends a container and tells those that listen.
func (e *stub) say(action, id string) {
	e.mu.Lock()
	e.running[id] = action == "start"
	if action == "destroy" {
		delete(e.running, id)
	}
	e.mu.Unlock()
	now := time.Now()
	event, _ := json.Marshal(map[string]any{"Type": "container", "Action": action, "Actor": map[string]any{"ID": id, "Attributes": map[string]string{"exitCode": "0", "name": "c-" + id[:8]}},
		"time": now.Unix(), "timeNano": now.UnixNano()})
	e.events <- append(event, '\n')
}

func (e *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") {
		_, path, _ = strings.Cut(path[1:], "/")
		path = "/" + path
	}
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case path == "/_ping":
		fmt.Fprint(w, "OK")
	case path == "/version":
		fmt.Fprint(w, `{"Version":"20.10","ApiVersion":"1.41","MinAPIVersion":"1.12"}`)
	case path == "/info":
		fmt.Fprint(w, `{"ID":"stub","ServerVersion":"20.10","CgroupDriver":"cgroupfs"}`)
	case path == "/events":
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
	case path == "/containers/json":
		all := []map[string]any{}
		e.mu.Lock()
		for id, running := range e.running {
			if running {
				all = append(all, map[string]any{"Id": id, "Names": []string{"/c-" + id[:8]}, "State": "running"})
			}
		}
		e.mu.Unlock()
		json.NewEncoder(w).Encode(all)
	case strings.HasPrefix(path, "/containers/") && strings.HasSuffix(path, "/json"):
		e.inspect(w, strings.Split(path, "/")[2])
	default:
		http.NotFound(w, r)
	}
}

func (e *stub) inspect(w http.ResponseWriter, id string) {
	e.mu.Lock()
	running, known := e.running[id]
	e.mu.Unlock()
	if !known {
		http.Error(w, `{"message":"No such container"}`, http.StatusNotFound)
		return
	}
	state := map[string]any{"Status": "running", "Running": true, "StartedAt": e.began}
	if !running {
		state = map[string]any{"Status": "exited", "StartedAt": e.began, "FinishedAt": time.Now().UTC().Format(time.RFC3339Nano)}
	}
	labels := map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": fmt.Sprint("s", int(id[0])*7%50)}
	if e.nameless {
		labels = map[string]string{}
	}
	json.NewEncoder(w).Encode(map[string]any{
		"Id": id, "Name": "/c-" + id[:8], "Created": e.began, "Image": "sha256:" + id, "State": state,
		"Config":     map[string]any{"Image": "app:1", "Labels": labels},
		"HostConfig": map[string]any{"NetworkMode": "none"},
	})
}
