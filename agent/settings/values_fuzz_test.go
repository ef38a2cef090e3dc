package settings

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// FuzzValues: a size, a duration or a number of CPUs that is taken is not negative, and what it prints as is taken as the same.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"1GiB", "0.5MB", "12", "15s", "1h30m", "90d", "2w", "5%", "0.25", "1e300GiB", "-1s", "9223372036854775807B", "106752d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var size, sizeAgain Bytes
		if size.Set(text) == nil {
			if size < 0 {
				t.Errorf("size %q is %d", text, size)
			}
			if err := sizeAgain.Set(size.String()); err != nil || sizeAgain != size && size < 1<<53 {
				t.Errorf("size %q prints as %s, which is %d, %v", text, &size, sizeAgain, err)
			}
		}
		var length, lengthAgain Duration
		if length.Set(text) == nil {
			if length < 0 {
				t.Errorf("duration %q is %d", text, length)
			}
			if err := lengthAgain.Set(length.String()); err != nil || lengthAgain != length {
				t.Errorf("duration %q prints as %s, which is %s, %v", text, &length, &lengthAgain, err)
			}
		}
		var cores, coresAgain Cores
		if cores.Set(text) == nil {
			if !(cores >= 0) {
				t.Errorf("cores %q are %v", text, cores)
			}
			if err := coresAgain.Set(cores.String()); err != nil || coresAgain != cores {
				t.Errorf("cores %q print as %s, which is %v, %v", text, &cores, coresAgain, err)
			}
		}
	})
}

// FuzzConfigFile: any file is taken or refused with its name.
func FuzzConfigFile(f *testing.F) {
	f.Add([]byte("data-dir: /x\ninterval: 15s\nlist: [a, b]\nlimit:\n  memory: 1GiB\n"))
	f.Add([]byte("limit.memory: 1GiB\nlimit: {memory: 2GiB}\n"))
	f.Add([]byte("- a\n"))
	f.Add([]byte("interval: &a [*a]\n"))
	path := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := New("fuzz", "FUZZ")
		var list Strings
		var memory Bytes
		var interval Duration
		s.Flags().Var(&list, "list", "")
		s.Flags().Var(&memory, "limit.memory", "")
		s.Flags().Var(&interval, "interval", "")
		s.Flags().String("data-dir", "", "")
		if err := s.Parse([]string{"--config=" + path}, nil); err == flag.ErrHelp {
			t.Errorf("%q is a call for help", text)
		}
	})
}
