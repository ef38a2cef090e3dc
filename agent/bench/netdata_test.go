package bench_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// netdataConfig switches everything off but the cgroups plugin, which gets names from a script that needs no engine.
const netdataConfig = `[directories]
	cache = %[1]s
	lib = %[1]s
	log = %[1]s
	home = %[1]s
[global]
	run as user = root
[db]
	mode = ram
	retention = 600
	update every = %[2]d
[web]
	default port = %[3]d
	bind to = 127.0.0.1
[plugins]
	proc = no
	diskspace = no
	cgroups = yes
	tc = no
	idlejitter = no
	timex = no
	statsd = no
	slabinfo = no
	checks = no
	enable running new plugins = no
	netdata monitoring = no
[plugin:cgroups]
	use unified cgroups = %[4]s
	script to get cgroup names = %[1]s/name.sh
[health]
	enabled = no
[ml]
	enabled = no
`

// startNetdata runs Netdata with its cgroups plugin alone. It looks for new cgroups every tenth time only, and for the first time after as many
// intervals: with 15 s it shows its first charts after some three minutes.
func startNetdata(b *testing.B, everySeconds int) contender {
	every := time.Duration(everySeconds) * time.Second
	c := contender{name: fmt.Sprintf("netdata %d s", everySeconds), remark: "cgroups plugin alone, a search for new cgroups included", patience: max(3*every, 10*time.Second), period: 10 * every}
	path, err := exec.LookPath("netdata")
	if err != nil {
		c.absent = "absent: apt-get install --no-install-recommends netdata-core"
		return c
	}
	unified := "no"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		unified = "yes"
	}
	dir, port := b.TempDir(), freePort(b)
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			b.Fatal(err)
		}
		return file
	}
	write("name.sh", "#!/bin/sh\necho \"$2\"\n")
	c.process = start(b, exec.Command(path, "-D", "-c", write("netdata.conf", fmt.Sprintf(netdataConfig, dir, everySeconds, port, unified))))
	c.newest = func() (map[string]time.Time, error) {
		return chartsOf(fmt.Sprintf("http://127.0.0.1:%d/api/v1/charts", port))
	}
	return c
}

func freePort(b *testing.B) int {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer free.Close()
	return free.Addr().(*net.TCPAddr).Port
}

// inChart is the container in the name of a chart.
var inChart = regexp.MustCompile(`[0-9a-f]{64}`)

// chartsOf tells of when the newest value of each container's chart of memory is. One of CPU usage comes only with the first hundredth of a second
// of it, which some idle containers take minutes for.
func chartsOf(url string) (map[string]time.Time, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var all struct {
		Charts map[string]struct {
			Context   string `json:"context"`
			LastEntry int64  `json:"last_entry"`
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil, err
	}
	newest := map[string]time.Time{}
	for name, chart := range all.Charts {
		if id := inChart.FindString(name); id != "" && chart.Context == "cgroup.mem_usage" {
			newest[id] = time.Unix(chart.LastEntry, 0)
		}
	}
	return newest, nil
}
