package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// limits tells whether the running agent keeps within its limits and what it leaves out for that. It is asked, for only it knows.
func (r *report) limits(cfg config) {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + cfg.listen + "/metrics")
	if cfg.listen == "" || err != nil {
		r.good("limits", "--limit.cpu=%s --limit.memory=%s; no agent answers at --listen=%q, so nothing is known of what it takes", cfg.limitCPU.String(), cfg.limitMemory.String(), cfg.listen)
		return
	}
	defer resp.Body.Close()
	took, err := ownMetrics(resp.Body)
	if err != nil {
		r.bad("limits", "the agent at %s: %v", cfg.listen, err)
		return
	}
	takes := fmt.Sprintf("takes %.3f CPU (--limit.cpu=%g) and %.0f MiB (--limit.memory=%.0f MiB)", took["plimsoll_agent_cpu_cores"], took["plimsoll_agent_limit_cpu_cores"],
		took["process_resident_memory_bytes"]/(1<<20), took["plimsoll_agent_limit_memory_bytes"]/(1<<20))
	var left []string
	for w := range shed.Works {
		if took[`plimsoll_agent_shedding{what="`+w.String()+`"}`] > 0 {
			left = append(left, w.String())
		}
	}
	if len(left) > 0 {
		r.bad("limits", "the agent at %s %s and leaves out %s: raise the limit, switch groups off, or give it fewer containers", cfg.listen, takes, strings.Join(left, ", "))
	} else {
		r.good("limits", "the agent at %s %s and leaves nothing out", cfg.listen, takes)
	}
	r.losses(took)
	if n := took["plimsoll_agent_cgroups_not_held"]; n > 0 {
		r.bad("descriptors", "%.0f cgroups are read without held files, at three times the cost: raise the limit of open files (LimitNOFILE)", n)
	}
}

// ownMetrics are the agent's own metrics in a page of the Prometheus text format, by name and labels.
func ownMetrics(page io.Reader) (map[string]float64, error) {
	values := map[string]float64{}
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "} ")
		if ok {
			name += "}"
		} else if name, value, ok = strings.Cut(lines.Text(), " "); !ok {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil && (strings.HasPrefix(name, "plimsoll_agent_") || strings.HasPrefix(name, "process_")) {
			values[name] = v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read its metrics: %w", err)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("what answers there is no plimsoll-agent")
	}
	return values, nil
}
