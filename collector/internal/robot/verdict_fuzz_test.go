package robot

import "testing"

// FuzzVerdict: what a vendor's endpoint answers is a delivery or an error.
func FuzzVerdict(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok"}`))
	f.Add([]byte(`{"code":9499,"msg":"too many request"}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, verdict := range []func([]byte) (bool, error){feishu{}.verdict, func(b []byte) (bool, error) { return errcode(b, 45009) }} {
			if again, err := verdict(answer); again && err == nil {
				t.Errorf("%q is to be sent again for no reason", answer)
			}
		}
	})
}
