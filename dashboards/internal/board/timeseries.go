package board

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Timeseries draws every query over time. Gaps stay gaps.
type Timeseries struct {
	Axis   string // what the y axis counts when the unit does not say
	Drawn  Drawn
	Marked Marked
	Links  []Link // on every series
}

// Drawn is the form of the ordinary series of a Timeseries.
type Drawn int

const (
	Lines   Drawn = iota
	Stacked       // areas on top of each other, so that the top is the sum
	Bars          // stacked bars, for events
)

// Marked says whether the thresholds of the panel are drawn as lines.
type Marked int

const (
	Unmarked Marked = iota
	Threshold
)

// Look sets one query of a Timeseries apart; a look has one meaning on every dashboard.
type Look int

const (
	Ordinary Look = iota
	Limit         // red, dashed: what must not be reached
	Request       // orange, dashed: what was asked for
	Capacity      // grey, dashed: what is there
	Rest          // grey: all that has no line of its own
	Line          // a plain line in a stacked panel
	Below         // drawn downwards from zero: the outgoing half of a pair
	Alarm         // red
	Caution       // orange
	Held          // purple: what is ready and may not go on
	Neutral       // blue
)

func (v Timeseries) builder(p Panel) cog.Builder[dashboard.Panel] {
	b := frame(timeseries.NewPanelBuilder(), p).
		Datasource(datasource()).
		AxisLabel(v.Axis).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassicByName)).
		LineWidth(1).
		ShowPoints(common.VisibilityModeAuto).
		SpanNulls(spanNulls(false)).
		Legend(v.legend(p.Queries)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if p.Unit == Ratio || p.Unit == Count {
		b.AxisSoftMin(0)
	}
	switch v.Drawn {
	case Stacked:
		b.FillOpacity(30).Stacking(stacking(common.StackingModeNormal))
	case Bars:
		b.DrawStyle(common.GraphDrawStyleBars).FillOpacity(80).Stacking(stacking(common.StackingModeNormal))
	default:
		b.FillOpacity(8)
	}
	if v.Marked == Threshold {
		b.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	if len(v.Links) > 0 {
		b.DataLinks(links(v.Links))
	}
	for i, q := range p.Queries {
		b.WithTarget(q.span(i))
		if look := q.Look.properties(); look != nil {
			b.OverrideByQuery(refID(i), look)
		}
	}
	return b
}

// legend has the largest first; with a dashed line in the panel it keeps the order of the queries, so that limits come last.
func (v Timeseries) legend(queries []Query) cog.Builder[common.VizLegendOptions] {
	b := common.NewVizLegendOptionsBuilder().
		DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).ShowLegend(true).
		Calcs([]string{"lastNotNull", "max"})
	for _, q := range queries {
		if q.Look == Limit || q.Look == Request || q.Look == Capacity {
			return b
		}
	}
	return b.SortBy("Max").SortDesc(true)
}

func (l Look) properties() []dashboard.DynamicConfigValue {
	unstacked := property("custom.stacking", map[string]any{"mode": "none"})
	dashed := func(color string) []dashboard.DynamicConfigValue {
		return []dashboard.DynamicConfigValue{
			fixedColor(color),
			property("custom.lineStyle", map[string]any{"fill": "dash", "dash": []int{8, 6}}),
			property("custom.fillOpacity", 0), unstacked,
		}
	}
	switch l {
	case Limit:
		return dashed(Red)
	case Request:
		return dashed(Orange)
	case Capacity:
		return dashed(Grey)
	case Rest:
		return []dashboard.DynamicConfigValue{fixedColor(Grey)}
	case Line:
		return []dashboard.DynamicConfigValue{property("custom.fillOpacity", 0), property("custom.lineWidth", 2), unstacked}
	case Below:
		return []dashboard.DynamicConfigValue{property("custom.transform", "negative-Y")}
	case Alarm:
		return []dashboard.DynamicConfigValue{fixedColor(Red)}
	case Caution:
		return []dashboard.DynamicConfigValue{fixedColor(Orange)}
	case Held:
		return []dashboard.DynamicConfigValue{fixedColor(Purple)}
	case Neutral:
		return []dashboard.DynamicConfigValue{fixedColor(Blue)}
	default:
		return nil
	}
}

func fixedColor(color string) dashboard.DynamicConfigValue {
	return property("color", map[string]any{"mode": "fixed", "fixedColor": color})
}

func property(id string, value any) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: id, Value: value}
}

func stacking(mode common.StackingMode) cog.Builder[common.StackingConfig] {
	return common.NewStackingConfigBuilder().Mode(mode).Group("A")
}

func spanNulls(on bool) common.BoolOrFloat64 { return common.BoolOrFloat64{Bool: &on} }

func links(ls []Link) []cog.Builder[dashboard.DashboardLink] {
	out := make([]cog.Builder[dashboard.DashboardLink], 0, len(ls))
	for _, l := range ls {
		out = append(out, l.builder())
	}
	return out
}
