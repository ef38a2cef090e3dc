package catalog

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes METRICS.md, the reference page of every metric.
func WriteMarkdown(w io.Writer) error {
	if _, err := io.WriteString(w, pageHead); err != nil {
		return err
	}
	for _, id := range IDs() {
		m := Lookup(id)
		var labels []string
		for _, l := range m.Fixed {
			labels = append(labels, fmt.Sprintf("`%s=%q`", l.Name, l.Value))
		}
		if m.Varying != "" {
			labels = append(labels, "`"+m.Varying+"`")
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s | %s | %s |\n", m.Name, m.Kind, m.Unit, strings.Join(labels, " "), m.Help, m.V1, m.V2); err != nil {
			return err
		}
	}
	return nil
}

const pageHead = `# Metrics

Generated from agent/catalog by ` + "`go generate ./agent/catalog`" + `; do not edit.

Every series carries ` + "`idc`, `cluster` and `node`" + `. A container's series also carry ` + "`project`, `namespace`, `workload`, `pod`, `container`, `image`, `id` and `name`" + `;
a label without a value is left out. ` + "`container!=\"\"`" + ` selects real containers only and ` + "`id=\"/\"`" + ` the node itself; other cgroups
have their path in ` + "`id`" + ` and no ` + "`container`" + `. A metric whose file the kernel does not have is absent, never 0.

| name | kind | unit | own labels | meaning | source, cgroup v1 | source, cgroup v2 |
|---|---|---|---|---|---|---|
`
