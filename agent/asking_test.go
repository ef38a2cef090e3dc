package main

import "testing"

func TestAllFiguresAreAskedOfAnEngineThatIsNotOnAUnixSocket(t *testing.T) {
	for _, c := range []struct {
		host, mode string
		want       bool
	}{
		{"unix:///var/run/docker.sock", statsAuto, false},
		{"unix:///run/user/1000/docker.sock", statsAuto, false}, // asked for those without a readable cgroup
		{"tcp://10.0.0.7:2375", statsAuto, true},
		{"tcp://127.0.0.1:2375", statsNever, false},
		{"unix:///var/run/docker.sock", statsAlways, true},
	} {
		if got := (&config{dockerHost: c.host, dockerStats: c.mode}).asksAll(); got != c.want {
			t.Errorf("--docker.host=%s --docker.stats=%s: all asked %v, want %v", c.host, c.mode, got, c.want)
		}
	}
	if err := checkStats("sometimes"); err == nil || err.Error() != `--docker.stats="sometimes": use auto, always or never` {
		t.Errorf("a bad mode: %v", err)
	}
}
