// Package alerts is the rule pack of the collector as data: Prometheus rule files, and a runbook for every alert.
//
// The files load into any Prometheus unchanged (`promtool check rules`). Their inputs are the agent's container metrics and
// the collector's own. Groups named event.* are evaluated by the collector as soon as an event arrives.
package alerts

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml runbooks/*.md
var files embed.FS

// FS holds the rule files (*.yaml) at its root and runbooks/<AlertName>.md.
func FS() fs.FS { return files }
