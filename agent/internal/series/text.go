package series

import (
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// AppendText appends the last round of all sets in the Prometheus text format 0.0.4, families together.
// https://prometheus.io/docs/instrumenting/exposition_formats/
func AppendText(dst []byte, sets []*Set) []byte {
	described := ""
	for _, id := range catalog.IDs() {
		m := catalog.Lookup(id)
		for _, s := range sets {
			s.Each(id, func(labels []wire.Label, value float64) {
				if described != m.Name {
					described = m.Name
					dst = append(dst, "# HELP "+m.Name+" "+m.Help+"\n# TYPE "+m.Name+" "+string(m.Kind)+"\n"...)
				}
				dst = appendLine(dst, m.Name, labels, value)
			})
		}
	}
	return dst
}

func appendLine(dst []byte, name string, labels []wire.Label, value float64) []byte {
	dst = append(dst, name...)
	separator := byte('{')
	for _, l := range labels {
		if l.Name == "__name__" {
			continue
		}
		dst = append(append(append(dst, separator), l.Name...), '=', '"')
		dst = append(dst, strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(l.Value)...)
		dst = append(dst, '"')
		separator = ','
	}
	if separator == ',' {
		dst = append(dst, '}')
	}
	dst = append(dst, ' ')
	return append(strconv.AppendFloat(dst, value, 'g', -1, 64), '\n')
}
