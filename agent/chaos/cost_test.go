package chaos_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What the collector takes of a CPU for a sample beside the program its engine comes from, as make bench-collector measures it.
func TestCostBesideVictoriaMetrics(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes two minutes: make bench-collector")
	}
	const most = 1.2
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	bench := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-benchtime", "3x", "-v", "./collector/bench")
	bench.Dir = "../.."
	bench.Env = append(os.Environ(), "PLIMSOLL_BENCH_COLLECTOR="+binary)
	text, err := bench.CombinedOutput()
	if err != nil {
		t.Fatalf("make bench-collector: %v\n%s", err, text)
	}
	if strings.Contains(string(text), "needs victoria-metrics") {
		told.tell("CPU of a sample, collector with journal", "not measured: needs victoria-metrics (apt install victoria-metrics)")
		t.Skip("needs victoria-metrics (apt install victoria-metrics)")
	}
	var figures [3]float64
	for i, unit := range []string{"collector-µs/sample", "peer-µs/sample", "ratio"} {
		found := regexp.MustCompile(`([0-9.]+) ` + unit).FindStringSubmatch(string(text))
		if found == nil {
			t.Fatalf("no %s in\n%s", unit, text)
		}
		if _, err := fmt.Sscan(found[1], &figures[i]); err != nil {
			t.Fatal(err)
		}
	}
	told.tell("CPU of a sample, collector with journal", "%.2f µs, victoria-metrics fed the same stream %.2f µs: %.2f x (want %.1f at most)", figures[0], figures[1], figures[2], most)
	if figures[2] > most {
		t.Errorf("%.2f times the CPU of victoria-metrics, want %.1f at most", figures[2], most)
	}
}
