package board

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Panel is one picture and the queries behind it.
type Panel struct {
	Title string
	// The description, in three sentences: what is shown, what is normal, what to do when it is not.
	What, Normal, Do string

	Width, Height uint32 // in grid cells
	Unit          Unit
	Decimals      Decimals
	Thresholds    Thresholds
	Texts         []Text // values shown as words
	Queries       []Query
	View          View

	id uint32
}

// Description is what a reader sees behind the panel's "i".
func (p Panel) Description() string {
	return fmt.Sprintf("%s\n\nNormal: %s\n\nDo: %s", p.What, p.Normal, p.Do)
}

// Query is one expression of a panel. Its reference (A, B, …) is its place in the panel.
type Query struct {
	Expr   string
	Legend string // "{{label}}" is replaced; the column name is given by Table
	Look   Look   // Timeseries only
	Links  []Link // Stat and BarGauge only
	Steps  Thresholds
}

// View is how a panel shows its queries: Stat, Timeseries, Table or BarGauge.
type View interface {
	builder(Panel) cog.Builder[dashboard.Panel]
}

func (p Panel) builder() cog.Builder[dashboard.Panel] { return p.View.builder(p) }

// Link leads from a value to the next level. URL may use ${name:queryparam} for a variable, ${__url_time_range},
// ${__data.fields.label} in tables and ${__field.labels.label} elsewhere.
type Link struct {
	Title string
	URL   string
}

func (l Link) builder() cog.Builder[dashboard.DashboardLink] {
	return dashboard.NewDashboardLinkBuilder(l.Title).Url(l.URL)
}

func refID(i int) string { return string(rune('A' + i)) }

// span asks for a value per step of the visible range, instant for the one value at its end.
func (q Query) span(i int) *prometheus.DataqueryBuilder {
	return q.target(i).Range().Format(prometheus.PromQueryFormatTimeSeries)
}

func (q Query) instant(i int, format prometheus.PromQueryFormat) *prometheus.DataqueryBuilder {
	return q.target(i).Instant().Format(format)
}

func (q Query) target(i int) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().
		RefId(refID(i)).
		Datasource(datasource()).
		EditorMode(prometheus.QueryEditorModeCode).
		Expr(q.Expr).
		LegendFormat(q.Legend)
}

// panelBuilder is what the SDK's builders have in common.
type panelBuilder[B any] interface {
	Id(uint32) B
	Title(string) B
	Description(string) B
	Unit(string) B
	Decimals(float64) B
	Span(uint32) B
	Height(uint32) B
	Mappings([]dashboard.ValueMapping) B
	Thresholds(cog.Builder[dashboard.ThresholdsConfig]) B
}

func frame[B panelBuilder[B]](b B, p Panel) B {
	b = b.Id(p.id).Title(p.Title).Description(p.Description()).
		Unit(string(p.Unit)).
		Span(p.Width).Height(p.Height).
		Thresholds(p.Thresholds.builder())
	if p.Decimals != "" {
		b = b.Decimals(p.Decimals.number())
	}
	if len(p.Texts) > 0 {
		b = b.Mappings(mappings(p.Texts))
	}
	return b
}
