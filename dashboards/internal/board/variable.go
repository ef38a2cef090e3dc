package board

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Variable is a drop-down at the top of the dashboard whose choices are the values of a label.
type Variable struct {
	Name     string // also how expressions name it: $name
	Label    string // what the reader sees
	Selector string // the series whose values of the label Name are offered; may use the variables before it
	Choice   Choice
}

// Choice says how many values of a variable hold at a time.
type Choice int

const (
	Any Choice = iota // several, or All, which is the regular expression .* and so matches a missing label too
	One               // exactly one, of those that are there at the end of the time range; the first when the page opens without one
)

func (v Variable) builder() cog.Builder[dashboard.VariableModel] {
	query := fmt.Sprintf("label_values(%s, %s)", v.Selector, v.Name)
	if v.Choice == One { // label_values would offer, and at first take, what ended within the time range too
		query = fmt.Sprintf("query_result(count by (%s) (%s))", v.Name, v.Selector)
	}
	b := dashboard.NewQueryVariableBuilder(v.Name).
		Label(v.Label).
		Datasource(datasource()).
		Query(dashboard.StringOrMap{String: &query}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalCaseInsensitiveAsc)
	if v.Choice == One {
		return b.Regex(fmt.Sprintf(`/%s="([^"]+)"/`, v.Name)).IncludeAll(false).Multi(false)
	}
	selected := true
	return b.IncludeAll(true).AllValue(".*").Multi(true).Current(dashboard.VariableOption{
		Selected: &selected,
		Text:     dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
		Value:    dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
	})
}

// chosenDatasource is the variable datasource refers to: Plimsoll's own where it exists, else what Grafana offers first.
func chosenDatasource() cog.Builder[dashboard.VariableModel] {
	name, uid := "Plimsoll", "plimsoll"
	return dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus").
		Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{String: &name},
			Value: dashboard.StringOrArrayOfString{String: &uid},
		})
}

// datasource is the reference every panel, query, variable and annotation carries: the one the reader chose.
func datasource() common.DataSourceRef {
	kind, uid := "prometheus", "${datasource}"
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}
