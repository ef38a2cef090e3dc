package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/agent/settings"
	"github.com/plimsoll/plimsoll/collector/internal/access"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/grafana"
	"github.com/plimsoll/plimsoll/collector/internal/ingest"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
	"github.com/plimsoll/plimsoll/collector/internal/notify"
	"github.com/plimsoll/plimsoll/collector/internal/remote"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

// config is everything the flags say. DESIGN section 8 lists them.
type config struct {
	listen      string
	externalURL string
	dataDir     string
	retention   settings.Duration

	engineWrite string
	engineQuery string
	engineToken string

	tokensFile string
	anonymous  bool
	certScopes settings.Strings
	tlsCert    string
	tlsKey     string
	clientCA   string

	projectMap    string
	nodesFile     string
	ruleGlobs     settings.Strings
	builtinRules  bool
	oncallFile    string
	amConfig      string
	am            notify.Remote
	grafanaURL    string
	grafanaToken  string
	grafanaFolder string
	grafanaEvery  settings.Duration
	grafanaMarks  bool
	grafanaEdits  string
	grafanaOpen   bool
	grafanaLook   bool
	sourceURL     string
	sourceToken   string

	journalMaxBytes settings.Bytes
	journalFsync    string

	limitBody, limitDecoded, limitMemory, limitFreeDisk                        settings.Bytes
	limitSeries, limitWrites, limitRefused, limitLabels, limitName, limitValue int
	limitFuture, limitQuery                                                    settings.Duration
	limitQueries, limitQuerySeries, limitQuerySamples                          int
	limitQueryPoints, limitQueryScan, limitNodes                               int
	limitQueryLength, limitQueryMemory                                         settings.Bytes
	limitAgentSeries, limitProjectSeries, limitAllSeries                       int
	limitSilence                                                               settings.Duration

	logLevel  slog.Level
	logFormat string
}

func defaults() config {
	return config{
		listen: "127.0.0.1:9750", dataDir: "/var/lib/plimsoll-collector", retention: settings.Duration(90 * 24 * time.Hour),
		builtinRules: true, grafanaFolder: "Plimsoll", grafanaEvery: settings.Duration(10 * time.Minute), grafanaMarks: true, grafanaEdits: string(grafana.Repair),
		journalMaxBytes: 1 << 30, journalFsync: string(journal.FsyncInterval),
		limitBody: 32 << 20, limitDecoded: 64 << 20, limitFreeDisk: 256 << 20,
		limitSeries: 200_000, limitWrites: 64, limitRefused: 20, limitLabels: 60, limitName: 256, limitValue: 4096, limitFuture: settings.Duration(10 * time.Minute),
		limitQuery: settings.Duration(30 * time.Second), limitQueries: 16, limitQuerySeries: 100_000, limitQuerySamples: 200_000_000, limitQueryPoints: 30_000, limitQueryLength: 16 << 10,
		limitAgentSeries: 300_000, limitProjectSeries: 1_000_000, limitAllSeries: 3_000_000,
		limitNodes: 10_000, limitSilence: settings.Duration(30 * 24 * time.Hour), logFormat: "text",
	}
}

// flags binds cfg to a set; nothing is read yet.
func (cfg *config) flags() *settings.Set {
	s := settings.New("plimsoll-collector", "PLIMSOLL_COLLECTOR")
	f := s.Flags()
	f.StringVar(&cfg.listen, "listen", cfg.listen, "`address` of the one HTTP listener; port 0 takes a free one")
	f.StringVar(&cfg.externalURL, "external-url", cfg.externalURL, "`URL` under which people reach the collector, for links; its path may be cut off by a reverse proxy or passed on (default: the address listened on)")
	f.StringVar(&cfg.dataDir, "data-dir", cfg.dataDir, "`directory` for samples, silences and the table of nodes")
	f.Var(&cfg.retention, "retention", "how `long` samples are kept; at least 1d")
	f.Var(&cfg.journalMaxBytes, "journal.max-bytes", "most `bytes` of accepted batches kept until the engine has them on disk, about a minute; when full, writes get 503")
	f.StringVar(&cfg.journalFsync, "journal.fsync", cfg.journalFsync, "when the journal is forced to disk, against power loss: `interval` (each second), batch (before each answer) or never")
	f.StringVar(&cfg.engineWrite, "engine.write-url", cfg.engineWrite, "`URL` that takes remote write, of an engine elsewhere that keeps all samples in place of the one inside")
	f.StringVar(&cfg.engineQuery, "engine.query-url", cfg.engineQuery, "`URL` of its Prometheus API, without /api/v1")
	f.StringVar(&cfg.engineToken, "engine.token-file", cfg.engineToken, "`file` with the bearer token for both")
	f.StringVar(&cfg.tokensFile, "auth.tokens-file", cfg.tokensFile, "YAML `file` with the tokens' hashes and scopes")
	f.BoolVar(&cfg.anonymous, "auth.anonymous", cfg.anonymous, "allow --listen beyond loopback although nobody is authenticated")
	f.Var(&cfg.certScopes, "auth.certificate-scopes", "`scopes` of a caller with a client certificate where there is no --auth.tokens-file: write, read, silence, admin; repeatable (default: write and read)")
	f.StringVar(&cfg.tlsCert, "tls.cert", cfg.tlsCert, "PEM `file` with the certificate of the listener")
	f.StringVar(&cfg.tlsKey, "tls.key", cfg.tlsKey, "PEM `file` with its key")
	f.StringVar(&cfg.clientCA, "tls.client-ca", cfg.clientCA, "PEM `file` with the authorities one of which must have signed a caller's certificate")
	f.StringVar(&cfg.projectMap, "project-map", cfg.projectMap, "YAML `file` that says which project a container belongs to, served to the agents (default: they use built-in defaults)")
	f.StringVar(&cfg.nodesFile, "inventory.nodes", cfg.nodesFile, "YAML `file` that lists nodes that should have an agent, besides the nodes of Kubernetes and Swarm clusters")
	f.Var(&cfg.ruleGlobs, "rules", "`pattern` of rule files to evaluate besides the built-in ones; repeatable")
	f.BoolVar(&cfg.builtinRules, "rules.builtin", cfg.builtinRules, "evaluate the built-in rules")
	f.StringVar(&cfg.oncallFile, "oncall", cfg.oncallFile, "oncall.yaml `file` that says who is told what (default: alerts are shown, nobody is notified)")
	f.StringVar(&cfg.amConfig, "alertmanager.config", cfg.amConfig, "alertmanager.yml `file` for the Alertmanager inside, instead of --oncall")
	f.Var((*settings.Strings)(&cfg.am.URLs), "alertmanager.url", "`URL` of an Alertmanager outside, which then gets the alerts instead; repeatable, once for each member of a cluster")
	f.StringVar(&cfg.am.TokenFile, "alertmanager.token-file", cfg.am.TokenFile, "`file` with the bearer token for --alertmanager.url")
	f.StringVar(&cfg.am.Username, "alertmanager.username", cfg.am.Username, "`name` for basic authentication at --alertmanager.url")
	f.StringVar(&cfg.am.PasswordFile, "alertmanager.password-file", cfg.am.PasswordFile, "`file` with its password")
	f.StringVar(&cfg.am.CAFile, "alertmanager.tls.ca", cfg.am.CAFile, "PEM `file` with the authorities for --alertmanager.url (default: the system's)")
	f.StringVar(&cfg.am.CertFile, "alertmanager.tls.cert", cfg.am.CertFile, "PEM `file` with the client certificate for --alertmanager.url")
	f.StringVar(&cfg.am.KeyFile, "alertmanager.tls.key", cfg.am.KeyFile, "PEM `file` with its key")
	f.StringVar(&cfg.grafanaURL, "grafana.url", cfg.grafanaURL, "`URL` of a Grafana to publish the dashboards to")
	f.StringVar(&cfg.grafanaToken, "grafana.token-file", cfg.grafanaToken, "`file` with the token of a Grafana service account")
	f.StringVar(&cfg.grafanaFolder, "grafana.folder", cfg.grafanaFolder, "`title` of the folder in Grafana")
	f.Var(&cfg.grafanaEvery, "grafana.interval", "`time` between comparisons of Grafana with what is shipped")
	f.BoolVar(&cfg.grafanaMarks, "grafana.annotations", cfg.grafanaMarks, "post releases, OOM storms and firing alerts to Grafana as annotations")
	f.StringVar(&cfg.grafanaEdits, "grafana.edits", cfg.grafanaEdits, "what becomes of a dashboard that a person changed: `repair` puts it back, keep leaves it")
	f.BoolVar(&cfg.grafanaOpen, "grafana.editable", cfg.grafanaOpen, "let people change the dashboards in Grafana instead of copies of them")
	f.BoolVar(&cfg.grafanaLook, "grafana.read-only", cfg.grafanaLook, "compare Grafana with what is shipped and report, but write nothing to it")
	f.StringVar(&cfg.sourceURL, "grafana.datasource-url", cfg.sourceURL, "`URL` under which Grafana reaches the collector (default: --external-url)")
	f.StringVar(&cfg.sourceToken, "grafana.datasource-token-file", cfg.sourceToken, "`file` with the token of scope read that Grafana sends to the collector")
	f.Var(&cfg.limitBody, "limit.write-body", "most `bytes` of a remote write body as sent")
	f.Var(&cfg.limitDecoded, "limit.write-decoded", "most `bytes` of a remote write body decompressed")
	f.IntVar(&cfg.limitSeries, "limit.write-series", cfg.limitSeries, "most `series` in one remote write request")
	f.IntVar(&cfg.limitWrites, "limit.write-concurrency", cfg.limitWrites, "most remote write `requests` at once; more get 429")
	f.IntVar(&cfg.limitRefused, "limit.write-refused", cfg.limitRefused, "most `messages` of one sender that are refused as too large or as none at once, and one more each second; past it large ones are answered 429 unread")
	f.IntVar(&cfg.limitLabels, "limit.labels", cfg.limitLabels, "most `labels` of a series")
	f.IntVar(&cfg.limitName, "limit.label-name", cfg.limitName, "most `bytes` of a label's name")
	f.IntVar(&cfg.limitValue, "limit.label-value", cfg.limitValue, "most `bytes` of a label's value")
	f.Var(&cfg.limitFuture, "limit.future", "how `far` ahead of the collector's clock a timestamp may lie")
	f.IntVar(&cfg.limitAgentSeries, "limit.agent-series", cfg.limitAgentSeries, "most distinct `series` of one agent within an hour; further ones are not stored, those it has go on")
	f.IntVar(&cfg.limitProjectSeries, "limit.project-series", cfg.limitProjectSeries, "most distinct `series` of one project within an hour")
	f.IntVar(&cfg.limitAllSeries, "limit.series", cfg.limitAllSeries, "most distinct `series` within an hour by remote write, all together")
	f.IntVar(&cfg.limitNodes, "limit.nodes", cfg.limitNodes, "most `agents` in the table of nodes, and nodes that should have one")
	f.Var(&cfg.limitSilence, "limit.silence-duration", "how `long` a silence may last")
	f.Var(&cfg.limitQuery, "limit.query-duration", "longest `time` a query may run")
	f.IntVar(&cfg.limitQueries, "limit.query-concurrency", cfg.limitQueries, "most `queries` at once; more wait, then get 429")
	f.IntVar(&cfg.limitQueryScan, "limit.query-scan", cfg.limitQueryScan, "most `series` that the selectors of one query may match; 0 is as many as an eighth of --limit.engine-memory holds at 512 bytes each, at least 100,000")
	f.IntVar(&cfg.limitQuerySeries, "limit.query-series", cfg.limitQuerySeries, "most `series` in one answer")
	f.IntVar(&cfg.limitQuerySamples, "limit.query-samples", cfg.limitQuerySamples, "most stored `samples` one query may read")
	f.IntVar(&cfg.limitQueryPoints, "limit.query-points", cfg.limitQueryPoints, "most `points` of each series in a range answer")
	f.Var(&cfg.limitQueryLength, "limit.query-length", "longest expression in `bytes`")
	f.Var(&cfg.limitQueryMemory, "limit.query-memory", "most `bytes` one query's evaluation may take, as estimated before it; 0 is an eighth of --limit.engine-memory, at least 64MiB")
	f.Var(&cfg.limitMemory, "limit.engine-memory", "most `bytes` of the engine's caches; 0 is a quarter of the memory there is")
	f.Var(&cfg.limitFreeDisk, "limit.free-disk", "free `bytes` of disk below which no more samples are taken (503)")
	f.TextVar(&cfg.logLevel, "log.level", cfg.logLevel, "`level`: debug, info, warn or error")
	f.StringVar(&cfg.logFormat, "log.format", cfg.logFormat, "`text` or json")
	return s
}

// parse reads args and the environment and checks what the parts do not check themselves.
func (cfg *config) parse(args []string, stdout io.Writer) error {
	s := cfg.flags()
	if err := s.Parse(args, os.Environ()); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		s.Usage(stdout)
		return err
	} else if err != nil {
		return err
	}
	for name, values := range map[string][]string{"external-url": {cfg.externalURL}, "alertmanager.url": cfg.am.URLs, "grafana.url": {cfg.grafanaURL}, "grafana.datasource-url": {cfg.sourceURL}} {
		for _, value := range values {
			u, err := url.Parse(value)
			if value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
				return fmt.Errorf("--%s=%q is not an absolute http or https URL", name, value)
			}
		}
	}
	positive := map[string]int{"write-body": int(cfg.limitBody), "write-decoded": int(cfg.limitDecoded), "future": int(cfg.limitFuture), "query-duration": int(cfg.limitQuery), "silence-duration": int(cfg.limitSilence), "free-disk": int(cfg.limitFreeDisk),
		"write-series": cfg.limitSeries, "write-concurrency": cfg.limitWrites, "write-refused": cfg.limitRefused, "labels": cfg.limitLabels, "label-name": cfg.limitName, "label-value": cfg.limitValue,
		"agent-series": cfg.limitAgentSeries, "project-series": cfg.limitProjectSeries, "series": cfg.limitAllSeries,
		"nodes": cfg.limitNodes, "query-concurrency": cfg.limitQueries, "query-series": cfg.limitQuerySeries, "query-samples": cfg.limitQuerySamples,
		"query-points": cfg.limitQueryPoints, "query-length": int(cfg.limitQueryLength)}
	for name, n := range positive {
		if n < 1 {
			return fmt.Errorf("--limit.%s must not be 0 or less", name)
		}
	}
	if _, err := journal.ParseFsync(cfg.journalFsync); err != nil {
		return fmt.Errorf("--journal.fsync: %w", err)
	}
	if cfg.journalMaxBytes < journal.MinBytes {
		return fmt.Errorf("--journal.max-bytes=%s is below 1MiB", cfg.journalMaxBytes.String())
	}
	if cfg.elsewhere() {
		if err := cfg.remote().Check(); err != nil {
			return err
		}
	}
	switch {
	case cfg.oncallFile != "" && cfg.amConfig != "", (cfg.oncallFile != "" || cfg.amConfig != "") && len(cfg.am.URLs) > 0:
		return errors.New("--oncall, --alertmanager.config and --alertmanager.url exclude each other: give one")
	case len(cfg.am.URLs) == 0 && cfg.am.TokenFile+cfg.am.Username+cfg.am.PasswordFile+cfg.am.CAFile+cfg.am.CertFile+cfg.am.KeyFile != "":
		return errors.New("--alertmanager.token-file, --alertmanager.username, --alertmanager.password-file and --alertmanager.tls.* need --alertmanager.url")
	case !cfg.elsewhere() && cfg.engineToken != "":
		return errors.New("--engine.token-file needs --engine.write-url and --engine.query-url")
	case cfg.grafanaURL == "" && cfg.grafanaToken != "":
		return errors.New("--grafana.token-file needs --grafana.url")
	case cfg.logFormat != "text" && cfg.logFormat != "json":
		return fmt.Errorf("--log.format=%q: use text or json", cfg.logFormat)
	case cfg.grafanaEdits != string(grafana.Repair) && cfg.grafanaEdits != string(grafana.Keep):
		return fmt.Errorf("--grafana.edits=%q: use %s or %s", cfg.grafanaEdits, grafana.Repair, grafana.Keep)
	case time.Duration(cfg.grafanaEvery) < time.Second:
		return fmt.Errorf("--grafana.interval=%s is below 1s", cfg.grafanaEvery.String())
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

func (cfg *config) access() access.Config {
	var scopes []access.Scope
	for _, s := range cfg.certScopes {
		scopes = append(scopes, access.Scope(s))
	}
	return access.Config{Listen: cfg.listen, TokensFile: cfg.tokensFile, Anonymous: cfg.anonymous, Certificate: cfg.tlsCert, Key: cfg.tlsKey, ClientCA: cfg.clientCA, CertificateScopes: scopes}
}

func (cfg *config) engine() engine.Config {
	return engine.Config{DataDir: filepath.Join(cfg.dataDir, "engine"), Retention: time.Duration(cfg.retention), MemoryBytes: int64(cfg.limitMemory), MinFreeDiskBytes: int64(cfg.limitFreeDisk),
		QueryDuration: time.Duration(cfg.limitQuery), QueryConcurrency: cfg.limitQueries, QueryScan: cfg.limitQueryScan, QuerySeries: cfg.limitQuerySeries, QuerySamples: cfg.limitQuerySamples,
		QueryPoints: cfg.limitQueryPoints, QueryLengthBytes: int64(cfg.limitQueryLength), QueryMemoryBytes: int64(cfg.limitQueryMemory)}
}

// elsewhere tells whether another engine keeps the samples.
func (cfg *config) elsewhere() bool { return cfg.engineWrite != "" || cfg.engineQuery != "" }

func (cfg *config) remote() remote.Config {
	return remote.Config{WriteURL: cfg.engineWrite, QueryURL: cfg.engineQuery, TokenFile: cfg.engineToken,
		QueryDuration: time.Duration(cfg.limitQuery), QueryConcurrency: cfg.limitQueries, QueryLengthBytes: int64(cfg.limitQueryLength)}
}

func (cfg *config) journal(mark func() func() bool) journal.Config {
	return journal.Config{Dir: filepath.Join(cfg.dataDir, "journal"), MaxBytes: int64(cfg.journalMaxBytes), Fsync: journal.Fsync(cfg.journalFsync), Mark: mark}
}

func (cfg *config) limits() ingest.Limits {
	return ingest.Limits{BodyBytes: int64(cfg.limitBody), DecodedBytes: int64(cfg.limitDecoded), Series: cfg.limitSeries, Concurrency: cfg.limitWrites, Refused: cfg.limitRefused,
		Labels: cfg.limitLabels, NameBytes: cfg.limitName, ValueBytes: cfg.limitValue, Future: time.Duration(cfg.limitFuture), Retention: time.Duration(cfg.retention)}
}

func (cfg *config) census() ingest.CensusConfig {
	return ingest.CensusConfig{AgentSeries: cfg.limitAgentSeries, ProjectSeries: cfg.limitProjectSeries, Series: cfg.limitAllSeries, Owners: cfg.limitNodes, File: filepath.Join(cfg.dataDir, "census")}
}

func (cfg *config) notify(builtin fs.FS, external string) notify.Config {
	return notify.Config{DataDir: filepath.Join(cfg.dataDir, "alertmanager"), OncallFile: cfg.oncallFile, ConfigFile: cfg.amConfig, Remote: cfg.am, ExternalURL: external,
		EventAlerts: func() []string { return rules.EventAlerts(cfg.rules(builtin, external)) }, MaxSilence: time.Duration(cfg.limitSilence)}
}

func (cfg *config) rules(builtin fs.FS, external string) rules.Config {
	if !cfg.builtinRules {
		builtin = nil
	}
	return rules.Config{Builtin: builtin, Globs: cfg.ruleGlobs, StateFile: filepath.Join(cfg.dataDir, "alerts.json"), ExternalURL: external, QueryTimeout: time.Duration(cfg.limitQuery), Describe: describeInput}
}

func (cfg *config) grafana(external string) grafana.Config {
	source := cfg.sourceURL
	if source == "" {
		source = external
	}
	g := grafana.Config{URL: cfg.grafanaURL, TokenFile: cfg.grafanaToken, FolderTitle: cfg.grafanaFolder, DatasourceURL: source, DatasourceTokenFile: cfg.sourceToken, Interval: time.Duration(cfg.grafanaEvery),
		Edits: grafana.Edits(cfg.grafanaEdits), Editable: cfg.grafanaOpen, ReadOnly: cfg.grafanaLook}
	if cfg.grafanaMarks {
		g.AnnotationsFile = filepath.Join(cfg.dataDir, "grafana-annotations.json")
	}
	return g
}

// reachedAt is the address for links: what the operator says, or what the listener has.
func (cfg *config) reachedAt(listening string) string {
	if cfg.externalURL != "" {
		return strings.TrimRight(cfg.externalURL, "/")
	}
	return listening
}

// path is the one --external-url has behind its host, empty for none.
func (cfg *config) path() string {
	u, err := url.Parse(cfg.externalURL)
	if err != nil {
		return "" // refused when the flags were read
	}
	return strings.TrimRight(u.Path, "/")
}

// grafanaTarget is the Grafana published to, without what may be secret in its URL.
func (cfg *config) grafanaTarget() string {
	if cfg.grafanaURL == "" {
		return "none"
	}
	u, err := url.Parse(cfg.grafanaURL)
	if err != nil {
		return "unreadable"
	}
	return u.Redacted()
}
