// Command cadvisor is cAdvisor's own manager and Prometheus collector behind a small main: the peer that the conformance test and
// the benchmark compare the agent with.
//
// cAdvisor's binary is a module of its own that is not published; everything that reads and renders is in these two modules and runs
// here unchanged. Its flags (-housekeeping_interval, -docker_only, -docker, …) are on this command line with its defaults.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	_ "github.com/google/cadvisor/container/docker/install"
	"github.com/google/cadvisor/lib/cache/memory"
	_ "github.com/google/cadvisor/lib/container/containerd/install"
	_ "github.com/google/cadvisor/lib/container/crio/install"
	_ "github.com/google/cadvisor/lib/container/systemd/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/tmpfs/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	info "github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// binaryDefault are the groups cAdvisor's binary leaves out when nobody says anything, as of its cmd/cadvisor.go.
const binaryDefault = "advtcp,cpu_topology,cpuset,hugetlb,memory_numa,process,referenced_memory,resctrl,sched,tcp,udp"

// tunedAway is what people who find cAdvisor too dear leave out as well (-docker_only=true is the other half).
const tunedAway = binaryDefault + ",percpu,disk,diskIO"

func main() {
	var disabled container.MetricSet
	if err := disabled.Set(binaryDefault); err != nil {
		fail(err)
	}
	listen := flag.String("listen", "127.0.0.1:0", "`address` for /metrics; the one taken is printed on standard output")
	tuned := flag.Bool("tuned", false, "-docker_only -store_container_labels=false -disable_metrics="+tunedAway)
	labels := flag.Bool("store_container_labels", true, "give every container's engine labels to its series, as the binary does")
	fresh := flag.Bool("fresh", false, "read every container anew for each scrape, instead of what the last housekeeping left")
	flag.Var(&disabled, "disable_metrics", "`groups` left out")
	klog.InitFlags(nil)
	flag.Parse()
	if *tuned {
		*labels = false
		if err := flag.Set("docker_only", "true"); err != nil {
			fail(err)
		}
		if err := disabled.Set(tunedAway); err != nil {
			fail(err)
		}
	}
	if err := serve(*listen, container.AllMetrics.Difference(disabled), *labels, *fresh); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cadvisor:", err)
	os.Exit(1)
}

func serve(address string, groups container.MetricSet, labels, fresh bool) error {
	m, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(),
		manager.HousekeepingConfigFlags, groups, []string{""}, nil, "", 0)
	if err != nil {
		return fmt.Errorf("create the manager: %w", err)
	}
	if err := m.Start(); err != nil {
		return fmt.Errorf("start the manager: %w", err)
	}
	options := info.RequestOptions{IdType: info.TypeName, Count: 1, Recursive: true}
	if fresh {
		now := time.Duration(0)
		options.MaxAge = &now
	}
	names := metrics.DefaultContainerLabels
	if !labels {
		names = metrics.BaseContainerLabels(nil)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(metrics.NewPrometheusCollector(m, names, groups, clock.RealClock{}, options), metrics.NewPrometheusMachineCollector(m, groups))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	fmt.Println("listening on", l.Addr())
	return http.Serve(l, mux)
}
