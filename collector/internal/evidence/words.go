package evidence

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// exit tells the exit records of two containers, or of two reasons, apart.
func exit(labels map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "part" && name != "__name__" {
			text.WriteString(name + "\xff" + labels[name] + "\xff")
		}
	}
	return text.String()
}

// lastExit is for example "oom_killed, exit code 137 (signal 9), 2026-11-23 11:04:05 UTC, app on n-17".
func lastExit(last releases.Sample, codes map[string]float64) string {
	text := last.Labels["reason"]
	if code, known := codes[exit(last.Labels)]; known {
		text += fmt.Sprintf(", exit code %.0f", code)
		if code > 128 && (last.Labels["reason"] == "signalled" || last.Labels["reason"] == "stopped" || last.Labels["reason"] == "oom_killed") {
			text += fmt.Sprintf(" (signal %.0f)", code-128)
		}
	}
	text += ", " + time.UnixMilli(int64(last.Value*1000+0.5)).UTC().Format(time.DateTime+" MST") + ", " + last.Labels["container"]
	if node := last.Labels["node"]; node != "" {
		text += " on " + node
	}
	return text
}

// usage is for example "memory 61.2 MiB of 64 MiB, CPU 0.48 of 1 cores, 12 of 100 tasks". What is not known is left out, and a
// limit where there is none.
func usage(figures map[string]float64) string {
	var parts []string
	say := func(name, before, after string, text func(float64) string) {
		value, known := figures[name]
		if !known {
			return
		}
		words := before + text(value)
		if limit := figures[name+"_limit"]; limit > 0 {
			words += " of " + text(limit)
		}
		parts = append(parts, words+after)
	}
	say("memory", "memory ", "", bytes)
	say("cpu", "CPU ", " cores", number)
	say("tasks", "", " tasks", number)
	say("containers", "", " containers", number)
	say("agents", "", " agents heard", number)
	say("samples", "", " samples/s", number)
	say("series", "", " series", number)
	say("disk", "", " of disk free", bytes)
	return strings.Join(parts, ", ")
}

// ofProjects is for example " (shop 20, bank 12)".
func ofProjects(projects []releases.Sample) string {
	slices.SortFunc(projects, func(a, b releases.Sample) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), strings.Compare(a.Labels["project"], b.Labels["project"]))
	})
	words := make([]string, len(projects))
	for i, p := range projects {
		words[i] = fmt.Sprintf("%s %.0f", cmp.Or(p.Labels["project"], "no project"), p.Value)
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// agent is for example "version 1.2, heard 2026-11-23 11:04:05 UTC, 45s ago".
func agent(version string, heard float64, now time.Time) string {
	var parts []string
	if version != "" {
		parts = append(parts, "version "+version)
	}
	if heard > 0 {
		at := time.UnixMilli(int64(heard * 1000))
		parts = append(parts, fmt.Sprintf("heard %s, %s ago", at.UTC().Format(time.DateTime+" MST"), max(0, now.Sub(at).Round(time.Second))))
	}
	return strings.Join(parts, ", ")
}

// number has three digits that matter, and no zeros that do not.
func number(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func bytes(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return number(v) + " " + units[i]
}
