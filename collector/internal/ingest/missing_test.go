package ingest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
)

func TestSeriesWithoutAPlaceGetThatOfTheTokenAlsoAfterAReplay(t *testing.T) {
	reg, notes := prometheus.NewRegistry(), &notebook{}
	h, err := New(Config{Journal: notes, Nodes: OpenNodes(NodesConfig{}, quiet(), reg), Missing: func(*http.Request) []prompb.Label {
		return []prompb.Label{{Name: "idc", Value: "sh-east"}, {Name: "cluster", Value: "k1"}}
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
	if len(notes.kept) != 1 {
		t.Fatalf("%d batches in the journal", len(notes.kept))
	}
	decoded, refused := h.decompress(notes.kept[0].Encoding, notes.kept[0].Body, nil)
	if refused != nil {
		t.Fatal(refused.reason)
	}
	var u prompb.WriteRequestUnmarshaler
	wr, err := u.UnmarshalProtobuf(decoded)
	if err != nil || len(wr.Timeseries) != 3 {
		t.Fatal(err, wr)
	}
	if got, want := fmt.Sprint(wr.Timeseries[0].Labels), "[{__name__ placeless} {node n1} {idc sh-east} {cluster k1}]"; got != want {
		t.Errorf("the journal keeps %s, want %s", got, want)
	}
}
