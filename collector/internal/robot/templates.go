package robot

import (
	_ "embed"
	"strconv"
	"strings"
	_ "time/tzdata" // the images have no /usr/share/zoneinfo
)

//go:embed messages.tmpl
var messages string

// Templates is what all channels say, as definitions of Go templates over Alertmanager's data: plimsoll.title, .text, .slack,
// .html, .msteams and, of one alert, .markdown.alert. An alertmanager.yml may use them too. Times are those of zone, for example
// Asia/Shanghai; empty is UTC.
func Templates(zone string) string {
	if zone == "" {
		return messages
	}
	return strings.ReplaceAll(messages, `tz "UTC"`, "tz "+strconv.Quote(zone))
}
