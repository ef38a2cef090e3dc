package main

import (
	"strings"
	"testing"
	"time"
)

func busy() picture {
	return picture{
		containers: 12, unresolved: 1,
		shipped: 1234567, shippedPerSecond: 820, waitingBytes: 3 << 20, dropped: 7,
		rated:  true,
		series: 4321, firing: []string{"ContainerOOMKilled (2)", "NodeDown"},
		agent:     process{cpuCores: 0.0042, rssBytes: 31 << 20},
		collector: process{cpuCores: 0.2, rssBytes: 1.5 * (1 << 30)},
	}
}

func TestALogLineHoldsTheWholePicture(t *testing.T) {
	f := func(p picture, want string) {
		t.Helper()
		if got := oneLine(p, 61*time.Second); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	f(busy(), "  61 s | containers 12 (1 without a name yet) | samples 1,234,567 shipped (820/s), 3 MiB waiting on disk, 7 dropped | "+
		"series 4,321 | alerts firing: ContainerOOMKilled (2), NodeDown | agent CPU 0.4 %, RSS 31 MiB | collector CPU 20.0 %, RSS 1.5 GiB")
	f(picture{faults: []string{"agent: no route"}}, "  61 s | containers 0 | samples 0 shipped | series 0 | alerts none firing | "+
		"agent RSS 0 KiB | collector RSS 0 KiB | ! agent: no route")
}

func TestATerminalIsRefreshedInPlace(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, width: func() int { return 60 }}
	p := busy()
	p.degraded = []string{"Docker: not reachable at unix:///var/run/docker.sock; showing this node and its cgroups"}
	s.picture(p, time.Minute)
	first := out.String()
	if strings.Contains(first, "\x1b[8A") {
		t.Error("the first picture moves the cursor up over what stood above it")
	}
	if !strings.Contains(first, "  alerts      firing: ContainerOOMKilled (2), NodeDown\x1b[K\n") {
		t.Errorf("the alerts are missing:\n%s", first)
	}
	if !strings.Contains(first, "  ! Docker: not reachable at unix:///var/run/docker.sock; …") {
		t.Errorf("a line longer than the terminal is not cut to it:\n%s", first)
	}
	out.Reset()
	p.degraded = nil
	s.picture(p, time.Minute)
	if !strings.HasPrefix(out.String(), "\x1b[8A\r") {
		t.Errorf("the second picture does not start where the first of 8 lines did: %q", out.String()[:10])
	}
	if !strings.HasSuffix(out.String(), "\x1b[J") {
		t.Error("the line that the shorter picture no longer has is left standing")
	}
}

func TestADegradedSourceIsSaidOnceInALog(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out}
	p := picture{degraded: []string{"Docker: not reachable at tcp://a:1; showing this node and its cgroups"}}
	s.picture(p, 0)
	s.picture(p, 10*time.Second)
	if n := strings.Count(out.String(), "! Docker: not reachable"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, out.String())
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.6: "1,234,568"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%v) = %q, want %q", n, got, want)
		}
	}
}
