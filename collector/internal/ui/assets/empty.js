// Says why a panel is empty and what to do about it, by asking the collector which of the query's metrics exist at all.
import { apiData } from './api.js';

const WORDS = new Set(['sum', 'avg', 'min', 'max', 'count', 'by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'or', 'and', 'unless', 'bool', 'offset', 'topk', 'bottomk', 'quantile', 'inf', 'nan', 'default', 'if', 'ifnot', 'keep_metric_names', 'with', 'limit', 'start', 'end', 'group', 'stddev', 'stdvar', 'count_values', 'atan2', 'keep_last_value']);

/** metricNames lists the metrics a PromQL expression reads. Good enough for a hint; it is no parser. */
export function metricNames(expr) {
  const bare = expr
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '""')
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, ' ')
    .replace(/\{[^}]*\}/g, '{}')
    .replace(/\[[^\]]*\]/g, ' ');
  const names = [];
  for (const m of bare.matchAll(/[a-zA-Z_:][\w:]*/g)) {
    const before = bare[m.index - 1] ?? ' ';
    const after = bare.slice(m.index + m[0].length).trimStart()[0];
    if (after === '(' || /[\d.]/.test(before) || WORDS.has(m[0].toLowerCase()) || names.includes(m[0])) continue;
    names.push(m[0]);
  }
  return names;
}

/** Explainer remembers within one refresh which metrics exist, so that twenty empty panels ask once. */
export class Explainer {
  constructor() {
    this.known = new Map();
  }

  forget() {
    this.known.clear();
  }

  exists(metric, range) {
    if (!this.known.has(metric)) {
      const params = { 'match[]': metric, start: range.from / 1000, end: range.to / 1000, limit: 1 };
      this.known.set(metric, apiData('/api/v1/series', params).then((d) => d.length > 0, () => null));
    }
    return this.known.get(metric);
  }

  /** silent names a metric that has no sample in the last minutes of the range, or null. */
  async silent(names, range) {
    for (const name of names) {
      const data = await apiData('/api/v1/query', { query: `count(${name})`, time: range.to / 1000 }).catch(() => null);
      if (data && data.result.length === 0) return name;
    }
    return null;
  }

  /** explain returns {title, text, filters}; filters is true where wider variables could help. */
  async explain(queries, range) {
    const names = [...new Set(queries.flatMap((q) => metricNames(q.expr)))].slice(0, 4);
    const found = await Promise.all(names.map((n) => this.exists(n, range)));
    const missing = names.filter((_, i) => found[i] === false);
    if (missing.length > 0) {
      const [first] = missing;
      return { title: `No series named ${first} in this range`, text: advice(first), filters: false };
    }
    const instant = queries.some((q) => q.target.instant);
    const silent = instant ? await this.silent(names, range) : null;
    if (silent) return { title: `No new samples of ${silent} at the end of this range`, text: 'There were some earlier. Has an agent stopped? Nodes shows who sends and how fresh it is.', filters: false };
    if (queries.some((q) => /\boffset\s+\d/i.test(q.expr))) return { title: 'No samples from that long ago', text: 'This panel compares with a time before the first samples. It fills as the data grow older.', filters: false };
    const compared = queries.some((q) => /[<>]=?|[=!]=(?!~)/.test(q.expr.replace(/\{[^}]*\}/g, '')));
    if (compared) return { title: 'Nothing passes this query’s condition', text: 'That can be good news: the series are there, none of them is beyond the limit.', filters: false };
    return { title: 'No series match this selection', text: 'The metric is there, but not for these filters and this time range.', filters: true };
  }
}

/** advice says where to look when a metric is absent, by who makes it. */
function advice(metric) {
  if (metric === 'ALERTS' || metric === 'ALERTS_FOR_STATE') return 'No alert has been pending or firing in this range.';
  if (metric.includes(':')) return 'It is a recording rule’s result: it appears within minutes of the first samples. Are rules loaded, and do agents send? See Nodes.';
  if (metric.startsWith('plimsoll_collector_')) return 'The collector writes it about itself every 15 s. Has it just started?';
  if (metric.startsWith('container_')) return 'Is an agent running, and are there containers on its host? plimsoll-agent doctor says what it can and cannot see.';
  return 'Is an agent running? plimsoll-agent doctor says what it can and cannot see, and Nodes shows who sends.';
}
