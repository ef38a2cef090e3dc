package board

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// Table joins its queries on their labels: one row per label set, one column per label and per query.
type Table struct {
	Labels []Column // in order, Of is a label name; the queries group by these labels and no others
	Values []Column // one per query, in the queries' order; Of is not used
	Sort   Sort
}

// Column is how one label or one query's value is shown.
type Column struct {
	Of         string
	Title      string
	Unit       Unit
	Decimals   Decimals
	Cell       Cell
	Thresholds Thresholds
	Texts      []Text
	Link       Link
	Width      int // pixels; 0 lets the viewer choose
}

// Cell is the form of a column's cells.
type Cell int

const (
	Plain   Cell = iota
	Gauge        // a bar between 0 and 1
	Colored      // the text has the threshold's colour
	Hidden       // not shown; tells rows apart, or is used by a link
)

// Sort is the column title rows are ordered by at first, largest value first.
type Sort string

func (v Table) builder(p Panel) cog.Builder[dashboard.Panel] {
	b := frame(table.NewPanelBuilder(), p).
		Datasource(datasource()).
		Filterable(false).
		CellHeight(common.TableCellHeightSm).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).CountRows(false).Reducer([]string{}))
	if v.Sort != "" {
		desc := true
		b.SortBy([]cog.Builder[common.TableSortByFieldState]{
			common.NewTableSortByFieldStateBuilder().DisplayName(string(v.Sort)).Desc(desc)})
	}
	for i, q := range p.Queries {
		b.WithTarget(q.instant(i, prometheus.PromQueryFormatTable))
	}

	index, rename, exclude := map[string]int{}, map[string]string{}, map[string]bool{"Time": true}
	add := func(field string, c Column) {
		index[field], rename[field] = len(index), c.Title
		if properties := c.properties(); len(properties) > 0 {
			b.OverrideByName(c.Title, properties)
		}
	}
	for _, c := range v.Labels {
		add(c.Of, c)
	}
	for i := range p.Queries {
		if i < len(v.Values) {
			add(valueField(i, len(p.Queries)), v.Values[i])
		} else {
			exclude[valueField(i, len(p.Queries))] = true
		}
	}
	return b.
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"indexByName": index, "renameByName": rename, "excludeByName": exclude,
		}})
}

// valueField is the name Grafana gives the value of query i of n in a table.
func valueField(i, n int) string {
	if n == 1 {
		return "Value"
	}
	return "Value #" + refID(i)
}

func (c Column) properties() []dashboard.DynamicConfigValue {
	var ps []dashboard.DynamicConfigValue
	if c.Unit != "" {
		ps = append(ps, property("unit", string(c.Unit)))
	}
	if c.Decimals != "" {
		ps = append(ps, property("decimals", c.Decimals.number()))
	}
	if !c.Thresholds.isZero() {
		ps = append(ps, c.Thresholds.property())
	}
	if len(c.Texts) > 0 {
		ps = append(ps, property("mappings", mappings(c.Texts)))
	}
	switch c.Cell {
	case Gauge:
		ps = append(ps, property("min", 0), property("max", 1),
			property("custom.cellOptions", map[string]any{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}))
	case Colored:
		ps = append(ps, property("custom.cellOptions", map[string]any{"type": "color-text"}))
	case Hidden:
		ps = append(ps, property("custom.hidden", true))
	}
	if c.Link.URL != "" {
		ps = append(ps, property("links", []map[string]any{{"title": c.Link.Title, "url": c.Link.URL}}))
	}
	if c.Width > 0 {
		ps = append(ps, property("custom.width", c.Width))
	}
	return ps
}
