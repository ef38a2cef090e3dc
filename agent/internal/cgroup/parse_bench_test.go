package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkParse parses all files of one container, read beforehand: what remains of a reading without the kernel.
func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"v2-docker-web", "hybrid-docker"} {
		b.Run(name, func(b *testing.B) {
			_, g := open(b, unpack(b, name), Options{})
			texts := make([][]byte, len(g.files))
			for i, f := range g.files {
				if g.fds[i] != absent {
					texts[i], _ = os.ReadFile(filepath.Join(g.dirs[f.in], f.name))
				}
			}
			net, err := os.ReadFile(filepath.Join(g.proc, g.netFile))
			if err != nil {
				b.Fatal(err)
			}
			var st Stats
			b.ReportAllocs()
			for b.Loop() {
				st.reset()
				for i := range g.files {
					if texts[i] != nil {
						_ = g.files[i].parse(texts[i], &st)
					}
				}
				_ = parseNetDev(net, &st, &g.names)
			}
		})
	}
}
