package bench_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// contender is a process that collects the figures of containers.
type contender struct {
	*process
	name, remark string
	absent       string                               // why it can not be measured
	newest       func() (map[string]time.Time, error) // of when the newest figure of each container is
	patience     time.Duration                        // how old that may be: its own intervals
	period       time.Duration                        // after which its work repeats; it is measured for that long at least
}

// startPeers brings the wanted peers up beside each other, waits until each collects all containers, and stops them.
func startPeers(b *testing.B, s settings) (peers []contender) {
	for _, one := range []struct {
		name  string
		start func() contender
	}{
		{"cadvisor tuned", func() contender {
			return startCAdvisor(b, s, "cadvisor tuned", 4*interval, "-tuned", "-housekeeping_interval", interval.String(), "-allow_dynamic_housekeeping=false")
		}},
		{"cadvisor default", func() contender { return startCAdvisor(b, s, "cadvisor default", 90*time.Second) }}, // it reads what rests once a minute
		{"netdata 15 s", func() contender { return startNetdata(b, 15) }},
		{"netdata 1 s", func() contender { return startNetdata(b, 1) }},
	} {
		if s.wants(one.name) && !s.bare {
			peers = append(peers, one.start())
		}
	}
	if len(peers) == 0 {
		return nil
	}
	ids := docker(b, "ps", "-q", "--no-trunc")
	deadline := time.Now().Add(6 * time.Minute)
	for _, p := range peers {
		for p.absent == "" && len(p.lacks(ids)) > 0 {
			if time.Now().After(deadline) {
				b.Fatalf("%s: after six minutes it has fresh figures of %d of %d containers", p.name, len(ids)-len(p.lacks(ids)), len(ids))
			}
			time.Sleep(time.Second)
		}
	}
	for _, p := range peers {
		if p.absent == "" {
			p.stop(b)
		}
	}
	return peers
}

// lacks lists the containers of which it has no fresh figures.
func (c contender) lacks(ids []string) (lacking []string) {
	newest, err := c.newest()
	if err != nil {
		return ids // not up yet
	}
	for _, id := range ids {
		if time.Since(newest[id]) > c.patience {
			lacking = append(lacking, id)
		}
	}
	return lacking
}

// hasAll fails where it has no fresh figures of a container that ran before and runs now.
func (c contender) hasAll(b *testing.B, before, now []string) {
	b.Helper()
	ids := slices.DeleteFunc(now, func(id string) bool { return !slices.Contains(before, id) })
	if lacking := c.lacks(ids); len(lacking) > 0 {
		b.Fatalf("%s has no fresh figures of %d of %d containers, %s one of them: what it took is not what they cost", c.name, len(lacking), len(ids), lacking[0])
	}
}

// startCAdvisor runs the peer and scrapes it every interval, as its users do.
func startCAdvisor(b *testing.B, s settings, name string, patience time.Duration, flags ...string) contender {
	c := contender{name: name, remark: "scraped every 15 s; " + strings.Join(flags, " "), patience: patience}
	if _, err := os.Stat(s.cadvisor); err != nil {
		c.absent = "absent: .ci/peers/cadvisor/build.sh " + filepath.Dir(s.cadvisor)
		return c
	}
	c.process = start(b, exec.Command(s.cadvisor, append([]string{"-listen", "127.0.0.1:0"}, flags...)...))
	url := "http://" + strings.TrimPrefix(c.line(b), "listening on ") + "/metrics"
	stop := make(chan struct{})
	b.Cleanup(func() { close(stop) })
	go func() {
		for {
			if !c.still.Load() {
				scrape(url) // an error will show when the series are looked at
			}
			select {
			case <-stop:
				return
			case <-time.After(interval):
			}
		}
	}()
	c.newest = func() (map[string]time.Time, error) { return scrape(url) }
	return c
}

// usageLine is a container's CPU usage with the time it was read.
var usageLine = regexp.MustCompile(`^container_cpu_usage_seconds_total\{.*id="/docker/([0-9a-f]{64})".*\} \S+ (\d+)$`)

// scrape tells of when the newest reading of each container is.
func scrape(url string) (map[string]time.Time, error) {
	client := http.Client{Timeout: interval} // it may be stopped meanwhile
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	newest := map[string]time.Time{}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := usageLine.FindStringSubmatch(lines.Text()); m != nil {
			millis, err := strconv.ParseInt(m[2], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("scrape %s: %w", url, err)
			}
			newest[m[1]] = time.UnixMilli(millis)
		}
	}
	return newest, lines.Err()
}
