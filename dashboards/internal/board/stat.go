package board

import (
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
)

// Stat shows the newest value of every query as a big number, coloured by the thresholds.
type Stat struct {
	Trend Trend
	Links []Link
}

// Trend says whether a Stat asks for the whole visible range to draw it behind the number.
type Trend int

const (
	NoTrend   Trend = iota // one instant query: for figures that are dear to compute
	Sparkline              // a range query
)

func (v Stat) builder(p Panel) cog.Builder[dashboard.Panel] {
	b := frame(stat.NewPanelBuilder(), p).
		Datasource(datasource()).
		ColorMode(common.BigValueColorModeValue).
		GraphMode(common.BigValueGraphModeNone).
		TextMode(common.BigValueTextModeAuto).
		Orientation(common.VizOrientationAuto).
		ReduceOptions(newest())
	if v.Trend == Sparkline {
		b.GraphMode(common.BigValueGraphModeArea)
	}
	if len(v.Links) > 0 {
		b.DataLinks(links(v.Links))
	}
	for i, q := range p.Queries {
		if v.Trend == Sparkline {
			b.WithTarget(q.span(i))
		} else {
			b.WithTarget(q.instant(i, prometheus.PromQueryFormatTimeSeries))
		}
		if !q.Steps.isZero() {
			b.OverrideByQuery(refID(i), []dashboard.DynamicConfigValue{q.Steps.property()})
		}
	}
	return b
}

// BarGauge shows the newest value of every query as a horizontal bar between 0 and Max.
type BarGauge struct {
	Max float64
}

func (v BarGauge) builder(p Panel) cog.Builder[dashboard.Panel] {
	b := frame(bargauge.NewPanelBuilder(), p).
		Datasource(datasource()).
		Min(0).Max(v.Max).
		DisplayMode(common.BarGaugeDisplayModeBasic).
		Orientation(common.VizOrientationHorizontal).
		ValueMode(common.BarGaugeValueModeColor).
		ShowUnfilled(true).
		ReduceOptions(newest())
	for i, q := range p.Queries {
		b.WithTarget(q.instant(i, prometheus.PromQueryFormatTimeSeries))
	}
	return b
}

func newest() cog.Builder[common.ReduceDataOptions] {
	return common.NewReduceDataOptionsBuilder().Values(false).Calcs([]string{"lastNotNull"}).Fields("")
}

// property overrides the thresholds of one field.
func (t Thresholds) property() dashboard.DynamicConfigValue {
	return property("thresholds", dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: t.steps()})
}
