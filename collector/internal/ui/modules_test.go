package ui

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestModulesInABrowser states what the page's pure functions promise, one expression a line, in the engine that will run them.
func TestModulesInABrowser(t *testing.T) {
	handler, _ := scripted(t)
	p := newTab(t, browser(t), handler)
	p.open("/runbooks/")
	for _, c := range []struct {
		module string
		cases  [][2]string // expression over m, the module; what it gives, as JSON
	}{
		{"format.js", [][2]string{
			{`m.formatText(0, 'short')`, `"0"`},
			{`m.formatText(1234567, 'short')`, `"1.23M"`},
			{`m.formatText(999.96, 'short')`, `"1k"`},
			{`m.formatText(42, 'short')`, `"42"`},
			{`m.formatText(1.1e-16, 'short')`, `"0"`},
			{`m.formatText(0.00012, 'short')`, `"1.2e-4"`},
			{`m.formatText(3.14159, 'none', 2)`, `"3.14"`},
			{`m.formatText(1536, 'bytes')`, `"1.5\u00a0KiB"`},
			{`m.formatText(64 * 2 ** 20, 'bytes')`, `"64\u00a0MiB"`},
			{`m.formatText(-2 * 2 ** 30, 'bytes')`, `"-2\u00a0GiB"`},
			{`m.formatText(1500, 'Bps')`, `"1.5\u00a0kB/s"`},
			{`m.formatText(0.1234, 'percentunit')`, `"12.3%"`},
			{`m.formatText(0.5, 'percentunit', 1)`, `"50.0%"`},
			{`m.formatText(7, 'percent')`, `"7%"`},
			{`m.formatText(0.0042, 's')`, `"4.2\u00a0ms"`},
			{`m.formatText(90, 's')`, `"1.5\u00a0min"`},
			{`m.formatText(172800, 's')`, `"2\u00a0d"`},
			{`m.formatText(250, 'ms')`, `"250\u00a0ms"`},
			{`m.formatText(2100, 'ops')`, `"2.1\u00a0k ops/s"`},
			{`m.formatText(NaN, 'short')`, `"–"`},
			{`m.formatText(null, 'short')`, `"–"`},
			{`m.formatText(Infinity, 'bytes')`, `"∞"`},
			{`m.axisLabels([0, 0.25, 0.5, 0.75, 1], 'percentunit')`, `["0","25%","50%","75%","100%"]`},
			{`m.axisLabels([0, 2 ** 29, 2 ** 30], 'bytes')`, `["0","0.5\u00a0GiB","1.0\u00a0GiB"]`},
			{`m.axisLabels([0, 0.002, 0.004], 'short')`, `["0","0.002","0.004"]`},
		}},
		{"time.js", [][2]string{
			{`m.parseTime('now', 1000)`, `1000`},
			{`m.parseTime('now-1h', 3600000)`, `0`},
			{`m.parseTime('now-1d-30m', 86400000 + 1800000)`, `0`},
			{`m.parseTime('1767225600000', 0)`, `1767225600000`},
			{`m.parseTime('1767225600', 0)`, `1767225600000`},
			{`new Date(m.parseTime('now/d', 1767268800000)).getHours()`, `0`},
			{`m.parseTime('now/d', 1767268800000, {up: true}) - m.parseTime('now/d', 1767268800000)`, `86399999`},
			{`(() => { try { m.parseTime('last week', 0) } catch (e) { return e.message.slice(0, 22) } })()`, `"“last week” is no time"`},
			{`(() => { try { m.resolveRange('now', 'now-1h', 9e9) } catch (e) { return e.message } })()`, `"The range now to now-1h is empty: the start is not before the end."`},
			{`m.durationMs('1h30m')`, `5400000`},
			{`m.durationMs('soon')`, `null`},
			{`m.describeRange('now-6h', 'now')`, `"Last 6 hours"`},
			{`m.ago(0, 240000)`, `"4 min ago"`},
		}},
		{"interpolate.js", [][2]string{
			{`m.interpolateQuery('x{a=~"$v"}', scope({v: ['b']}))`, `"x{a=~\"b\"}"`},
			{`m.interpolateQuery('x{a=~"$v"}', scope({v: ['b.c', 'd|e']}))`, `"x{a=~\"(b\\\\.c|d\\\\|e)\"}"`},
			{`m.interpolateQuery('x{a=~"$v|"}', scope({v: ['b']}))`, `"x{a=~\"b|\"}"`},
			{`m.interpolateQuery('x{a=~"pre-${v}-post"}', scope({v: ['b', 'c']}))`, `"x{a=~\"pre-(b|c)-post\"}"`},
			{`m.interpolateQuery('x{a="$v"}', scope({v: ['b.c"d\\e']}))`, `"x{a=\"b.c\\\"d\\\\e\"}"`},
			{`m.interpolateQuery("x{a=~'$v'}", scope({v: ["it's"]}))`, `"x{a=~'it\\'s'}"`},
			{`m.interpolateQuery('x{a!~"[[v]]"}', scope({v: ['(b)']}))`, `"x{a!~\"\\\\(b\\\\)\"}"`},
			{`m.interpolateQuery('x{a=~"$v"}', scope({v: null}))`, `"x{a=~\".*\"}"`},
			{`m.interpolateQuery('x{a=~"$v"}', scope({v: ['new\nline']}))`, `"x{a=~\"new\\nline\"}"`},
			{`m.interpolateQuery('label_replace(x, "to", "$1", "from", "(.*)")', scope({}))`, `"label_replace(x, \"to\", \"$1\", \"from\", \"(.*)\")"`},
			{`m.interpolateQuery('rate(x[$__rate_interval]) + increase(x[${__range}])', scope({}))`, `"rate(x[60s]) + increase(x[3600s])"`},
			{`m.scopeOf({from: 0, to: 3600000}, null, 300).builtin.__rate_interval`, `"315s"`},
			{`m.scopeOf({from: 0, to: 3600000}, null, 15).builtin.__rate_interval`, `"60s"`},
			{`m.interpolateText('of $v in ${v}', scope({v: ['b', 'c']}))`, `"of b + c in b + c"`},
		}},
		{"link.js", [][2]string{
			{`m.linkURL('/d/x?var-a=${__data.fields.a}&${v:queryparam}&${__url_time_range}', {fields: {a: 'b&c=d'}}, view, scope({v: ['e f', 'g']}))`, `"/d/x?var-a=b%26c%3Dd&var-v=e%20f&var-v=g&from=now-1h&to=now"`},
			{`m.linkURL('/d/x?${v:queryparam}&${datasource:queryparam}', {}, view, scope({v: null}))`, `"/d/x?var-v=All"`},
			{`m.linkURL('/d/x?a=${__data.fields["A b"]}&n=${__field.labels.node}', {fields: {'A b': 1}, labels: {node: 'n'}}, view, scope({}))`, `"/d/x?a=1&n=n"`},
			{`m.linkURL('/d/x?${datasource:queryparam}&${v:queryparam}&a=1', {}, view, scope({v: ['e']}))`, `"/d/x?var-v=e&a=1"`},
			{`m.linkURL('javascript:alert(1)', {}, view, scope({}))`, `null`},
			{`m.linkURL('${__data.fields.u}', {fields: {u: 'javascript:alert(1)'}}, view, scope({}))`, `"javascript%3Aalert(1)"`},
		}},
		{"query.js", [][2]string{
			{`m.seriesName('{{a}} on {{ b }}', {a: 'x'}, 'e')`, `"x on"`},
			{`m.seriesName('{{pod}} {{x}}', {a: 'x'}, 'e')`, `"no name"`},
			{`m.seriesName('', {a: 'x', b: 'y'}, 'e')`, `"{a=\"x\", b=\"y\"}"`},
			{`m.seriesName('__auto', {a: 'x'}, 'e')`, `"x"`},
			{`m.seriesName('', {}, 'e')`, `"e"`},
			{`m.planStep({from: 0, to: 3600000}, 700)`, `15`},
			{`m.planStep({from: 0, to: 7 * 86400000}, 700)`, `1800`},
			{`m.planStep({from: 0, to: 3600000}, 700, 60)`, `60`},
		}},
		{"findings.js", [][2]string{
			{`m.say({__name__: 'plimsoll_agent_source_up', source: 'docker'}, 0).what`, `"Docker does not answer"`},
			{`m.say({__name__: 'plimsoll_agent_source_up', source: 'podman'}, 0).what`, `"The source podman is degraded"`},
			{`m.say({__name__: 'plimsoll_agent_shedding', what: 'stall-peaks'}, 1).what`, `"It leaves out stall-peaks"`},
			{`m.say({__name__: 'plimsoll_agent_containers_unassigned'}, 1).what`, `"1 container belongs to no project"`},
			{`m.say({__name__: 'plimsoll_agent_later'}, 3)`, `{"what":"plimsoll_agent_later is 3","todo":"METRICS.md says what it means."}`},
		}},
		{"silences.js", [][2]string{
			{`m.matches([{name: 'a', value: 'x', isRegex: false, isEqual: true}], {a: 'x'})`, `true`},
			{`m.matches([{name: 'a', value: 'x|y.*', isRegex: true, isEqual: true}], {a: 'yes'})`, `true`},
			{`m.matches([{name: 'a', value: 'x', isRegex: true, isEqual: true}], {a: 'xx'})`, `false`},
			{`m.matches([{name: 'a', value: '', isRegex: false, isEqual: true}], {})`, `true`},
			{`m.matches([{name: 'a', value: 'x', isRegex: false, isEqual: false}], {a: 'x'})`, `false`},
			{`m.matches([{name: 'a', value: '(', isRegex: true}], {a: '('})`, `false`},
		}},
		{"marks.js", [][2]string{
			{`m.spans([{metric: {a: '1'}, values: [[60, '1'], [120, '1'], [180, '0'], [300, '1']]}], 60)`, `[{"from":60000,"to":120000,"labels":{"a":"1"}},{"from":300000,"to":300000,"labels":{"a":"1"}}]`},
		}},
		{"empty.js", [][2]string{
			{`m.metricNames('sum by (a) (rate(x_total{b="c_d"}[5m])) / on (a) group_left(e) y:z > 0.5')`, `["x_total","y:z"]`},
			{`m.metricNames('topk(10, m) or vector(0) or time() - 1e3')`, `["m"]`},
		}},
		{"panels/grid.js", [][2]string{
			{`m.align([{times: [15, 45], values: [1, 2]}], {from: 15000, to: 60000}, 15)`, `{"times":[15,30,45,60],"values":[[1,null,2,null]]}`},
			{`m.isolated([null, 1, null, 2, 3])`, `[1]`},
			{`m.stack([[1, null], [2, 3], [9, 9]], ['A', 'A', null])`, `{"values":[[1,0],[3,3],[9,9]],"bands":[[1,0]]}`},
			{`m.stack([[1], [2]], ['A', 'A'], [true, true])`, `{"values":[[3],[2]],"bands":[]}`},
			{`m.stack([[null, 1], [null, 2]], ['A', 'A']).values`, `[[null,1],[null,3]]`},
		}},
		{"panels/legend.js", [][2]string{
			{`pressed(m, ['a', 'b', 'c'], [['a', false]])`, `["b","c"]`},
			{`pressed(m, ['a', 'b', 'c'], [['a', false], ['a', false]])`, `[]`},
			{`pressed(m, ['a', 'b', 'c'], [['a', true]])`, `["a"]`},
			{`pressed(m, ['a'], [['a', true]])`, `[]`},
		}},
		{"panels/states.js", [][2]string{
			{`m.runs({times: [0, 15, 30, 90], values: [1, 1, 2, 2]}, 15)`, `[{"value":1,"start":0,"end":30},{"value":2,"start":30,"end":45},{"value":2,"start":90,"end":105}]`},
		}},
		{"frame.js", [][2]string{
			{`shape(m.transform(m.toFrames([series('A', {n: 'x'}, 1), series('B', {n: 'x'}, 2), series('B', {n: 'y'}, 3)], [{}, {}]), [{id: 'merge'}, {id: 'organize', options: {excludeByName: {Time: true}, renameByName: {'Value #B': 'Bs'}, indexByName: {'Value #B': 0}}}]))`,
				`{"columns":["Bs","n","Value #A"],"rows":[["2","x","1"],["3","y",""]],"skipped":[]}`},
			{`shape(m.transform(m.toFrames([series('A', {n: 'x', i: 'p'}, 1), series('B', {n: 'x', i: 'q'}, 2)], [{}, {}]), [{id: 'joinByField', options: {byField: 'n'}}, {id: 'mystery'}]))`,
				`{"columns":["Time 1","i 1","n","Value #A","Time 2","i 2","Value #B"],"rows":[["0","p","x","1","0","q","2"]],"skipped":["mystery"]}`},
		}},
		{"fieldconfig.js", [][2]string{
			{`m.show(0.8, {unit: 'percentunit', thresholds: {steps: [{color: 'green', value: null}, {color: 'red', value: 0.75}]}})`, `{"text":"80%","color":"red","state":"bad","mapped":false}`},
			{`m.show(0.5, {unit: 'percentunit', thresholds: {steps: [{color: 'red', value: null}, {color: 'green', value: 0.98}]}}).state`, `"bad"`},
			{`m.show(1, {unit: 'percentunit', thresholds: {steps: [{color: 'red', value: null}, {color: 'green', value: 0.98}]}}).state`, `null`},
			{`m.show(-1, {mappings: [{type: 'value', options: {'-1': {text: 'no limit'}}}]}).text`, `"no limit"`},
			{`m.show(5, {mappings: [{type: 'range', options: {from: 1, to: 9, result: {text: 'few'}}}]}).text`, `"few"`},
			{`m.show(null, {noValue: 'none', mappings: []}).text`, `"none"`},
			{`m.fieldConfig({fieldConfig: {defaults: {unit: 'short', custom: {fillOpacity: 9}}, overrides: [{matcher: {id: 'byFrameRefID', options: 'B'}, properties: [{id: 'custom.lineStyle.fill', value: 'dash'}, {id: 'unit', value: 'bytes'}]}]}}, {name: 'x', refId: 'B'})`,
				`{"unit":"bytes","custom":{"fillOpacity":9,"lineStyle":{"fill":"dash"}}}`},
		}},
		{"young.js", [][2]string{
			{`m.fit(3500, 0, 3600000)`, `"now-5m"`},
			{`m.fit(3000, 0, 3600000)`, `"now-15m"`},
			{`m.fit(2000, 0, 3600000)`, `null`},
			{`m.fit(undefined, 0, 3600000)`, `null`},
			{`m.fit(290, 0, 300000)`, `null`},
		}},
		{"url.js", [][2]string{
			{`m.viewQuery(m.readView('?from=now-1h&to=now&var-a=x&var-a=%26y&other=1'))`, `"?from=now-1h&to=now&var-a=x&var-a=%26y"`},
			{`m.dashboardLink('a b', {from: 'now-1h', to: 'now', viewPanel: '3', refresh: '5s', vars: []})`, `"/d/a%20b?from=now-1h&to=now"`},
		}},
	} {
		t.Run(c.module, func(t *testing.T) {
			p.t = t
			for _, example := range c.cases {
				got := evaluate[string](p, fmt.Sprintf(`import(new URL('%s', document.querySelector('script[type=module]').src)).then((m) => {
					const view = {from: 'now-1h', to: 'now', vars: new Map()};
					const scope = (vars) => ({builtin: {__rate_interval: '60s', __range: '3600s'}, vars: (n) => n in vars ? {name: n, values: vars[n] ?? ['p', 'q'], all: vars[n] === null, allValue: '.*'} : null});
					const pressed = (m, names, presses) => { const hidden = new Set(); for (const [n, add] of presses) m.toggle(n, names, hidden, add); return [...hidden]; };
					const series = (refId, labels, v) => ({refId, labels, times: [0], values: [v]});
					const shape = ({frame, skipped}) => { const cols = frame.fields.filter((f) => !f.hidden); return {columns: cols.map((f) => f.label), rows: frame.rows.map((r) => cols.map((f) => String(r[f.name] ?? ''))), skipped}; };
					return JSON.stringify(%s) ?? 'undefined';
				})`, c.module, example[0]))
				var a, b any
				if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(example[1]), &b) != nil || fmt.Sprintf("%#v", a) != fmt.Sprintf("%#v", b) {
					t.Errorf("%s\ngives %s\nwant  %s", example[0], got, example[1])
				}
			}
		})
	}
}
