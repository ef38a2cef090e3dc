package bench_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// startNetdata runs Netdata with its cgroups plugin alone and waits until it shows the containers.
func startNetdata(b *testing.B, everySeconds, containers int) (*process, string) {
	path, err := exec.LookPath("netdata")
	if err != nil {
		return nil, "absent: apt-get install --no-install-recommends netdata-core"
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
	p := start(b, exec.Command(path, "-D", "-c", write("netdata.conf", fmt.Sprintf(netdataConfig, dir, everySeconds, port, unified))))
	charts := 0
	for deadline := time.Now().Add(2 * time.Minute); charts < containers; time.Sleep(5 * time.Second) {
		if time.Now().After(deadline) {
			return nil, fmt.Sprintf("not measured: after two minutes it shows %d charts of %d containers", charts, containers)
		}
		charts = chartsOf(fmt.Sprintf("http://127.0.0.1:%d/api/v1/charts", port))
	}
	time.Sleep(2 * interval) // the charts of all containers
	return p, fmt.Sprintf("cgroups plugin alone, %d charts", charts)
}

func freePort(b *testing.B) int {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer free.Close()
	return free.Addr().(*net.TCPAddr).Port
}

func chartsOf(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0 // not up yet
	}
	defer resp.Body.Close()
	var all struct{ Charts map[string]json.RawMessage }
	if json.NewDecoder(resp.Body).Decode(&all) != nil {
		return 0
	}
	return len(all.Charts)
}
