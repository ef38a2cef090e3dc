package grafana

import "testing"

// FuzzAnswers: what a Grafana, or whatever is at its address, says.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`[{"id":1,"version":2,"message":"m"}]`))
	f.Add([]byte(`{"versions":[{"version":3}]}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := parseVersions(raw); err != nil && len(err.Error()) > 10_000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		if all, err := parseAnswer("200 OK", raw); err != nil && all != nil {
			t.Errorf("%v beside %v", all, err)
		}
	})
}
