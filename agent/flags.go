package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
	"github.com/plimsoll/plimsoll/agent/settings"
)

// config is everything the flags say. DESIGN section 8 lists them.
type config struct {
	urls         settings.Strings
	tokenFile    string
	username     string
	passwordFile string
	caFile       string
	certFile     string
	keyFile      string
	compression  string
	order        string
	concurrency  int
	backlogRate  settings.Bytes
	interval     settings.Duration
	peakInterval settings.Duration
	slowInterval settings.Duration
	slowBudget   settings.Duration
	enable       settings.Strings
	disable      settings.Strings
	groups       catalog.Groups
	idc          string
	cluster      string
	node         string
	projectMap   string
	mapEvery     settings.Duration
	dockerHost   string
	dockerStats  string
	dockerCA     string
	dockerCert   string
	dockerKey    string
	kubernetes   string
	kubeconfig   string

	idcNodeLabel, clusterNodeLabel, namespaceLabels settings.Strings

	rootCgroup    string
	rootProc      string
	rootSys       string
	dataDir       string
	spoolMaxBytes settings.Bytes
	spoolMaxAge   settings.Duration
	spoolWhenFull string
	listen        string
	anonymous     bool
	limitCPU      settings.Cores
	limitMemory   settings.Bytes
	logLevel      slog.Level
	logFormat     string
}

func defaults() config {
	return config{
		compression: string(ship.Auto), order: string(ship.AutoOrder), concurrency: 4, backlogRate: 1 << 20,
		interval: settings.Duration(15 * time.Second), peakInterval: settings.Duration(time.Second),
		slowInterval: settings.Duration(time.Minute), slowBudget: settings.Duration(100 * time.Millisecond),
		projectMap: mapOfCollector, mapEvery: settings.Duration(30 * time.Second),
		dockerHost: "unix:///var/run/docker.sock", dockerStats: statsAuto, kubernetes: "auto",
		rootCgroup: "/sys/fs/cgroup", rootProc: "/proc", rootSys: "/sys",
		dataDir: "/var/lib/plimsoll-agent", spoolMaxBytes: 1 << 30, spoolMaxAge: settings.Duration(24 * time.Hour), spoolWhenFull: string(spool.DropOldest),
		listen: "127.0.0.1:9751", limitCPU: 0.25, limitMemory: 192 << 20, logFormat: "text",
	}
}

const defaultReceiver = "http://127.0.0.1:9750/api/v1/write"

// flags binds cfg to a set; nothing is read yet.
func (cfg *config) flags() *settings.Set {
	s := settings.New("plimsoll-agent", "PLIMSOLL_AGENT")
	f := s.Flags()
	f.Var(&cfg.urls, "remote-write.url", "remote-write 1.0 receiver `URL`; repeatable (default "+defaultReceiver+")")
	f.StringVar(&cfg.tokenFile, "remote-write.token-file", cfg.tokenFile, "`file` with the bearer token for the receivers, re-read when it changes")
	f.StringVar(&cfg.username, "remote-write.username", cfg.username, "user `name` for basic authentication")
	f.StringVar(&cfg.passwordFile, "remote-write.password-file", cfg.passwordFile, "`file` with the password for basic authentication")
	f.StringVar(&cfg.caFile, "remote-write.tls.ca", cfg.caFile, "PEM `file` with the authorities that may sign a receiver's certificate")
	f.StringVar(&cfg.certFile, "remote-write.tls.cert", cfg.certFile, "PEM `file` with the client certificate")
	f.StringVar(&cfg.keyFile, "remote-write.tls.key", cfg.keyFile, "PEM `file` with the client key")
	f.StringVar(&cfg.compression, "remote-write.compression", cfg.compression, "`auto`, zstd or snappy")
	f.StringVar(&cfg.order, "remote-write.order", cfg.order, "after an outage: `auto` (as the receiver allows), fresh-first or in-order")
	f.IntVar(&cfg.concurrency, "remote-write.concurrency", cfg.concurrency, "most `requests` under way at once to a receiver that takes batches in any order; how many there are follows from its answers")
	f.Var(&cfg.backlogRate, "remote-write.backlog-bytes-per-second", "most `bytes` a second, compressed, of what piled up for a receiver during an outage; new batches do not count; 0 = no bound")
	f.Var(&cfg.interval, "interval", "`time` between full readings")
	f.Var(&cfg.peakInterval, "peak-interval", "`time` between readings for the peaks; divides --interval")
	f.Var(&cfg.slowInterval, "slow-interval", "`time` between readings of the slow groups of metrics, at each --interval if that is longer")
	f.Var(&cfg.enable, "metrics.enable", "`groups` of metrics to send besides the default ones, or all; METRICS.md lists them")
	f.Var(&cfg.disable, "metrics.disable", "`groups` of metrics not to send, or all but the core")
	f.Var(&cfg.slowBudget, "limit.slow", "most `time` of a full round spent on the slow groups; what is left over waits for the next round")
	f.StringVar(&cfg.idc, "idc", cfg.idc, "`name` of the data centre (default: a label of the Kubernetes or Swarm node, else the engine's label idc)")
	f.StringVar(&cfg.cluster, "cluster", cfg.cluster, "`name` of the cluster (default: a label of the Kubernetes or Swarm node, else the engine's label cluster)")
	f.StringVar(&cfg.node, "node", cfg.node, "`name` of this node (default: the host name)")
	f.StringVar(&cfg.projectMap, "project-map", cfg.projectMap, "`file` that says which project a container belongs to, or collector: ask the collector behind the first --remote-write.url")
	f.Var(&cfg.mapEvery, "project-map.interval", "`time` between two looks for a new project map")
	f.StringVar(&cfg.dockerHost, "docker.host", cfg.dockerHost, "`address` of the Docker engine, unix:// or tcp://")
	f.StringVar(&cfg.dockerCA, "docker.tls.ca", cfg.dockerCA, "PEM `file` with the authorities that may have signed the certificate of an engine on tcp://; with this or the next two the connection is encrypted")
	f.StringVar(&cfg.dockerCert, "docker.tls.cert", cfg.dockerCert, "PEM `file` with the certificate to show to that engine")
	f.StringVar(&cfg.dockerKey, "docker.tls.key", cfg.dockerKey, "PEM `file` with its key")
	f.StringVar(&cfg.dockerStats, "docker.stats", cfg.dockerStats, "ask the engine for the figures of containers, 3 ms each: `auto` (all of an engine that is not on a unix socket, else those without a readable cgroup), always or never")
	f.StringVar(&cfg.kubernetes, "kubernetes", cfg.kubernetes, "read pods from the API server: `auto` (with a service account or a kubeconfig), on or off")
	f.StringVar(&cfg.kubeconfig, "kubernetes.kubeconfig", cfg.kubeconfig, "`file` that says where the API server is (default: the service account of the agent's pod)")
	f.Var(&cfg.idcNodeLabel, "idc.node-label", "`labels` of the Kubernetes or Swarm node that name the data centre, the first that is there counts; repeatable (default idc, topology.kubernetes.io/region, topology.kubernetes.io/zone)")
	f.Var(&cfg.clusterNodeLabel, "cluster.node-label", "`labels` of the Kubernetes or Swarm node that name the cluster; repeatable (default cluster)")
	f.Var(&cfg.namespaceLabels, "kubernetes.namespace-labels", "`labels` of namespaces to pass on in kube_namespace_labels; repeatable (default project, team, tier)")
	f.StringVar(&cfg.rootCgroup, "root.cgroup", cfg.rootCgroup, "`directory` where the host's cgroup tree is mounted")
	f.StringVar(&cfg.rootProc, "root.proc", cfg.rootProc, "`directory` where the host's /proc is mounted")
	f.StringVar(&cfg.rootSys, "root.sys", cfg.rootSys, "`directory` where the host's /sys is mounted")
	f.StringVar(&cfg.dataDir, "data-dir", cfg.dataDir, "`directory` for the spool")
	f.Var(&cfg.spoolMaxBytes, "spool.max-bytes", "most `bytes` of unsent batches on disk")
	f.Var(&cfg.spoolMaxAge, "spool.max-age", "longest `time` an unsent batch is kept")
	f.StringVar(&cfg.spoolWhenFull, "spool.when-full", cfg.spoolWhenFull, "`drop-oldest` or drop-newest")
	f.StringVar(&cfg.listen, "listen", cfg.listen, "`address` for /metrics, /-/healthy, /-/ready and /debug/pprof; empty = none")
	f.BoolVar(&cfg.anonymous, "auth.anonymous", cfg.anonymous, "allow --listen beyond loopback although nobody is authenticated there")
	f.Var(&cfg.limitCPU, "limit.cpu", "most `CPU` the agent may take, 0.25 of one or 5% of all, over 15 s; past it work is left out in the order agent/README.md tells; 0 = no limit")
	f.Var(&cfg.limitMemory, "limit.memory", "most `bytes` of resident memory; past it work is left out, and near it garbage is collected sooner; 0 = no limit")
	f.TextVar(&cfg.logLevel, "log.level", cfg.logLevel, "`level`: debug, info, warn or error")
	f.StringVar(&cfg.logFormat, "log.format", cfg.logFormat, "`text` or json")
	return s
}

// parse reads args and the environment and checks what can be checked without touching anything.
// more adds the flags of a command that has its own.
func (cfg *config) parse(args []string, stdout io.Writer, more ...func(*flag.FlagSet)) error {
	s := cfg.flags()
	for _, add := range more {
		add(s.Flags())
	}
	if err := s.Parse(args, os.Environ()); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		s.Usage(stdout)
		return err
	} else if err != nil {
		return err
	}
	if len(cfg.urls) == 0 {
		cfg.urls = settings.Strings{defaultReceiver}
	}
	if _, err := spool.ParsePolicy(cfg.spoolWhenFull); err != nil {
		return fmt.Errorf("--spool.when-full: %w", err)
	}
	if _, err := ship.ParseCompression(cfg.compression); err != nil {
		return fmt.Errorf("--remote-write.compression: %w", err)
	}
	if _, err := ship.ParseOrder(cfg.order); err != nil {
		return fmt.Errorf("--remote-write.order: %w", err)
	}
	if cfg.concurrency < 1 || cfg.concurrency > 64 {
		return fmt.Errorf("--remote-write.concurrency=%d: want 1 to 64", cfg.concurrency)
	}
	if cfg.backlogRate < 0 || cfg.backlogRate > 0 && cfg.backlogRate < 1<<10 {
		return fmt.Errorf("--remote-write.backlog-bytes-per-second=%s: want at least 1KiB, or 0 for no bound", &cfg.backlogRate)
	}
	var err error
	if cfg.groups, err = catalog.ParseGroups(cfg.enable, cfg.disable); err != nil {
		return err
	}
	if cfg.slowInterval <= 0 || cfg.slowBudget <= 0 {
		return fmt.Errorf("--slow-interval=%s --limit.slow=%s: both must be more than 0; --metrics.disable switches groups off", time.Duration(cfg.slowInterval), time.Duration(cfg.slowBudget))
	}
	if cfg.projectMap == "" {
		return errors.New("--project-map is empty: name a file, or say collector")
	}
	if time.Duration(cfg.mapEvery) < 100*time.Millisecond {
		return fmt.Errorf("--project-map.interval=%s is below 100ms", time.Duration(cfg.mapEvery))
	}
	if err := checkStats(cfg.dockerStats); err != nil {
		return err
	}
	if _, err := kubernetes.ParseMode(cfg.kubernetes); err != nil {
		return fmt.Errorf("--kubernetes=%w", err)
	}
	for _, list := range []struct {
		of       *settings.Strings
		fallback settings.Strings
	}{
		{&cfg.idcNodeLabel, settings.Strings{"idc", "topology.kubernetes.io/region", "topology.kubernetes.io/zone"}},
		{&cfg.clusterNodeLabel, settings.Strings{"cluster"}},
		{&cfg.namespaceLabels, settings.Strings{"project", "team", "tier"}},
	} {
		if len(*list.of) == 0 {
			*list.of = list.fallback
		}
	}
	if cfg.logFormat != "text" && cfg.logFormat != "json" {
		return fmt.Errorf("--log.format=%q: use text or json", cfg.logFormat)
	}
	if cfg.node == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("--node is not given and the host has no name: %w", err)
		}
		cfg.node = name
	}
	return nil
}

func (cfg *config) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.logLevel}
	if cfg.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// receivers are the URLs without what may be secret in them.
func (cfg *config) receivers() []string {
	names := make([]string, len(cfg.urls))
	for i, raw := range cfg.urls {
		if u, err := url.Parse(raw); err == nil {
			raw = u.Redacted()
		}
		names[i] = raw
	}
	return names
}
