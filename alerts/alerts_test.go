package alerts_test

import (
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/alerts"
)

type rule struct {
	Alert, Record, Expr string
	For                 string
	Labels, Annotations map[string]string
}

func (r rule) name() string { return r.Alert + r.Record }

// pack reads all rules of the embedded files. An alert may have several rules.
func pack(t *testing.T) []rule {
	t.Helper()
	var rules []rule
	names, err := fs.Glob(alerts.FS(), "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no rule files: %v", err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(alerts.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Groups []struct {
				Interval time.Duration
				Rules    []rule
			}
		}
		if err := yaml.Unmarshal(data, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range file.Groups {
			if g.Interval <= 0 || g.Interval > 4*time.Minute {
				t.Errorf("%s: interval %s: what is recorded less often than every 4 min is invisible to instant queries in between", name, g.Interval)
			}
			rules = append(rules, g.Rules...)
		}
	}
	return rules
}

func alertsOf(rules []rule) []rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r rule) bool { return r.Alert == "" })
}

// alertNames are sorted, each once.
func alertNames(rules []rule) []string {
	names := map[string]bool{}
	for _, r := range alertsOf(rules) {
		names[r.Alert] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func TestThePackHoldsWhatOnCallWasPromised(t *testing.T) {
	core := strings.Fields(`ContainerOOMKilled ContainerOOMLoop ContainerRestartLoop ContainerUnhealthy WorkloadReplicasMissing WorkloadDown
		ContainerCPUThrottlingHurts ContainerCPUStarved ContainerMemoryNearLimit ContainerMemoryWillHitLimit ContainerMemoryStall ContainerIOStall
		ContainerWritableLayerGrowing ContainerPIDsNearLimit ContainerFDsNearLimit ContainerNetworkErrors ProjectContainersMissing ProjectVanished
		AgentAbsent ClusterTelemetryLost NodeClockSkew NodeFilesystemFillingUp AgentRemoteWriteBehind AgentQueueFullSoon AgentSamplesDropped
		CollectorIngestionStopped RuleEvaluationFailing NotificationFailing Watchdog IDCFailoverImpossibleCPU IDCFailoverImpossibleMemory`)
	have := alertNames(pack(t))
	for _, name := range core {
		if !slices.Contains(have, name) {
			t.Errorf("%s is missing", name)
		}
	}
	t.Logf("%d alerts, %d of them core", len(have), len(core))
}

func TestEveryAlertSaysWhatIsWrongHowBadAndWhatToDo(t *testing.T) {
	rules := pack(t)
	for _, r := range alertsOf(rules) {
		name := r.Alert
		if !slices.Contains([]string{"critical", "warning", "info", "none"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", name, r.Labels["severity"])
		}
		if r.Annotations["runbook_url"] != "{{ $externalURL }}/runbooks/"+name {
			t.Errorf("%s: runbook_url %q", name, r.Annotations["runbook_url"])
		}
		if !strings.HasPrefix(r.Annotations["dashboard_url"], "{{ $externalURL }}/d/cont-") || !strings.HasSuffix(r.Annotations["dashboard_url"], "from=now-1h&to=now") {
			t.Errorf("%s: dashboard_url %q", name, r.Annotations["dashboard_url"])
		}
		for _, key := range []string{"summary", "description"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s has no %s", name, key)
			}
		}
		figure := r.Annotations["summary"] + r.Annotations["description"]
		without := []string{"Watchdog", "ContainerUnhealthy", "AgentSourceDown", "CollectorJournalDown"} // yes or no, no figure
		if !strings.Contains(figure, "$value") && !slices.Contains(without, name) {
			t.Errorf("%s does not say its value", name)
		}
	}
}

// The threshold is told with the alert. What it says must be what the rule has.
func TestTheThresholdThatIsToldIsTheRules(t *testing.T) {
	percent := regexp.MustCompile(`([\d.]+)%`)
	lasting := regexp.MustCompile(`for (\d+) (min|h|d)\b`)
	for _, r := range alertsOf(pack(t)) {
		text := r.Annotations["threshold"]
		if text == "" {
			if found := regexp.MustCompile(`[<>] 0?\.\d|[<>] [1-9]`).FindString(r.Expr); found != "" && !strings.Contains(r.Expr, "count(idc:") {
				t.Errorf("%s has a threshold (%s) and does not tell it", r.Alert, found)
			}
			continue
		}
		for _, p := range percent.FindAllStringSubmatch(text, -1) {
			value, err := strconv.ParseFloat(p[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			near := regexp.MustCompile(`\d[\d.]*(?: \* \d[\d.]*)?`)
			have := slices.ContainsFunc(near.FindAllString(r.Expr, -1), func(number string) bool {
				figure := 1.0
				for _, factor := range strings.Split(number, " * ") {
					f, err := strconv.ParseFloat(factor, 64)
					if err != nil {
						return false
					}
					figure *= f
				}
				return math.Abs(100*figure-value) < 1e-6 || math.Abs(100*(1-figure)-value) < 1e-6 || value == 100
			})
			if !have {
				t.Errorf("%s tells %q, which is not in %s", r.Alert, p[0], r.Expr)
			}
		}
		if l := lasting.FindStringSubmatch(text); l != nil && r.For != l[1]+l[2][:1] {
			t.Errorf("%s tells %q and waits for %q", r.Alert, l[0], r.For)
		} else if l == nil && r.For != "" {
			t.Errorf("%s waits for %s and does not tell it", r.Alert, r.For)
		}
	}
}

// A label that an annotation names and the expression has not would be printed empty.
func TestAnnotationsNameOnlyLabelsTheAlertHas(t *testing.T) {
	rules := pack(t)
	for _, r := range alertsOf(rules) {
		name := r.Alert
		words := regexp.MustCompile(`\w+`)
		have := words.FindAllString(r.Expr, -1)
		for _, recorded := range rules {
			if recorded.Record != "" && strings.Contains(r.Expr, recorded.Record) {
				have = append(have, words.FindAllString(recorded.Expr, -1)...)
			}
		}
		for key, text := range r.Annotations {
			for _, used := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
				if !slices.Contains(have, used[1]) {
					t.Errorf("%s: %s names the label %s, which the expression has not", name, key, used[1])
				}
			}
		}
	}
}

func TestEveryAlertHasARunbookWithQueriesThatParse(t *testing.T) {
	rules := pack(t)
	files, err := fs.Glob(alerts.FS(), "runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, file := range files {
		have = append(have, strings.TrimSuffix(filepath.Base(file), ".md"))
	}
	if want := alertNames(rules); !slices.Equal(have, want) {
		t.Errorf("runbooks are there for %v, alerts are %v", have, want)
	}
	for _, file := range files {
		data, err := fs.ReadFile(alerts.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		place := 0
		for _, heading := range []string{"# " + strings.TrimSuffix(filepath.Base(file), ".md"), "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"} {
			i := strings.Index(text[place:], heading+"\n\n")
			if i < 0 {
				t.Errorf("%s: %q is missing or out of order", file, heading)
				continue
			}
			place += i
		}
		blocks := regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no query", file)
		}
		for _, block := range blocks {
			for _, expr := range strings.Split(strings.TrimSpace(block[1]), "\n") {
				if _, err := metricsql.Parse(expr); err != nil {
					t.Errorf("%s: %s: %v", file, expr, err)
				}
				known(t, file, expr, rules)
			}
		}
	}
}

func TestRulesRestOnMetricsThatExist(t *testing.T) {
	rules := pack(t)
	for _, r := range rules {
		known(t, r.name(), r.Expr, rules)
	}
}

// known reports metrics in expr that are neither the agent's, nor the programs' own, nor recorded by the pack.
func known(t *testing.T, where, expr string, rules []rule) {
	t.Helper()
	have := map[string]bool{
		"ALERTS": true, "process_resident_memory_bytes": true, // every program's own
	}
	for _, id := range catalog.IDs() {
		have[catalog.Lookup(id).Name] = true
	}
	for _, r := range rules {
		if r.Record != "" {
			have[r.Record] = true
		}
	}
	parsed, err := metricsql.Parse(expr)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		m, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		for _, filters := range m.LabelFilterss {
			for _, f := range filters {
				if f.Label == "__name__" && !have[f.Value] && !strings.HasPrefix(f.Value, "plimsoll_agent_") && !strings.HasPrefix(f.Value, "plimsoll_collector_") {
					t.Errorf("%s: nobody sends %s", where, f.Value)
				}
			}
		}
	})
}

func TestEveryAlertIsTestedFiringAndSilent(t *testing.T) {
	firing, silent := map[string]bool{}, map[string]bool{"Watchdog": true} // it is never silent
	files, err := filepath.Glob("tests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var tests struct {
			Tests []struct {
				Cases []struct {
					Alertname string
					ExpAlerts []any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal(data, &tests); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range tests.Tests {
			for _, c := range test.Cases {
				if len(c.ExpAlerts) > 0 {
					firing[c.Alertname] = true
				} else {
					silent[c.Alertname] = true
				}
			}
		}
	}
	for _, name := range alertNames(pack(t)) {
		if !firing[name] {
			t.Errorf("%s is nowhere tested to fire", name)
		}
		if !silent[name] {
			t.Errorf("%s is nowhere tested to be silent", name)
		}
	}
}

func TestPrometheusTakesTheRulesUnchanged(t *testing.T) {
	promtool(t, "check", "rules", "*.yaml")
}

func TestTheRulesMeanWhatTheirTestsSay(t *testing.T) {
	promtool(t, "test", "rules", "tests/*.yaml")
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is not installed (apt: prometheus)")
		}
		t.Skip("promtool is not installed (apt: prometheus)")
	}
	files, err := filepath.Glob(args[len(args)-1])
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", args[len(args)-1], err)
	}
	out, err := exec.Command(tool, append(args[:len(args)-1], files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
