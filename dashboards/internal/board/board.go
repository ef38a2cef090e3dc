// Package board turns a plain description of a dashboard into Grafana's classic JSON model (schemaVersion 42), in the
// subset that the package comment of dashboards promises. It is the only package that knows the foundation SDK: the
// SDK is young and changes its types between releases, the descriptions should not have to.
package board

//lint:file-ignore SA1019 the SDK prefers the V2 resource, which Grafana 10 to 12 do not take; the classic model is taken by all.

import (
	"fmt"
	"hash/crc32"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// LineWidth is the width of Grafana's grid; the panels of one line fill it exactly.
const LineWidth = 24

// Dashboard is one page.
type Dashboard struct {
	UID         string // fixed for ever, at most 40 characters: links and alerts point at it
	Title       string
	Description string
	Tags        []string
	From        string // where the time range starts, "now-1h"
	Refresh     string // how often the page asks again, "30s"
	Variables   []Variable
	Annotations []Annotation
	Rows        []Row
}

// Row is a heading and the panels below it.
type Row struct {
	Title  string
	Fold   Fold
	Panels []Panel
}

// Fold says how a row is shown first. A folded row sends no query before it is opened.
type Fold int

const (
	Open   Fold = iota // shown with its panels
	Folded             // only the heading
)

// JSON renders the dashboard with sorted keys, so that two renderings of one description are the same bytes.
func (d Dashboard) JSON() ([]byte, error) {
	b := dashboard.NewDashboardBuilder(d.Title).
		Uid(d.UID).
		Description(d.Description).
		Tags(d.Tags).
		Readonly().
		Time(d.From, "now").
		Refresh(d.Refresh).
		Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(chosenDatasource()).
		Link(dashboard.NewDashboardLinkBuilder("Plimsoll").
			Type(dashboard.DashboardLinkTypeDashboards).
			Tags(d.Tags[:1]).
			AsDropdown(true).IncludeVars(true).KeepTime(true))
	for _, v := range d.Variables {
		b.WithVariable(v.builder())
	}
	for _, a := range d.Annotations {
		b.Annotation(a.builder())
	}
	ids := numbering{}
	for _, row := range d.Rows {
		if err := row.addTo(b, ids); err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", d.UID, err)
		}
	}
	built, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", d.UID, err)
	}
	return canonical(built)
}

func (r Row) addTo(b *dashboard.DashboardBuilder, ids numbering) error {
	id, err := ids.next("row " + r.Title)
	if err != nil {
		return err
	}
	row := dashboard.NewRowBuilder(r.Title).Id(id)
	if r.Fold == Open {
		b.WithRow(row)
	}
	for _, p := range r.Panels {
		if p.id, err = ids.next(r.Title + "/" + p.Title); err != nil {
			return err
		}
		if r.Fold == Open {
			b.WithPanel(p.builder())
		} else {
			row.WithPanel(p.builder())
		}
	}
	if r.Fold == Folded {
		b.WithRow(row)
	}
	return nil
}

// numbering gives panels their ids: out of the title and not out of the position, so that a link to a panel
// (viewPanel=) still finds it after another panel was put before it.
type numbering map[uint32]string

func (n numbering) next(title string) (uint32, error) {
	id := crc32.ChecksumIEEE([]byte(title))%1_000_000 + 1
	if other, taken := n[id]; taken {
		return 0, fmt.Errorf("panels %q and %q get the same id %d: rename one", other, title, id)
	}
	n[id] = title
	return id, nil
}

// Annotation marks moments on every graph of the dashboard.
type Annotation struct {
	Name  string
	Expr  string // an instant of every series of it is one mark
	Title string // "{{label}}" is replaced
	Text  string
	Color string
}

func (a Annotation) builder() cog.Builder[dashboard.AnnotationQuery] {
	return dashboard.NewAnnotationQueryBuilder().
		Name(a.Name).
		Datasource(datasource()).
		Enable(true).
		IconColor(a.Color).
		Expr(a.Expr).
		TitleFormat(a.Title).
		TextFormat(a.Text).
		Step("1m").
		Target(prometheus.NewDataqueryBuilder().Expr(a.Expr).Datasource(datasource()).RefId("Anno"))
}
