package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// screen shows pictures: in place on a terminal, as one line each elsewhere.
type screen struct {
	out   io.Writer
	every time.Duration // between pictures
	width func() int    // columns of the terminal; nil when it is none
	drawn int           // lines of the picture that stands on the terminal
	told  string        // degraded sources already said, where pictures are lines
}

// line writes one line that stays.
func (s *screen) line(format string, args ...any) {
	fmt.Fprintf(s.out, format+"\n", args...)
}

// picture shows p, taken running after the start.
func (s *screen) picture(p picture, running time.Duration) {
	if s.width == nil {
		if said := strings.Join(p.degraded, "\n"); said != s.told {
			s.told = said
			for _, sentence := range p.degraded {
				s.line("! %s", sentence)
			}
		}
		s.line("%s", oneLine(p, running))
		return
	}
	lines := block(p, running)
	var frame strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA\r", s.drawn) // up to the first line of the block
	}
	for _, line := range lines {
		frame.WriteString(cut(line, s.width()-1))
		frame.WriteString("\x1b[K\n") // clear the rest of the line
	}
	frame.WriteString("\x1b[J") // and whatever the longer block before left below
	io.WriteString(s.out, frame.String())
	s.drawn = len(lines)
}

// leave ends the block, so that what follows stands below it and the ^C of the terminal.
func (s *screen) leave() {
	if s.drawn > 0 {
		io.WriteString(s.out, "\r\x1b[K")
		s.drawn = 0
	}
}

// block is the picture for a terminal.
func block(p picture, running time.Duration) []string {
	lines := []string{
		"  running     " + running.Truncate(time.Second).String() + "; Ctrl-C stops both",
		"  containers  " + containers(p),
		"  samples     " + samples(p),
		"  series      " + thousands(float64(p.series)) + " in the engine",
		"  alerts      " + alerts(p),
		"  agent       " + cost(p.agent, p.rated),
		"  collector   " + cost(p.collector, p.rated),
	}
	for _, sentence := range p.degraded {
		lines = append(lines, "  ! "+sentence)
	}
	for _, fault := range p.faults {
		lines = append(lines, "  ! "+fault)
	}
	return lines
}

// oneLine is the picture for a log.
func oneLine(p picture, running time.Duration) string {
	parts := []string{
		fmt.Sprintf("%4.0f s", running.Seconds()),
		"containers " + containers(p),
		"samples " + samples(p),
		"series " + thousands(float64(p.series)),
		"alerts " + alerts(p),
		"agent " + cost(p.agent, p.rated),
		"collector " + cost(p.collector, p.rated),
	}
	for _, fault := range p.faults {
		parts = append(parts, "! "+fault)
	}
	return strings.Join(parts, " | ")
}

func containers(p picture) string {
	text := thousands(float64(p.containers))
	if p.unresolved > 0 {
		text += fmt.Sprintf(" (%d without a name yet)", p.unresolved)
	}
	return text
}

func samples(p picture) string {
	text := thousands(p.shipped) + " shipped"
	if p.rated {
		text += " (" + thousands(p.shippedPerSecond) + "/s)"
	}
	if p.waitingBytes > 0 {
		text += fmt.Sprintf(", %s waiting on disk", size(p.waitingBytes))
	}
	if p.dropped > 0 {
		text += ", " + thousands(p.dropped) + " dropped"
	}
	return text
}

func alerts(p picture) string {
	if len(p.firing) == 0 {
		return "none firing"
	}
	return "firing: " + strings.Join(p.firing, ", ")
}

// cost is CPU in percent of one core, and resident memory.
func cost(p process, rated bool) string {
	if !rated {
		return "RSS " + size(p.rssBytes)
	}
	return fmt.Sprintf("CPU %.1f %%, RSS %s", 100*p.cpuCores, size(p.rssBytes))
}

func size(bytes float64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", bytes/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.0f MiB", bytes/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", bytes/(1<<10))
}

// thousands writes a whole number with separators: 1,234,567.
func thousands(n float64) string {
	digits := strconv.FormatFloat(n, 'f', 0, 64)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// cut shortens a line to the columns of the terminal, so that a block has as many rows as lines.
func cut(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:columns-1]) + "…"
}
