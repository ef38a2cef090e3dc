package board

import (
	"encoding/json"
	"strings"
	"testing"
)

func number(title string) Panel {
	return Panel{Title: title, What: "w", Normal: "n", Do: "d", Width: 24, Height: 4, Unit: Count, Queries: []Query{{Expr: "up > 0 < 1", Legend: "up"}}, View: Stat{}}
}

func render(t *testing.T, rows ...Row) map[string]any {
	t.Helper()
	raw, err := Dashboard{UID: "cont-x", Title: "X", Tags: []string{"plimsoll"}, From: "now-1h", Refresh: "1m", Rows: rows}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), `\u00`) {
		t.Error("characters of PromQL are escaped")
	}
	var d map[string]any
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAPanelKeepsItsIDWhenOneIsPutBeforeIt(t *testing.T) {
	id := func(d map[string]any, title string) float64 {
		for _, p := range d["panels"].([]any) {
			if p := p.(map[string]any); p["title"] == title {
				return p["id"].(float64)
			}
		}
		t.Fatalf("no panel %q", title)
		return 0
	}
	alone := render(t, Row{Title: "Now", Panels: []Panel{number("B")}})
	second := render(t, Row{Title: "Now", Panels: []Panel{number("A"), number("B")}})
	if id(alone, "B") != id(second, "B") {
		t.Errorf("B has id %v, then %v", id(alone, "B"), id(second, "B"))
	}
}

func TestTwoPanelsOfOneTitleInARowAreRefused(t *testing.T) {
	_, err := Dashboard{UID: "cont-x", Title: "X", Tags: []string{"plimsoll"}, Rows: []Row{{Title: "Now", Panels: []Panel{number("A"), number("A")}}}}.JSON()
	if err == nil || !strings.Contains(err.Error(), "rename one") {
		t.Errorf("%v", err)
	}
}

func TestAFoldedRowHoldsItsPanels(t *testing.T) {
	d := render(t, Row{Title: "Open", Panels: []Panel{number("A")}}, Row{Title: "Folded", Fold: Folded, Panels: []Panel{number("B")}})
	panels := d["panels"].([]any)
	if len(panels) != 3 {
		t.Fatalf("%d panels at the top, want row, panel, row", len(panels))
	}
	folded := panels[2].(map[string]any)
	if folded["collapsed"] != true || len(folded["panels"].([]any)) != 1 {
		t.Errorf("the folded row: %v", folded)
	}
}

func TestWhatTheSDKAddsUnaskedIsGone(t *testing.T) {
	d := render(t, Row{Title: "Now", Panels: []Panel{number("A")}})
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for key := range noise() {
		if strings.Contains(string(text), `"`+key+`":`) {
			t.Errorf("%s is there", key)
		}
	}
}
