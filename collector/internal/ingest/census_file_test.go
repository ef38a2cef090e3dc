package ingest

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A restart once let whoever had reached a cap in again.
func TestARestartLetsNobodyPastACap(t *testing.T) {
	cfg := CensusConfig{AgentSeries: 3, ProjectSeries: 5, File: t.TempDir() + "/census"}
	b, census, clock := counting(t, cfg)
	b.post("snappy", many("kept", "n1", "shop", 0, 3))
	b.post("snappy", many("kept", "n2", "", 0, 1))
	*clock = clock.Add(50 * time.Minute)
	b.post("snappy", many("kept", "n1", "shop", 0, 1))
	if err := census.save(); err != nil {
		t.Fatal(err)
	}
	again, restarted := countingAt(t, cfg, clock)
	if total := restarted.total.Load(); total != 4 {
		t.Fatalf("%d series are known", total)
	}
	if w := again.post("snappy", many("kept", "n1", "shop", 0, 3)); w.Code != 204 {
		t.Errorf("those it has do not go on: %d %s", w.Code, w.Body)
	}
	if w := again.post("snappy", many("kept", "n1", "shop", 3, 1)); w.Code != 400 || !strings.Contains(w.Body.String(), `node "n1" in idc "east" cluster "" has 3 series`) {
		t.Errorf("another is let in: %d %s", w.Code, w.Body)
	}
	if w := again.post("snappy", many("kept", "n2", "", 1, 2)); w.Code != 204 {
		t.Errorf("who is below the cap is refused: %d %s", w.Code, w.Body)
	}
	*clock = clock.Add(15 * time.Minute) // the first ones ended 65 minutes ago, but for those that went on
	_, old := countingAt(t, cfg, clock)
	if total := old.total.Load(); total != 1 {
		t.Errorf("%d series are known after an hour", total)
	}
}

func TestTheCensusIsSavedSoonAfterANewSeries(t *testing.T) {
	b, census, clock := counting(t, CensusConfig{File: t.TempDir() + "/census"})
	save := func() {
		t.Helper()
		if err := census.save(); err != nil {
			t.Fatal(err)
		}
	}
	save()
	if census.due(*clock) {
		t.Error("it is due although nothing came")
	}
	b.post("snappy", many("kept", "n1", "shop", 0, 3))
	if !census.due(*clock) {
		t.Error("new series do not make it due")
	}
	save()
	*clock = clock.Add(censusSaveEvery - 1)
	b.post("snappy", many("kept", "n1", "shop", 0, 3))
	if census.due(*clock) {
		t.Error("series that it knows make it due")
	}
	*clock = clock.Add(1)
	if !census.due(*clock) {
		t.Error("it is not due although what it says is old")
	}
}

func TestADamagedCensusCostsTheMemoryNotTheStart(t *testing.T) {
	cfg := CensusConfig{File: t.TempDir() + "/census"}
	b, census, clock := counting(t, cfg)
	b.post("snappy", many("kept", "n1", "shop", 0, 3))
	if err := census.save(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
	for name, data := range map[string][]byte{
		"empty": {}, "torn": whole[:len(whole)-9], "a bit": append([]byte{whole[0] ^ 1}, whole[1:]...),
		"a length beyond it": signed([]byte{255, 255, 255, 255}), "no words": signed([]byte{0, 0, 0, 0}),
		"entries of nobody": signed(append(append(make([]byte, 8), 9, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0), whole[60:len(whole)-4]...)),
	} {
		if err := os.WriteFile(cfg.File, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, c := countingAt(t, cfg, clock); c.total.Load() != 0 {
			t.Errorf("%s: %d series", name, c.total.Load())
		}
	}
}

// FuzzCensusFile: the census of the run before, or anything else.
func FuzzCensusFile(f *testing.F) {
	f.Add([]byte{}, []byte(`{"Start":"2026-01-01T00:00:00Z","Secret":"AAAAAAAAAAAAAAAAAAAAAA==","Agents":[{"node":"n"}],"Projects":["p"]}`))
	f.Add(make([]byte, 40), []byte(`{"Start":"2026-01-01T00:00:00Z","Secret":"AAAAAAAAAAAAAAAAAAAAAA==","Agents":[{"node":"n"}],"Projects":[]}`))
	now := func() time.Time { return time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC) }
	f.Fuzz(func(t *testing.T, entries, notes []byte) {
		census := OpenCensus(CensusConfig{Now: now}, quiet(), prometheus.NewRegistry())
		data := append(append([]byte{}, entries...), notes...)
		data = binary.LittleEndian.AppendUint32(data, uint32(len(notes)))
		data = binary.LittleEndian.AppendUint32(data, crc32.ChecksumIEEE(data))
		_ = census.read(data)
		if n := census.total.Load(); n < 0 || n > 0 && len(census.agents.list) == 0 {
			t.Errorf("%d series", n)
		}
	})
}
