package engine

import (
	"fmt"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/cgroup"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
)

// Config of the engine. Only DataDir has no default.
type Config struct {
	// DataDir holds the samples, the index and a lock file; created when absent.
	DataDir string
	// Retention is how long samples are kept. At least one day, at most 100 years; 0 means 90 days.
	Retention time.Duration
	// MemoryBytes bounds the caches. 0 means a quarter of the memory of the machine or of the cgroup; at least 32 MiB,
	// at most half of that memory. A new store uses a few MiB whatever the bound is.
	MemoryBytes int64
	// MinFreeDiskBytes is the free space below which the engine takes no more samples. 0 means 256 MiB.
	MinFreeDiskBytes int64
	// QueryDuration is the longest a query may run. 0 means 30 s.
	QueryDuration time.Duration
	// QueryConcurrency is how many requests are answered at once, and how many queries of the program itself; more wait up to 10 s. 0 means 16.
	QueryConcurrency int
	// QueryScan is the most series that the selectors of one query may match together. 0 means as many as an eighth of MemoryBytes holds
	// at 512 bytes each, at least 100,000.
	QueryScan int
	// QuerySeries is the most series an answer may hold. 0 means 100,000.
	QuerySeries int
	// QuerySamples is the most stored samples one query may read. 0 means 200 million.
	QuerySamples int
	// QueryPoints is the most points of each series in a range answer. 0 means 30,000.
	QueryPoints int
	// QueryLengthBytes is the longest expression that HTTP takes. 0 means 16 KiB.
	QueryLengthBytes int64
	// Described is what the collector says of metrics itself, and so to everybody.
	Described []prompb.MetricMetadata
	// QueryMemoryBytes bounds what one query's evaluation may hold, by the library's estimate. 0 means an eighth of MemoryBytes, at least 64 MiB.
	QueryMemoryBytes int64
}

func (c Config) withDefaults() Config {
	set := func(v *int64, to int64) {
		if *v == 0 {
			*v = to
		}
	}
	set((*int64)(&c.Retention), int64(90*day))
	set(&c.MinFreeDiskBytes, 256<<20)
	set((*int64)(&c.QueryDuration), int64(30*time.Second))
	setInt := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	setInt(&c.QueryConcurrency, 16)
	setInt(&c.QuerySeries, 100_000)
	setInt(&c.QuerySamples, 200_000_000)
	setInt(&c.QueryPoints, 30_000)
	set(&c.QueryLengthBytes, 16<<10)
	if c.MemoryBytes == 0 {
		c.MemoryBytes = max(memoryTotalBytes()/4, minMemoryBytes)
	}
	setInt(&c.QueryScan, max(int(c.MemoryBytes/8/scanBytes), leastQueryScan))
	set(&c.QueryMemoryBytes, max(c.MemoryBytes/8, leastQueryMemoryBytes))
	return c
}

const (
	day            = 24 * time.Hour
	maxRetention   = 100 * 365 * day
	minMemoryBytes = 32 << 20

	leastQueryMemoryBytes = 64 << 20
	leastQueryScan        = 100_000
	scanBytes             = 512 // of a series that a query reads: its name, where its blocks are
)

// Check says what Open would say of the configuration alone; it touches no disk.
func (c Config) Check() error { return c.withDefaults().validate() }

func (c Config) validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...)
	}
	switch memory := memoryTotalBytes(); {
	case c.DataDir == "":
		return bad("--data-dir is not set")
	case c.Retention < day || c.Retention > maxRetention:
		return bad("--retention=%s is outside 1d to 100y", c.Retention)
	case c.MemoryBytes < minMemoryBytes:
		return bad("--limit.engine-memory=%d is below %d", c.MemoryBytes, minMemoryBytes)
	case c.MemoryBytes > max(memory/2, minMemoryBytes):
		return bad("--limit.engine-memory=%d is more than half of the %d bytes there are", c.MemoryBytes, memory)
	case c.MinFreeDiskBytes < 0:
		return bad("--limit.free-disk=%d is negative", c.MinFreeDiskBytes)
	case c.QueryDuration < time.Second || c.QueryDuration > time.Hour:
		return bad("--limit.query-duration=%s is outside 1s to 1h", c.QueryDuration)
	case c.QueryConcurrency < 1 || c.QueryConcurrency > 1000:
		return bad("--limit.query-concurrency=%d is outside 1 to 1000", c.QueryConcurrency)
	case c.QueryScan < 1 || c.QuerySeries < 1 || c.QuerySamples < 1 || c.QueryPoints < 1:
		return bad("--limit.query-scan=%d, --limit.query-series=%d, --limit.query-samples=%d and --limit.query-points=%d must be positive", c.QueryScan, c.QuerySeries, c.QuerySamples, c.QueryPoints)
	case c.QueryLengthBytes < 1 || c.QueryMemoryBytes < 1:
		return bad("--limit.query-length=%d and --limit.query-memory=%d must be positive", c.QueryLengthBytes, c.QueryMemoryBytes)
	}
	return nil
}

// flags are the library's settings for a validated configuration.
func (c Config) flags() map[string]string {
	return map[string]string{
		"storageDataPath":               c.DataDir,
		"retentionPeriod":               strconv.FormatInt(int64(c.Retention/time.Second), 10) + "s",
		"memory.allowedBytes":           strconv.FormatInt(c.MemoryBytes, 10),
		"storage.minFreeDiskSpaceBytes": strconv.FormatInt(c.MinFreeDiskBytes, 10),
		// The least the library accepts in effect: samples wait this long in memory before they are on disk.
		"inmemoryDataFlushInterval": "2s",
		// Exact duplicates (a batch sent twice) vanish at query time and when parts are merged.
		"dedup.minScrapeInterval": "1ms",
		// The default hides the newest 30 s from queries.
		"search.latencyOffset":          "0s",
		"search.maxQueryDuration":       c.QueryDuration.String(),
		"search.maxExportDuration":      exportDuration.String(),
		"search.maxLabelsAPIDuration":   c.QueryDuration.String(),
		"search.maxResponseSeries":      strconv.Itoa(c.QuerySeries),
		"search.maxSeries":              strconv.Itoa(c.QuerySeries),
		"search.maxSamplesPerQuery":     strconv.Itoa(c.QuerySamples),
		"search.maxPointsPerTimeseries": strconv.Itoa(c.QueryPoints),
		"search.maxWorkersPerQuery":     strconv.Itoa(c.workers()),
		"search.maxLabelsAPISeries":     strconv.Itoa(c.QueryScan),
		"search.maxQueryLen":            strconv.FormatInt(c.QueryLengthBytes, 10),
		"search.maxMemoryPerQuery":      strconv.FormatInt(c.QueryMemoryBytes, 10),
		// Statistics that only APIs we do not offer would show.
		"search.queryStats.lastQueriesCount": "0",
		"storage.trackMetricNamesStats":      "false",
		// Another site's page must not read answers through the browser of someone who can reach us.
		"http.disableCORS": "true",
		// Plain lines: with json the library leaves the process on its own panics, before anyone can say why.
		"loggerFormat":            "default",
		"loggerDisableTimestamps": "true",
		"loggerLevel":             "INFO",
	}
}

// workers is how many CPUs one query may use.
func (c Config) workers() int {
	each, _ := share(runtime.GOMAXPROCS(0))
	return each
}

// exportDuration bounds /api/v1/export, which streams and so may outlast a query.
const exportDuration = time.Hour

// memoryTotalBytes is the memory of the machine, or of this process's cgroup when that is less.
func memoryTotalBytes() int64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 1 << 30
	}
	total := int64(info.Totalram) * int64(info.Unit)
	for _, limit := range []int64{cgroup.GetMemoryLimit(), cgroup.GetHierarchicalMemoryLimit()} {
		if limit > 0 && limit < total {
			return limit
		}
	}
	return total
}
