package settings

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Strings is a repeatable flag; a value may also hold several, separated by commas.
type Strings []string

// String joins the values with commas.
func (v *Strings) String() string { return strings.Join(*v, ",") }

// Set appends the values of text.
func (v *Strings) Set(text string) error {
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			return errors.New("empty value")
		}
		*v = append(*v, item)
	}
	return nil
}

// Bytes is a size: 1GiB, 64MiB, 512KiB (powers of 1024), 100MB (powers of 1000), or plain bytes.
type Bytes int64

// sizeUnits are tried in this order: a longer suffix before the shorter that ends it.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}}
}

type sizeUnit struct {
	suffix string
	bytes  float64
}

// String writes the size in the largest unit that divides it.
func (v *Bytes) String() string {
	for _, u := range sizeUnits()[:4] {
		if n := int64(*v); n >= int64(u.bytes) && n%int64(u.bytes) == 0 {
			return strconv.FormatInt(n/int64(u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(*v), 10)
}

// Set parses a size.
func (v *Bytes) Set(text string) error {
	number, scale := text, 1.0
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			number, scale = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) || n*scale >= math.MaxInt64 {
		return fmt.Errorf("%q is not a size; write for example 512MiB, 1GiB or a number of bytes", text)
	}
	*v = Bytes(n * scale)
	return nil
}

// Cores is CPU time a second: 0.25 (of one CPU), or 5% (of all CPUs of the machine).
type Cores float64

// String writes the number of CPUs.
func (v *Cores) String() string { return strconv.FormatFloat(float64(*v), 'g', -1, 64) }

// Set parses a number of CPUs or a share of the machine's.
func (v *Cores) Set(text string) error {
	number, share := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) || share && n > 100 {
		return fmt.Errorf("%q is no CPU time; write for example 0.25 for a quarter of a CPU, or 5%% of all the machine's", text)
	}
	if share {
		n *= float64(runtime.NumCPU()) / 100
	}
	*v = Cores(n)
	return nil
}

// Duration is a time.Duration that also takes days and weeks: 15s, 1h30m, 90d, 2w.
type Duration time.Duration

// String writes whole days as d, the rest as time.Duration does.
func (v *Duration) String() string {
	d := time.Duration(*v)
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	return d.String()
}

// Set parses a duration.
func (v *Duration) Set(text string) error {
	bad := fmt.Errorf("%q is not a duration; write for example 15s, 1h30m, 90d or 2w", text)
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		rest, ok := strings.CutSuffix(text, suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil || n < 0 || n > int64(math.MaxInt64/unit) {
			return bad
		}
		*v = Duration(time.Duration(n) * unit)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return bad
	}
	*v = Duration(d)
	return nil
}
