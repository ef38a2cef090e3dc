package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
)

// attempt is one request with the token of project shop that is after the data of project bank.
type attempt struct {
	how    string
	method string
	target string
	header []string // names and values that alternate
	body   string
}

const form = "application/x-www-form-urlencoded"

// BANK stands in a request for the id of bank's silence, AT for the moment of the samples.
func attempts() []attempt {
	var all []attempt
	add := func(how, method, target, body string, header ...string) {
		all = append(all, attempt{how: how, method: method, target: target, body: body, header: header})
	}
	query := func(how, expr string) {
		add(how, "GET", "/api/v1/query?time=AT&query="+url.QueryEscape(expr), "")
	}
	get := func(how, target string) { add(how, "GET", target, "") }
	bank := url.QueryEscape(`{project="bank"}`)

	// Expressions.
	query("a metric both have", `demo_total`)
	query("the other project by name", `demo_total{project="bank"}`)
	query("only a label", `{project="bank"}`)
	query("any name", `{__name__=~".+"}`)
	query("any name, both projects", `{__name__=~".+",project=~"bank|shop"}`)
	query("all but the own", `{__name__!="",project!="shop"}`)
	query("no project", `{__name__!="",project=""}`)
	query("or between selectors", `demo_total{project="shop" or project="bank"}`)
	query("or between queries", `demo_total or demo_total{project="bank"}`)
	query("or with a default", `demo_total{project="bank"} or vector(0)`)
	query("absent", `absent(demo_total{project="bank"})`)
	query("absent_over_time", `absent_over_time(demo_total{project="bank"}[5m])`)
	query("present_over_time", `present_over_time(demo_total[5m])`)
	query("count over both", `count(demo_total)`)
	query("sum by project", `sum by (project) (demo_total)`)
	query("sum without project", `sum without (project) (demo_total)`)
	query("label_replace to the own name", `label_replace(demo_total, "project", "shop", "", "")`)
	query("label_set to the own name", `label_set(demo_total{project="bank"}, "project", "shop")`)
	query("label_del", `label_del(demo_total, "project")`)
	query("label_copy", `label_copy(demo_total, "workload", "project")`)
	query("label_match", `label_match(demo_total, "project", "bank")`)
	query("subquery", `max_over_time(demo_total{project="bank"}[5m:1s])`)
	query("bare subquery", `demo_total[5m:1s]`)
	query("raw samples", `demo_total[5m]`)
	query("raw samples by name", `{project="bank"}[5m]`)
	query("raw samples with offset", `demo_total{project="bank"}[5m] offset -1s`)
	query("join", `demo_total * on() group_left() demo_total{project="bank"}`)
	query("and", `demo_total and on() demo_total{project="bank"}`)
	query("unless", `demo_total unless on() demo_total{project="bank"}`)
	query("if", `demo_total if on() demo_total{project="bank"}`)
	query("template", `WITH (of(p) = demo_total{project=p}) of("bank")`)
	query("template of filters", `WITH (f = {project="bank"}) demo_total{f}`)
	query("union", `union(demo_total, demo_total{project="bank"})`)
	query("topk of everything", `topk(100, {__name__!=""})`)
	query("count_values", `count_values("v", demo_total)`)
	query("quoted metric name", `{"demo_total",project="bank"}`)
	query("at the end of the range", `demo_total{project="bank"} @ end()`)
	query("scalar", `scalar(demo_total{project="bank"})`)
	query("negated pattern", `demo_total{project!~"shop"}`)
	query("pattern with flags", `demo_total{project=~"(?i)BANK"}`)
	query("pattern that ends the filter", `demo_total{project=~"x\"} or {project=\"bank"}`)
	query("comment in the query", "demo_total # {project=\"bank\"}\n or {project=\"bank\"}")
	query("alerts as series", `ALERTS`)
	query("state of alerts as series", `ALERTS_FOR_STATE{project="bank"}`)
	query("figures of agents and projects", `{__name__=~"plimsoll_.*"}`)
	query("range vector of figures", `sum(count_over_time({__name__!=""}[10m])) by (__name__)`)
	get("range query", "/api/v1/query_range?start=AT&end=AT&step=1&query="+url.QueryEscape(`demo_total{project="bank"} or demo_total`))
	get("range query over templates", "/api/v1/query_range?start=AT&end=AT&step=1&query="+url.QueryEscape(`WITH (x=demo_total{project="bank"}) x`))

	query("or between filters of two labels", `{project="bank" or workload="cart"}`)
	query("or with an empty filter", `{project="shop" or __name__!=""}`)
	query("or in the other order", `{__name__!="" or project="shop"}`)
	query("limit_offset", `limit_offset(10, 0, demo_total)`)
	query("limitk", `limitk(10, {__name__=~"demo.*"})`)
	query("outliers", `outliersk(5, demo_total)`)
	query("histogram of everything", `histogram_over_time(demo_total[5m])`)
	query("a union of names", `({"demo_total"}, {"demo_vault_total"})`)
	query("metric by regexp", `{__name__=~"demo_vau.*|demo_total"}`)
	query("label_join", `label_join(demo_total, "x", "-", "project", "workload")`)
	query("label_map", `label_map(demo_total, "project", "bank", "found")`)
	query("label_value", `label_value({__name__=~"demo.*"}, "node")`)
	query("drop_common_labels", `drop_common_labels(demo_total)`)
	query("at a moment that a query says", `demo_total @ (max(timestamp(demo_total{project="bank"})))`)
	query("subquery by default rollup", `default_rollup({project="bank"}[5m])`)
	query("aliased", `alias(demo_total{project="bank"}, "mine")`)
	query("group_left labels", `demo_total * on(cluster) group_left(project) demo_total`)
	query("timestamp", `timestamp(demo_total{project!=""})`)
	query("sort_by_label", `sort_by_label(demo_total, "project")`)
	query("keep_last_value", `keep_last_value({project="bank"})`)
	query("step of a subquery", `count_over_time({project="bank"}[10m:1s] offset -1m)`)
	query("a rule's label", `ALERTS{alertname="DemoWatched"}`)
	query("a scan beyond all limits", `{__name__!="" or project!=""}[1h]`)
	query("an error that quotes", `demo_total{project="bank"} + {`)
	query("more points than allowed", `demo_total[100y:1ms]`)

	// Parameters.
	for _, name := range []string{"extra_filters[]", "extra_filters", "extra_filters%5B%5D", "extra_label", "extra_label[]"} {
		value := bank
		if strings.HasPrefix(name, "extra_label") {
			value = "project%3Dbank"
		}
		get("client's "+name, "/api/v1/query?query=demo_total&"+name+"="+value)
	}
	add("client's filter in the body", "POST", "/api/v1/query", "query=demo_total&extra_filters[]="+bank, "Content-Type", form)
	add("client's filter in URL and body", "POST", "/api/v1/query?extra_filters[]="+bank, "query=demo_total&extra_filters[]="+bank, "Content-Type", form)
	add("another query in URL and body", "POST", "/api/v1/query?time=AT&query=demo_total", "query="+url.QueryEscape(`demo_total{project="bank"}`), "Content-Type", form)
	add("the query of the body", "POST", "/api/v1/query", "time=AT&query="+url.QueryEscape(`demo_total{project="bank"}`), "Content-Type", form)
	get("query given twice", "/api/v1/query?time=AT&query=demo_total&query="+url.QueryEscape(`demo_total{project="bank"}`))
	add("multipart form", "POST", "/api/v1/query", "--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\ndemo_total\r\n--x\r\nContent-Disposition: form-data; name=\"extra_filters[]\"\r\n\r\n{project=\"bank\"}\r\n--x--\r\n", "Content-Type", "multipart/form-data; boundary=x")
	add("JSON body", "POST", "/api/v1/query?query=demo_total&time=AT", `{"extra_filters[]":"{project=\"bank\"}"}`, "Content-Type", "application/json")
	add("body without a type", "POST", "/api/v1/query?query=demo_total&time=AT", "extra_filters[]="+bank)
	add("GET with a body", "GET", "/api/v1/query?query=demo_total&time=AT", "extra_filters[]="+bank, "Content-Type", form)
	get("trace", "/api/v1/query?trace=1&time=AT&query="+url.QueryEscape(`demo_total{project="bank"}`))
	get("trace of labels", "/api/v1/labels?trace=1")
	get("without the cache", "/api/v1/query?nocache=1&time=AT&query=demo_total")
	get("semicolon for ampersand", "/api/v1/query?query=demo_total;extra_filters[]="+bank)
	get("null byte", "/api/v1/query?query=demo_total%00&extra_filters[]%00="+bank)
	add("gzipped form", "POST", "/api/v1/query", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "Content-Type", form, "Content-Encoding", "gzip")
	add("form in UTF-16", "POST", "/api/v1/query?query=demo_total&time=AT", "q\x00u\x00", "Content-Type", form+"; charset=utf-16")
	add("two content types", "POST", "/api/v1/query?query=demo_total&time=AT", "extra_filters[]="+bank, "Content-Type", form, "Content-Type", "multipart/form-data; boundary=x")
	get("names of parameters in another case", "/api/v1/query?query=demo_total&time=AT&Extra_Filters[]="+bank+"&EXTRA_LABEL=project%3Dbank")
	get("long lookback", "/api/v1/query?query=demo_total&time=AT&max_lookback=100y")
	get("rounded", "/api/v1/query?query=sum(demo_total)&time=AT&round_digits=0")
	get("debug", "/api/v1/query?debug=1&explain=1&stats=all&query=demo_total&time=AT")
	add("TRACE", "TRACE", "/api/v1/query?query=demo_total", "")
	add("PATCH", "PATCH", "/api/v1/query?query=demo_total", "")
	add("a method of nobody", "QUERY", "/api/v1/query?query=demo_total", "")
	add("PUT", "PUT", "/api/v1/query?query=demo_total", "")
	add("HEAD", "HEAD", "/api/v1/query?query=demo_total", "")
	add("OPTIONS", "OPTIONS", "/api/v1/query?query=demo_total", "")
	add("method in a header", "POST", "/api/v1/query?time=AT&query=demo_total", "", "X-HTTP-Method-Override", "GET", "Content-Type", form)

	// Headers.
	add("tenant header", "GET", "/api/v1/query?time=AT&query=demo_total", "", "X-Scope-OrgID", "bank", "AccountID", "0")
	add("address of this machine", "GET", "/metrics", "", "X-Forwarded-For", "127.0.0.1", "X-Real-IP", "127.0.0.1")
	add("another path in a header", "GET", "/-/healthy", "", "X-Original-URL", "/metrics", "X-Rewrite-URL", "/metrics")
	add("method in other headers", "POST", "/api/v1/query?time=AT&query=demo_total", "", "X-HTTP-Method", "DELETE", "X-Method-Override", "DELETE")
	add("a scheme and a host before it", "GET", "/api/v1/query?time=AT&query=demo_total", "", "Forwarded", "for=127.0.0.1;proto=https", "X-Forwarded-Prefix", "/prometheus", "X-Forwarded-Host", "localhost")
	add("user in a header", "GET", "/metrics", "", "X-Webauth-User", "root", "X-Remote-User", "root", "X-Forwarded-User", "root")
	add("another connection", "GET", "/metrics", "", "Connection", "Authorization", "Upgrade", "h2c")
	add("a certificate in a header", "GET", "/metrics", "", "X-Client-Cert", "root", "X-SSL-Client-CN", "root")
	add("token by cookie", "GET", "/metrics", "", "Cookie", "token=root; authorization=Bearer root")
	add("two tokens", "GET", "/metrics", "", "Authorization", "Bearer wrong", "Authorization", "Bearer SHOP")
	add("token in the URL", "GET", "/metrics?token=root&authKey=root", "")

	// Paths.
	for how, path := range map[string]string{
		"the engine's prefix": "/prometheus/api/v1/query", "two slashes first": "//api/v1/query", "two slashes within": "/api//v1/query", "two slashes after the prefix": "/prometheus//api/v1/query",
		"an encoded letter": "/api/v1/%71uery", "a slash at the end": "/api/v1/query/", "up and down": "/api/v1/../v1/query", "up from the prefix": "/prometheus/../api/v1/query",
		"encoded dots": "/api/v1/%2e%2e/v1/query", "encoded slash": "/api%2fv1%2fquery", "from the page": "/vmui/../api/v1/query", "encoded from the page": "/vmui/%2e%2e/api/v1/query", "tenant's path": "/select/0/prometheus/api/v1/query", "another case": "/API/v1/query",
	} {
		get(how, path+"?time=AT&query=demo_total")
	}
	for _, path := range []string{"/federate?match[]=demo_total", "/prometheus/federate?match[]=demo_total", "/render?target=demo_total", "/graphite/render?target=*", "/metrics/find?query=*", "/tags/autoComplete/tags",
		"/api/v1/status/tsdb", "/prometheus/api/v1/status/tsdb", "/api/v1/status/top_queries", "/api/v1/status/active_queries", "/api/v1/status/metric_names_stats", "/api/v1/series/count", "/api/v1/targets", "/api/v1/query_exemplars?query=demo_total",
		"/api/v1/export/csv?match[]=demo_total&format=project", "/api/v1/export/native?match[]=demo_total", "/prometheus/api/v1/export/csv?match[]=demo_total&format=project", "/api/v1/read", "/api/v1/admin/tsdb/snapshot", "/snapshot/list", "/internal/force_flush",
		"/prometheus/api/v1/series/count", "/prometheus/api/v1/status/active_queries", "/api/v1/status/config", "/api/v1/status/flags", "/api/v1/status/runtimeinfo", "/api/v1/format_query?query=demo_total", "/api/v1/parse_query?query=demo_total",
		"/prometheus/graphite/tags", "/graphite/tags/project", "/tags", "/tags/project", "/metrics/index.json", "/metrics/expand?query=*", "/internal/resetRollupResultCache", "/internal/partition/list", "/resourceUsage", "/targets", "/service-discovery", "/api/v1/rules/x", "/vmalert/", "/prometheus/api/v1/rules",
		"/prometheus/vmalert/api/v1/rules", "/prometheus/api/v1/alerts", "/influx/query?q=show+databases", "/query?q=show+databases", "/write", "/api/v2/query", "/datadog/api/v1/validate", "/opentelemetry/v1/metrics", "/zabbixconnector/api/v1/history", "/newrelic/api/v1", "/insert/0/prometheus/api/v1/write", "/-/reload?authKey=root", "/-/quit", "/debug/vars", "/debug/requests",
		"/metrics", "/prometheus/metrics", "/debug/pprof/heap?debug=1", "/debug/pprof/cmdline", "/flags", "/config", "/api/v1/notifiers"} {
		get("what is not for a project: "+path, path)
	}
	add("deletion", "POST", "/api/v1/admin/tsdb/delete_series?match[]="+bank, "")
	add("deletion below the prefix", "POST", "/prometheus/api/v1/admin/tsdb/delete_series?match[]="+bank, "")

	for _, path := range []string{"/api/v1/import", "/api/v1/import/csv?format=1:metric:demo_total,2:label:project", "/api/v1/import/native", "/prometheus/api/v1/import/prometheus", "/influx/write", "/api/v1/push", "/opentsdb/api/put", "/datadog/api/v2/series", "/api/v1/read", "/prometheus/api/v1/read"} {
		add("what takes samples elsewhere: "+path, "POST", path, `demo_total{project="bank"} 9`)
	}

	// Series, labels, export, metadata.
	get("series by or between filters", "/api/v1/series?match[]="+url.QueryEscape(`{__name__=~"demo.*",project="bank" or __name__=~"demo.*",workload="cart"}`))
	get("labels by or between filters", "/api/v1/labels?match[]="+url.QueryEscape(`{workload="cart" or project="bank"}`))
	get("values by or between filters", "/api/v1/label/workload/values?match[]="+url.QueryEscape(`{project="shop" or project="bank"}`))
	get("export by or between filters", "/api/v1/export?match[]="+url.QueryEscape(`demo_total{project="shop" or project="bank"}`))
	get("series up to a number", "/api/v1/series?limit=1&match[]="+url.QueryEscape(`{__name__=~"demo.*"}`))
	get("values up to a number", "/api/v1/label/project/values?limit=1")
	get("values of a label with a slash", "/api/v1/label/project%2f..%2fworkload/values")
	get("values of a label by another spelling", "/api/v1/label/%70roject/values?match[]="+bank)
	get("values of a label with two slashes", "/api/v1/label//project/values")
	get("values by a template", "/api/v1/label/workload/values?match[]="+url.QueryEscape(`WITH (x = {project="bank"}) x`))
	get("series by an expression", "/api/v1/series?match[]="+url.QueryEscape(`demo_total or demo_total{project="bank"}`))
	get("export as the answer to a query", "/api/v1/export?format=promapi&start=0&match[]="+bank)
	get("meaning of a metric by pattern", "/api/v1/metadata?metric=demo.*")
	get("meaning of metrics, many", "/api/v1/metadata?limit=-1&limit_per_metric=9")
	get("series", "/api/v1/series?match[]=demo_total")
	get("series, two selectors", "/api/v1/series?match[]=demo_total&match[]="+bank)
	get("series, match without brackets", "/api/v1/series?match="+bank)
	get("series since ever", "/api/v1/series?start=0&match[]="+url.QueryEscape(`{__name__!=""}`))
	add("series, selector in the body", "POST", "/api/v1/series?match[]=demo_total", "match[]="+bank, "Content-Type", form)
	get("labels", "/api/v1/labels")
	get("labels of the other", "/api/v1/labels?match[]="+bank)
	get("labels since ever", "/api/v1/labels?start=0&end=99999999999")
	for _, label := range []string{"project", "workload", "__name__", "node", "image", "alertname", "U__project"} {
		get("values of "+label, "/api/v1/label/"+label+"/values")
		get("values of "+label+" of the other", "/prometheus/api/v1/label/"+label+"/values?start=0&match[]="+bank)
	}
	get("export", "/api/v1/export?match[]=demo_total")
	get("export of the other", "/api/v1/export?match[]="+bank)
	get("export of everything", "/prometheus/api/v1/export?match[]="+url.QueryEscape(`{__name__!~"ALERTS.*|plimsoll.*"}`))
	get("export with little memory", "/api/v1/export?reduce_mem_usage=1&match[]="+url.QueryEscape(`{__name__=~"demo.*"}`))
	get("export for Prometheus", "/api/v1/export?format=promapi&match[]="+url.QueryEscape(`{__name__=~"demo.*"}`))
	get("meaning of metrics", "/api/v1/metadata")
	get("meaning of the other's metric", "/api/v1/metadata?metric=demo_vault_total")
	get("meaning of one metric", "/prometheus/api/v1/metadata?limit=1")

	// What the collector makes itself.
	get("exits", "/api/exits?since=1h")
	get("exits of the other", "/api/exits?since=1h&project=bank")
	get("exits by a crafted label", "/api/exits?since=1h&node="+url.QueryEscape(`x"} or {project="bank`))
	get("releases", "/api/releases?since=1h")
	get("releases of the other", "/api/releases?since=1h&project=bank")
	get("noisy rules", "/api/alerts/noise?window=1h")
	get("rules", "/api/v1/rules")
	get("rules with an error", "/api/v1/rules?type=alert&exclude_alerts=false")
	get("rules of the other's file", "/api/v1/rules?rule_group[]=bank")
	get("rules without alerts", "/api/v1/rules?exclude_alerts=true&rule_name[]=DemoTooMuch")
	get("alerts", "/api/v1/alerts")
	get("Alertmanager's alerts", "/api/v2/alerts")
	get("Alertmanager's alerts of the other", "/api/v2/alerts?filter="+url.QueryEscape(`project="bank"`))
	get("Alertmanager's alerts by receiver", "/api/v2/alerts?receiver=.*")
	get("Alertmanager's groups", "/api/v2/alerts/groups")
	get("silences", "/api/v2/silences")
	get("silences of the other", "/api/v2/silences?filter="+url.QueryEscape(`project="bank"`))
	get("the other's silence", "/api/v2/silence/BANK")
	get("the other's silence, encoded", "/api/v2/silence%2FBANK")
	get("Alertmanager's configuration", "/api/v2/status")
	get("receivers", "/api/v2/receivers")
	get("two slashes in the Alertmanager", "/api/v2//alerts")
	get("Alertmanager's first version", "/api/v1/alerts/groups")
	get("nodes", "/api/nodes")
	get("project map", "/api/project-map")
	get("project map, its text", "/api/project-map?format=yaml")
	get("projects", "/api/project-map?format=json")
	get("project map, formats given twice", "/api/project-map?format=json&format=yaml")
	get("capacity", "/api/capacity/utilization")
	get("acknowledgements", "/api/alerts/acknowledgements")
	get("the page's list of dashboards", "/ui/dashboards.json")

	// Changes.
	json := func(how, method, target, body string) {
		add(how, method, target, body, "Content-Type", "application/json")
	}
	silence := func(id, matchers string) string {
		return `{` + id + `"matchers":` + matchers + `,"startsAt":"2026-01-01T00:00:00Z","endsAt":"SOON","createdBy":"mallory","comment":"quiet"}`
	}
	of := func(name, value, regex, equal string) string {
		return `{"name":"` + name + `","value":"` + value + `","isRegex":` + regex + `,"isEqual":` + equal + `}`
	}
	json("silence the other", "POST", "/api/v2/silences", silence("", `[`+of("project", "bank", "false", "true")+`]`))
	json("silence everybody", "POST", "/api/v2/silences", silence("", `[`+of("alertname", ".+", "true", "true")+`]`))
	json("silence by pattern", "POST", "/api/v2/silences", silence("", `[`+of("project", "shop|bank", "true", "true")+`]`))
	json("silence all but the own", "POST", "/api/v2/silences", silence("", `[`+of("project", "shop", "false", "false")+`]`))
	json("silence nobody's alerts", "POST", "/api/v2/silences", silence("", `[`+of("project", "", "false", "true")+`]`))
	json("silence with fields given twice", "POST", "/api/v2/silences", strings.Replace(silence("", `[`+of("project", "shop", "false", "true")+`]`), `"createdBy"`, `"matchers":[`+of("project", "bank", "false", "true")+`],"createdBy"`, 1))
	json("silence with fields of another case", "POST", "/api/v2/silences", strings.Replace(silence("", `[`+of("project", "shop", "false", "true")+`]`), `"createdBy"`, `"MATCHERS":[`+of("project", "bank", "false", "true")+`],"createdBy"`, 1))
	json("take over the other's silence", "POST", "/api/v2/silences", silence(`"id":"BANK",`, `[`+of("project", "shop", "false", "true")+`]`))
	json("end the other's silence", "DELETE", "/api/v2/silence/BANK", "")
	json("end the other's silence, encoded", "DELETE", "/api/v2/silence/%42ANK/../BANK", "")
	json("put an alert", "POST", "/api/v2/alerts", `[{"labels":{"alertname":"Forged","project":"bank"}}]`)
	json("acknowledge for the other", "POST", "/api/alerts/acknowledgements", `{"by":"mallory","labels":{"project":"bank"}}`)
	json("silence with a slash at the end", "POST", "/api/v2/silences/", silence("", `[`+of("project", "bank", "false", "true")+`]`))
	json("silence by PUT", "PUT", "/api/v2/silences", silence("", `[`+of("project", "bank", "false", "true")+`]`))
	add("write", "POST", "/api/v1/write", "\x00", "Content-Encoding", "snappy")
	add("write below the prefix", "POST", "/prometheus/api/v1/write", "\x00", "Content-Encoding", "snappy")
	add("import", "POST", "/api/v1/import/prometheus", `demo_total{project="bank"} 9`)
	add("reload", "POST", "/-/reload", "")
	add("reload by GET", http.MethodGet, "/-/reload", "")
	return all
}
