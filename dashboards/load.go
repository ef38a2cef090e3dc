package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// Dashboard is what the checks and the publisher need to know of one file.
type Dashboard struct {
	File        string // name in the FS
	JSON        []byte // the file
	UID         string
	Title       string
	Tags        []string
	From        string // where the time range starts when the page is opened, "now-1h"
	Variables   []Variable
	Annotations []Annotation
	Panels      []Panel // with targets or without, the panels of collapsed rows included, the rows themselves not
}

// Variable is one drop-down.
type Variable struct {
	Name       string
	Type       string // "datasource" or "query"
	Query      string // "label_values(selector, label)", or "query_result(expression)" for a variable with one value
	Regex      string // takes the value out of what query_result gives
	IncludeAll bool
	AllValue   string
	Multi      bool
	Refresh    int // 2 is on every change of the time range
}

// Annotation is what is marked on every graph of a dashboard at the moments at which its expression has a value.
type Annotation struct {
	Name       string
	Expr       string
	Datasource string
}

// Panel is one picture.
type Panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	Row         string // title of the row it stands under
	Unit        string
	Units       int // columns of a table that have a unit of their own
	Datasource  string
	X, Y, W, H  int
	Targets     []Target
}

// Target is one query of a panel.
type Target struct {
	RefID        string
	Expr         string
	LegendFormat string
	Format       string
	Datasource   string
	Instant      bool
	Range        bool
}

// Load reads every dashboard of fsys, in the order of the file names.
func Load(fsys fs.FS) ([]Dashboard, error) {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("no dashboards: no *.json in the folder")
	}
	var all []Dashboard
	uids := map[string]string{}
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read dashboard: %w", err)
		}
		d, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", name, err)
		}
		if other, taken := uids[d.UID]; taken {
			return nil, fmt.Errorf("dashboard %s: uid %q is also that of %s", name, d.UID, other)
		}
		uids[d.UID] = name
		d.File, d.JSON = name, raw
		all = append(all, d)
	}
	return all, nil
}

// The shape of the file, as far as it is read.
type (
	jsonDashboard struct {
		ID    any      `json:"id"`
		UID   string   `json:"uid"`
		Title string   `json:"title"`
		Tags  []string `json:"tags"`
		Time  struct {
			From string `json:"from"`
		} `json:"time"`
		Templating struct {
			List []jsonVariable `json:"list"`
		} `json:"templating"`
		Annotations struct {
			List []struct {
				Name       string         `json:"name"`
				Expr       string         `json:"expr"`
				Datasource jsonDatasource `json:"datasource"`
			} `json:"list"`
		} `json:"annotations"`
		Panels []jsonPanel `json:"panels"`
	}
	jsonVariable struct {
		Name       string `json:"name"`
		Type       string `json:"type"`
		Query      string `json:"query"`
		Regex      string `json:"regex"`
		IncludeAll bool   `json:"includeAll"`
		AllValue   string `json:"allValue"`
		Multi      bool   `json:"multi"`
		Refresh    int    `json:"refresh"`
	}
	jsonPanel struct {
		ID          int            `json:"id"`
		Type        string         `json:"type"`
		Title       string         `json:"title"`
		Description string         `json:"description"`
		Datasource  jsonDatasource `json:"datasource"`
		GridPos     struct{ X, Y, W, H int }
		FieldConfig struct {
			Defaults  struct{ Unit string }
			Overrides []struct {
				Properties []struct {
					ID string `json:"id"`
				}
			}
		}
		Targets []jsonTarget `json:"targets"`
		Panels  []jsonPanel  `json:"panels"`
	}
	jsonTarget struct {
		RefID        string         `json:"refId"`
		Expr         string         `json:"expr"`
		LegendFormat string         `json:"legendFormat"`
		Format       string         `json:"format"`
		Instant      bool           `json:"instant"`
		Range        bool           `json:"range"`
		Datasource   jsonDatasource `json:"datasource"`
	}
	jsonDatasource struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
)

func parse(raw []byte) (Dashboard, error) {
	var in jsonDashboard
	if err := json.Unmarshal(raw, &in); err != nil {
		return Dashboard{}, err
	}
	switch {
	case in.ID != nil:
		return Dashboard{}, errors.New("id is set; it belongs to one Grafana and must be absent")
	case in.UID == "":
		return Dashboard{}, errors.New("uid is missing")
	case len(in.UID) > 40:
		return Dashboard{}, fmt.Errorf("uid %q has %d characters, Grafana takes 40", in.UID, len(in.UID))
	case in.Title == "":
		return Dashboard{}, errors.New("title is missing")
	}
	d := Dashboard{UID: in.UID, Title: in.Title, Tags: in.Tags, From: in.Time.From}
	if _, err := d.span(); err != nil {
		return Dashboard{}, err
	}
	for _, v := range in.Templating.List {
		d.Variables = append(d.Variables, Variable(v))
	}
	for _, a := range in.Annotations.List {
		d.Annotations = append(d.Annotations, Annotation{Name: a.Name, Expr: a.Expr, Datasource: a.Datasource.UID})
	}
	row := ""
	for _, p := range in.Panels {
		if p.Type != "row" {
			d.Panels = append(d.Panels, p.panel(row))
			continue
		}
		row = p.Title
		for _, inner := range p.Panels {
			d.Panels = append(d.Panels, inner.panel(row))
		}
	}
	return d, nil
}

func (p jsonPanel) panel(row string) Panel {
	out := Panel{
		ID: p.ID, Type: p.Type, Title: p.Title, Description: p.Description, Row: row,
		Unit: p.FieldConfig.Defaults.Unit, Datasource: p.Datasource.UID,
		X: p.GridPos.X, Y: p.GridPos.Y, W: p.GridPos.W, H: p.GridPos.H,
	}
	for _, override := range p.FieldConfig.Overrides {
		for _, property := range override.Properties {
			if property.ID == "unit" {
				out.Units++
			}
		}
	}
	for _, t := range p.Targets {
		out.Targets = append(out.Targets, Target{
			RefID: t.RefID, Expr: t.Expr, LegendFormat: t.LegendFormat, Format: t.Format,
			Datasource: t.Datasource.UID, Instant: t.Instant, Range: t.Range,
		})
	}
	return out
}
