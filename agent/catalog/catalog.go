// Package catalog lists every container, node and machine metric the agent can send: name, kind, unit, labels and kernel source.
//
// Names, kinds, units and label names are cAdvisor's where cAdvisor has the metric, so that dashboards and rules made for it
// work unchanged; the metrics it does not have keep the container_ prefix and carry their unit in the name. METRICS.md is
// generated from this list.
package catalog

import "github.com/plimsoll/plimsoll/agent/wire"

// Kind is the Prometheus metric type.
type Kind string

// The kinds in use.
const (
	Counter Kind = "counter"
	Gauge   Kind = "gauge"
)

// Metric describes one family member: the family's name and the labels that tell it from its siblings.
type Metric struct {
	Name string
	Kind Kind
	Unit string // of the value: seconds, bytes, cores, count, ratio, unix seconds
	Help string
	// V1 and V2 are the source files and keys under cgroup v1 and v2; "-" where the kernel has none.
	V1, V2 string
	// Fixed are labels with a constant value, for example cpu="total".
	Fixed []wire.Label
	// Varying is the name of the label whose value is read at run time (interface, device), or empty. Several names, and then the
	// values too, are separated by commas.
	Varying string
	// Group is what switches the metric on and off; the zero value, GroupCore, is always on.
	Group Group
}

// ID names a metric in code. The zero ID is no metric.
type ID uint8

// Lookup returns the description of id.
func Lookup(id ID) Metric { return metrics[id] }

// Count is one more than the highest ID.
const Count = int(count)

// IDs returns all metrics, families kept together, in the order of METRICS.md and of the text exposition.
func IDs() []ID {
	ids := make([]ID, 0, count-1)
	for id := ID(1); id < count; id++ {
		ids = append(ids, id)
	}
	return ids
}
