// Package dashboards holds the dashboards as Grafana's classic JSON (schemaVersion 42, Grafana 10 to 13), reads them
// back, and checks that every panel has data. One generator writes them (go generate); Grafana gets them from the
// collector's publisher or from its export, and the collector's own page draws the same files.
//
// # The subset
//
// Whoever draws these files may rely on this, and needs no more; TestLint holds the files to it.
//
//   - Panel types: row, stat, timeseries, table, bargauge, text. A row with collapsed=true holds its panels in its own
//     panels; the panels of an open row follow it in the dashboard's. gridPos is set on each, 24 cells a line.
//   - Variables: the first is datasource; the others have type query. Those with multi and includeAll, which come
//     together with allValue ".*" and All chosen at first, have the query "label_values(selector, label)". Those without
//     have one value, of what is there at the end of the time range: the query "query_result(count by (label)
//     (selector))" with the regex "/label=\"([^\"]+)\"/", the first when the page is opened without one. Several chosen
//     values are written into an expression as (a|b), regular expression characters escaped.
//   - Targets: Prometheus expressions with either range or instant true. format is table in tables, else time_series.
//     In expressions stand $idc and the like, $__rate_interval (four intervals, at least 1m), $__interval,
//     $__range, and in regular expressions "$project|". legendFormat replaces {{label}}, with nothing where the label is missing.
//   - fieldConfig.defaults: unit (short, percentunit, bytes, Bps, ops, pps, s, dateTimeFromNow, which takes Unix
//     milliseconds), decimals, min, max, thresholds (absolute), mappings (type value), links, color (mode
//     palette-classic-by-name), custom.
//   - fieldConfig.defaults.custom of timeseries: axisLabel, axisSoftMin, drawStyle (line when absent, or bars),
//     fillOpacity, lineWidth, showPoints, spanNulls (false), stacking.mode normal, thresholdsStyle.mode dashed.
//   - fieldConfig.overrides: by byFrameRefID in timeseries (color fixed; custom.lineStyle dash; custom.fillOpacity,
//     custom.lineWidth; custom.stacking mode none; custom.transform negative-Y) and in stat (thresholds); by byName in
//     tables (unit, decimals, min, max, thresholds, mappings, links, custom.hidden, custom.width, custom.cellOptions
//     of type gauge or color-text).
//   - annotations.list: Prometheus expressions (expr) of the chosen data source with name, iconColor, titleFormat and
//     textFormat ("{{label}}" is replaced), and step 1m: every step at which a series has a value is marked, steps in a row
//     are one mark.
//   - A legend without sortBy keeps the order of the targets.
//   - Tables have the transformations merge and organize (indexByName, renameByName, excludeByName), in this order:
//     the targets are joined on their labels, the value column of target B is "Value #B", or "Value" when there is one
//     target alone. options.sortBy names a column by its new name.
//   - Links use ${name:queryparam} (var-name=value, once per value), ${__url_time_range} (from=…&to=…),
//     ${__data.fields.label} (a cell of the same row) and ${__field.labels.label}.
//   - stat and bargauge show the last value that is not null of each series (reduceOptions.calcs lastNotNull).
package dashboards

import (
	"embed"
	"io/fs"
)

//go:generate go run ./generate

//go:embed *.json
var files embed.FS

// FS holds one JSON file per dashboard at its root.
func FS() fs.FS { return files }
