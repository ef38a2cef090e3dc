package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this test binary stand in for the two programs: it is linked under their names.
func TestMain(m *testing.M) {
	if name, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "plimsoll-"); ok {
		os.Exit(standIn(name))
	}
	os.Exit(m.Run())
}

// standIn answers ready and stops on SIGTERM, unless STAND_IN names it with another behaviour.
func standIn(name string) int {
	mode := os.Getenv("STAND_IN")
	if mode == name+" dies" {
		fmt.Println("line one\nno space left on device")
		return 3
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if mode == name+" never ready" {
			http.Error(w, "journal is being replayed", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "plimsoll_agent_containers 2") })
	mux.HandleFunc("/api/v1/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":{}}`) })
	for _, arg := range os.Args {
		if listen, ok := strings.CutPrefix(arg, "--listen="); ok {
			go http.ListenAndServe(listen, mux)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	fmt.Println("stopped", time.Now().UnixNano())
	if mode == name+" fails to stop" {
		return 1
	}
	return 0
}

type lockedBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.String()
}

func standInConfig(t *testing.T, mode string) config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"collector", "agent"} {
		if err := os.Symlink(self, filepath.Join(bin, "plimsoll-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	return config{
		binFolder: bin, dataFolder: t.TempDir(),
		collectorListen: "127.0.0.1:0", agentListen: "127.0.0.1:0",
		readyWithin: 10 * time.Second, runFor: 300 * time.Millisecond,
		environ: append(os.Environ(), "STAND_IN="+mode),
	}
}

func runStandIns(t *testing.T, cfg config) (string, error) {
	t.Helper()
	out := &lockedBuffer{}
	err := supervise(context.Background(), cfg, &screen{out: out, every: 50 * time.Millisecond})
	return out.String(), err
}

func TestARunStopsTheAgentBeforeTheCollector(t *testing.T) {
	cfg := standInConfig(t, "")
	said, err := runStandIns(t, cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	order := []string{"collector started", "collector ready", "agent started", "agent ready", "  UI          http://127.0.0.1:",
		"containers 2", "stopping the agent", "agent stopped after", "stopping the collector", "collector stopped after"}
	rest := said
	for _, want := range order {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q is missing, or stands before what should precede it:\n%s", want, said)
		}
		rest = after
	}
	if _, err := os.Stat(filepath.Join(cfg.dataFolder, "agent")); err != nil {
		t.Error("the agent's state is not where it belongs:", err)
	}
}

func TestAChildThatDiesIsReportedWithItsLastWords(t *testing.T) {
	_, err := runStandIns(t, standInConfig(t, "agent dies"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"the agent ended by itself", "exit status 3", "agent.log", "    no space left on device"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestAChildThatNeverGetsReadyIsReportedWithItsAnswer(t *testing.T) {
	cfg := standInConfig(t, "collector never ready")
	cfg.readyWithin = time.Second
	_, err := runStandIns(t, cfg)
	if err == nil || !strings.Contains(err.Error(), "the collector was not ready within 1s (503 Service Unavailable journal is being replayed)") {
		t.Errorf("got %v", err)
	}
}

func TestAChildThatFailsWhileStoppingFailsTheRun(t *testing.T) {
	said, err := runStandIns(t, standInConfig(t, "agent fails to stop"))
	if err == nil || !strings.Contains(err.Error(), "the agent stopped with exit status 1") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(said, "collector stopped after") {
		t.Errorf("the collector is not stopped cleanly then:\n%s", said)
	}
}

func TestAChildThatIgnoresItsSignalIsKilledInTime(t *testing.T) {
	log := filepath.Join(t.TempDir(), "x.log")
	c, err := startChild("sleeper", log, os.Environ(), "/bin/sh", "-c", `trap "" TERM; echo deaf; while :; do sleep 0.05; done`)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(tail(log, 1), "deaf"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child says nothing")
		}
	}
	err = c.stop(200*time.Millisecond, func(string, ...any) {})
	if err == nil || !strings.Contains(err.Error(), "did not stop within 200ms and was killed") {
		t.Errorf("got %v", err)
	}
}

func TestATakenPortIsNamedWithTheWayOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := standInConfig(t, "")
	cfg.agentListen = l.Addr().String()
	_, err = runStandIns(t, cfg)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"port " + port + ", for the agent, is taken", "--agent.listen=127.0.0.1:PORT", "PLIMSOLL_RUN_AGENT_LISTEN"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestMissingProgramsNameMakeBuild(t *testing.T) {
	cfg := standInConfig(t, "")
	cfg.binFolder = t.TempDir()
	if _, err := runStandIns(t, cfg); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}

func TestTheLogOfTheRunBeforeIsKept(t *testing.T) {
	cfg := standInConfig(t, "")
	for range 2 {
		if said, err := runStandIns(t, cfg); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	old, err := os.ReadFile(filepath.Join(cfg.dataFolder, "agent.log.1"))
	if err != nil || !bytes.HasPrefix(old, []byte("stopped ")) {
		t.Errorf("agent.log.1 holds %q, %v", old, err)
	}
}

func TestWrongFlagsAreExplained(t *testing.T) {
	f := func(want string, environ []string, args ...string) {
		t.Helper()
		if _, err := parse(args, environ); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", args, err, want)
		}
	}
	f("--for", nil, "--fro=60s")
	f(`PLIMSOLL_RUN_FOR="soon"`, []string{"PLIMSOLL_RUN_FOR=soon"})
	if cfg, err := parse([]string{"--for=60s"}, nil); err != nil || cfg.runFor != time.Minute {
		t.Errorf("--for=60s: %v, %v", cfg.runFor, err)
	}
}
