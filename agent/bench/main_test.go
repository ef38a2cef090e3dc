// Package bench_test measures what the agent costs on live containers: the whole process beside the least that reading the same
// files can cost and beside its peers, and the hot path beside bare reads. `make bench-agent` runs it; go test alone does not.
//
// What it says is in CPU time of processes, so a busy machine does not spoil it, and in ratios of one run.
package bench_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// floorVariable makes the test binary the floor program instead: see floor.
const floorVariable = "PLIMSOLL_BENCH_FLOOR"

func TestMain(m *testing.M) {
	if os.Getenv(floorVariable) != "" {
		if err := floor(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// settings of a run, from the environment; the Makefile's variables of the same names without the prefix set them.
type settings struct {
	containers int           // containers that run meanwhile
	busy       int           // how many of a hundred of them work, the others idle
	births     int           // a second, of those that come and go
	mixed      bool          // these do more kinds of work
	bare       bool          // cgroups of our own instead of the engine's containers
	lasts      time.Duration // for which each peer is measured, and the agent and the floor in each turn
	agent      string        // the agent's binary
	cadvisor   string        // the cAdvisor peer's binary, see .ci/peers/cadvisor
	peers      string        // a part of the names of those wanted, "none" is in none; empty: all
}

func readSettings(b *testing.B) settings {
	cache, _ := os.UserCacheDir()
	s := settings{
		containers: number(b, "PLIMSOLL_BENCH_CONTAINERS", 100, 1, 100_000),
		births:     number(b, "PLIMSOLL_BENCH_BIRTHS", 20, 1, 1000),
		mixed:      os.Getenv("PLIMSOLL_BENCH_MIXED") != "",
		bare:       os.Getenv("PLIMSOLL_BENCH_BARE") != "",
		busy:       number(b, "PLIMSOLL_BENCH_BUSY", 0, 0, 100),
		lasts:      time.Duration(number(b, "PLIMSOLL_BENCH_SECONDS", 60, 15, 3600)) * time.Second,
		agent:      text("PLIMSOLL_BENCH_AGENT", "../../bin/plimsoll-agent"),
		cadvisor:   text("PLIMSOLL_CADVISOR", cache+"/plimsoll/cadvisor-v0.60.6") + "/cadvisor",
		peers:      os.Getenv("PLIMSOLL_BENCH_PEERS"),
	}
	if s.lasts%interval != 0 {
		b.Fatalf("PLIMSOLL_BENCH_SECONDS=%s: want a multiple of %s, the interval of the full reading", s.lasts, interval)
	}
	return s
}

func (s settings) wants(peer string) bool { return strings.Contains(peer, s.peers) }

func text(name, unset string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return unset
}

// number reads a number, which may end in %.
func number(b *testing.B, name string, unset, least, most int) int {
	v := os.Getenv(name)
	if v == "" {
		return unset
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v, "%"))
	if err != nil || n < least || n > most {
		b.Fatalf("%s=%s: want a number from %d to %d", name, v, least, most)
	}
	return n
}
