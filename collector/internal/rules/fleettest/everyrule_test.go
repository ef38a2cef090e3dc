package fleettest

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/ingest"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

// TestEveryRuleFiresOnItsFaultAlone writes a healthy fleet and one faulty object for each alert of the pack through the endpoint for
// remote write, 18 hours in minutes, and prints which alert fired on what: each on its object, none elsewhere, and before the faults
// none at all. make show-alerts runs it.
func TestEveryRuleFiresOnItsFaultAlone(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "alerts" {
		t.Skip("takes minutes: make show-alerts")
	}
	log := slog.New(slog.DiscardHandler)
	eng, err := engine.Open(engine.Config{DataDir: t.TempDir()}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	reg := prometheus.NewRegistry()
	write, err := ingest.New(ingest.Config{Nodes: ingest.OpenNodes(ingest.NodesConfig{}, log, reg)}, eng, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	const length = 18 * time.Hour
	begin := time.Now().Add(-length - time.Minute).Truncate(time.Minute)
	w := &world{series: map[string]*simulated{}}
	w.healthy(begin)
	healthySeries := len(w.series)
	for _, f := range faults() {
		f.inject(w, "bad-"+f.alert, begin)
	}
	pastMonth(t, eng.Append, begin)

	heard := &listener{begin: begin, firing: map[model.Fingerprint]bool{}}
	m, err := rules.New(rules.Config{Builtin: alerts.FS()}, rules.Ports{
		Query: rules.Queries(eng.Query), Append: eng.Append, Notify: heard.notify, Flush: eng.Flush,
	}, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	before := cpu()
	for at := time.Duration(0); at < length; {
		w.at(t, begin, at, write, eng.Append)
		eng.Flush()
		heard.now = begin.Add(at)
		m.Evaluate(t.Context(), heard.now)
		if at < injected+3*time.Hour {
			at += 2 * time.Minute
		} else {
			at += 4 * time.Minute
		}
	}
	t.Logf("%d healthy series and %d with the faults, %s simulated with %.0f s of CPU time", healthySeries, len(w.series), length, (cpu() - before).Seconds())
	report(t, heard.all)
}

// pastMonth is what the rules recorded of the cluster that fills up, and of one that does not, during the four weeks before.
func pastMonth(t *testing.T, store func([]prompb.TimeSeries) error, begin time.Time) {
	t.Helper()
	for cluster, slope := range map[string]float64{"bad-ClusterFullIn30Days": 0.6, "c1": 0} {
		idc, level := "gz", 44.0
		if cluster == "c1" {
			idc, level = "bj", 18
		}
		ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "cluster:cpu_usage_cores:p95_1d"}, {Name: "cluster", Value: cluster}, {Name: "idc", Value: idc}}}
		for ago := 28 * 24 * time.Hour; ago > 0; ago -= 4 * time.Minute {
			ts.Samples = append(ts.Samples, prompb.Sample{Value: level - slope*ago.Hours()/24, Timestamp: begin.Add(-ago).UnixMilli()})
		}
		if err := store([]prompb.TimeSeries{ts}); err != nil {
			t.Fatal(err)
		}
	}
}

// report prints what fired on which object, and says what should not have, or did not.
func report(t *testing.T, all []said) {
	t.Helper()
	object := regexp.MustCompile(`bad-\w+`)
	type fired struct {
		first time.Duration
		rules map[string]bool // by severity and window, which tell rules of one name apart
	}
	found := map[string]map[string]*fired{} // by object and alert
	for _, s := range all {
		if s.alert.Name() == "Watchdog" || s.over {
			continue
		}
		names := slices.Compact(object.FindAllString(s.alert.Labels.String(), -1))
		if s.alert.Name() == "FleetUnplacedShareHigh" { // it is about the whole fleet
			names = []string{"bad-FleetUnplacedShareHigh"}
		}
		switch {
		case len(names) != 1:
			t.Errorf("%s is on no faulty object", s)
			continue
		case s.after < injected && !early()[s.alert.Name()]:
			t.Errorf("%s fired before its fault", s)
		}
		if found[names[0]] == nil {
			found[names[0]] = map[string]*fired{}
		}
		f := found[names[0]][s.alert.Name()]
		if f == nil {
			f = &fired{s.after, map[string]bool{}}
			found[names[0]][s.alert.Name()] = f
		}
		f.rules[fmt.Sprint(s.alert.Labels["severity"], s.alert.Labels["window"], s.alert.Labels["scope"])] = true
	}
	have := map[string]bool{"Watchdog": true}
	for _, f := range faults() {
		have[f.alert] = true
		of := found["bad-"+f.alert]
		hit := of[f.alert]
		if hit == nil {
			t.Errorf("%s did not fire on its fault", f.alert)
			continue
		}
		if len(hit.rules) != max(1, f.rules) {
			t.Errorf("%s: %d of its rules fired (%v), want %d", f.alert, len(hit.rules), hit.rules, max(1, f.rules))
		}
		var others []string
		for name := range of {
			if name != f.alert {
				others = append(others, name)
				if !slices.Contains(f.also, name) {
					t.Errorf("%s fired on %s", name, "bad-"+f.alert)
				}
			}
		}
		since := fmt.Sprintf("%s after the fault", hit.first-injected)
		if early()[f.alert] {
			since = fmt.Sprintf("%s after the beginning", hit.first)
		}
		t.Logf("%-30s on bad-%s %s; %s", f.alert, f.alert, since, strings.Join(append([]string{"nowhere else"}, others...), ", also on it "))
	}
	for _, name := range packAlerts(t) {
		if !have[name] {
			t.Errorf("no fault is injected for %s", name)
		}
	}
	if !t.Failed() {
		t.Logf("all %d alerts of the pack fired on their object alone; the healthy objects told nothing", len(have)-1)
	}
}

// early are alerts whose fault is there from the beginning, as they need hours of it.
func early() map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(`ContainerWritableLayerGrowing NodeFilesystemFillingUp CollectorDiskFullSoon ClusterCPUHeadroomLow ClusterMemoryHeadroomLow
		ClusterCannotLoseANode ClusterFullIn30Days IDCFailoverImpossibleCPU IDCFailoverImpossibleMemory WorkloadOverProvisioned`) {
		all[name] = true
	}
	return all
}

// packAlerts are the names of all alerts of the pack.
func packAlerts(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	for _, g := range packGroups(t) {
		for _, r := range g.alerts {
			names[r] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
