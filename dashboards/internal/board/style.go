package board

import (
	"strconv"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Unit is a Grafana unit id. CPU is Cores: Grafana has no such unit, so it is a plain number and the axis says "cores".
type Unit string

const (
	Count          Unit = "short"
	Cores          Unit = "short"
	Ratio          Unit = "percentunit" // 1 is 100 %
	Bytes          Unit = "bytes"       // 1024-based
	BytesPerSecond Unit = "Bps"
	PerSecond      Unit = "ops"
	PacketsPerSec  Unit = "pps"
	Seconds        Unit = "s"
	UnixMillis     Unit = "dateTimeFromNow" // milliseconds since 1970
)

// Decimals is a fixed number of decimals; empty lets the viewer choose.
type Decimals string

func (d Decimals) number() float64 {
	n, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		panic("decimals are written as a number: " + string(d))
	}
	return n
}

// The colours mean the same everywhere.
const (
	Green  = "green"  // as it should be
	Yellow = "yellow" // worth a look
	Orange = "orange" // a warning alert is near or out
	Red    = "red"    // a critical alert, or a limit
	Grey   = "#8e8e8e"
	Purple = "purple" // held back
	Blue   = "blue"   // a plain figure, neither good nor bad
)

// Thresholds colour a value: Base below the first step, then the colour of the last step reached.
type Thresholds struct {
	Base  string // empty is Blue
	Steps []Step
}

// Step is the value from which a colour holds.
type Step struct {
	From  float64
	Color string
}

func (t Thresholds) isZero() bool { return t.Base == "" && len(t.Steps) == 0 }

func (t Thresholds) steps() []dashboard.Threshold {
	base := t.Base
	if base == "" {
		base = Blue
	}
	steps := []dashboard.Threshold{{Color: base}}
	for _, s := range t.Steps {
		steps = append(steps, dashboard.Threshold{Value: &s.From, Color: s.Color})
	}
	return steps
}

func (t Thresholds) builder() cog.Builder[dashboard.ThresholdsConfig] {
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(t.steps())
}

// Text shows one exact value as a word.
type Text struct {
	Value string // as printed by %g
	Word  string
	Color string // empty keeps the threshold's
}

func mappings(texts []Text) []dashboard.ValueMapping {
	options := make(map[string]dashboard.ValueMappingResult, len(texts))
	for i, t := range texts {
		index := int32(i)
		result := dashboard.ValueMappingResult{Text: &t.Word, Index: &index}
		if t.Color != "" {
			result.Color = &t.Color
		}
		options[t.Value] = result
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}}
}
