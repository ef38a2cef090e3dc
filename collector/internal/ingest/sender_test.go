package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
)

func TestSeriesWithoutAPlaceGetThatOfTheTokenAlsoAfterAReplay(t *testing.T) {
	reg, notes := prometheus.NewRegistry(), &notebook{}
	h, err := New(Config{Journal: notes, Nodes: OpenNodes(NodesConfig{}, quiet(), reg), Sender: func(*http.Request) Sender {
		return Sender{Missing: []prompb.Label{{Name: "idc", Value: "sh-east"}, {Name: "cluster", Value: "k1"}}}
	}}, shared, quiet(), reg)
	if err != nil {
		t.Fatal(err)
	}
	b := bench{h, reg}
	body := message([]string{"__name__", "placeless", "node", "n1"}, []string{"__name__", "placed", "cluster", "own", "node", "n2"}, []string{"__name__", "last", "a", "b"})
	if w := b.post("zstd", zstandard(body)); w.Code != http.StatusNoContent {
		t.Fatal(w.Code, w.Body)
	}
	for expr, want := range map[string]int{
		`placeless{idc="sh-east",cluster="k1",node="n1"}`: 1,
		`placed{idc="sh-east",cluster="own",node="n2"}`:   1,
		`placed{cluster="k1"}`:                            0,
		`last{idc="sh-east",cluster="k1",a="b"}`:          1,
	} {
		if got := count(t, expr); got != want {
			t.Errorf("%s: %d series, want %d", expr, got, want)
		}
	}
	if got, want := inJournal(t, h, notes), "[{__name__ placeless} {node n1} {idc sh-east} {cluster k1}]"; len(got) != 3 || got[0] != want {
		t.Errorf("the journal keeps %s, want %s first", got, want)
	}
}

// inJournal are the labels of the series of the one batch that notes has.
func inJournal(t *testing.T, h *Handler, notes *notebook) (series []string) {
	t.Helper()
	if len(notes.kept) != 1 {
		t.Fatalf("%d batches in the journal", len(notes.kept))
	}
	decoded, giveBack, refused := h.decoders.unpack(notes.kept[0].Encoding, notes.kept[0].Body)
	defer giveBack()
	if refused != nil {
		t.Fatal(refused.reason)
	}
	var u prompb.WriteRequestUnmarshaler
	wr, err := u.UnmarshalProtobuf(decoded)
	if err != nil {
		t.Fatal(err)
	}
	for _, ts := range wr.Timeseries {
		series = append(series, fmt.Sprint(ts.Labels))
	}
	return series
}

func TestLabelsThatContradictTheTokenAreNotStoredNorReplayed(t *testing.T) {
	reg, notes := prometheus.NewRegistry(), &notebook{}
	sender := Sender{Name: "east", Bounds: []Bound{
		{Label: "idc", Allows: func(v string) bool { return v == "east" }, Want: "east"},
		{Label: "cluster", Allows: func(v string) bool { return v == "k1" }, Instead: "k1", Want: "k1"},
	}}
	h, err := New(Config{Journal: notes, Nodes: OpenNodes(NodesConfig{}, quiet(), reg), Sender: func(*http.Request) Sender { return sender }}, shared, quiet(), reg)
	if err != nil {
		t.Fatal(err)
	}
	b := bench{h, reg}
	w := b.post("zstd", zstandard(message(
		[]string{"__name__", "bound", "cluster", "k1", "idc", "east", "node", "right"},
		[]string{"__name__", "bound", "cluster", "k1", "idc", "west", "node", "liar"},
		[]string{"__name__", "bound", "cluster", "k2", "idc", "east", "node", "moved"},
		[]string{"__name__", "bound", "cluster", "k1", "node", "nowhere"},
		[]string{"__name__", "bound", "cluster", "k1", "idc", "east", "idc", "west", "node", "twice"},
	)))
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `3 of 5 series`) || !strings.Contains(w.Body.String(), `idc is "west", token "east" may write east`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for node, want := range map[string]int{"right": 1, "liar": 0, "moved": 1, "nowhere": 0, "twice": 0} {
		if got := count(t, `bound{idc="east",cluster="k1",node="`+node+`"}`); got != want {
			t.Errorf("%s: %d series, want %d", node, got, want)
		}
	}
	if got := count(t, `bound`); got != 2 {
		t.Errorf("%d series are stored", got)
	}
	if got := inJournal(t, h, notes); len(got) != 2 || strings.Contains(fmt.Sprint(got), "k2") {
		t.Errorf("the journal keeps %s", got)
	}
	if got := b.rejected(t, reasonToken); got != 2 {
		t.Errorf("%v samples counted", got)
	}
}
