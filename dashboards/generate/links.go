package main

import (
	"strings"

	"github.com/plimsoll/plimsoll/dashboards/internal/board"
)

// Where a value leads: one level down, with the time range, the data source and the page's own variables; what the row or
// the line says itself goes before those. cell is a column of the same row of a table, label is a label of a line.
const (
	cell  = "__data.fields."
	label = "__field.labels."
)

func to(title, uid, from string, named []string, kept ...string) board.Link {
	parts := []string{"/d/" + uid + "?${datasource:queryparam}"}
	for _, name := range kept {
		parts = append(parts, "${"+name+":queryparam}")
	}
	for _, name := range named {
		parts = append(parts, "var-"+name+"=${"+from+name+"}")
	}
	return board.Link{Title: title, URL: strings.Join(append(parts, "${__url_time_range}"), "&")}
}

func toCluster(from string) board.Link {
	return to("Open the cluster", "cont-cluster", from, []string{"idc", "cluster"}, "project")
}

func toProject(from string) board.Link {
	return to("Open the project", "cont-project", from, []string{"project"}, "idc", "cluster")
}

func toWorkload(from string) board.Link {
	return to("Open the workload", "cont-workload", from, []string{"project", "workload"}, "idc", "cluster")
}

func toContainer(from string) board.Link {
	return to("Open the container", "cont-container", from, []string{"project", "node", "container"}, "idc", "cluster")
}

func toNode(from string) board.Link {
	return to("Open the node", "cont-node", from, []string{"node"}, "idc", "cluster", "project")
}

// toPage leads to a page with all the variables this one has.
func toPage(title, uid string) board.Link {
	return to(title, uid, "", nil, "idc", "cluster", "project")
}
