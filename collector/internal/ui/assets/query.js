// Runs a panel's queries and names what comes back.
import { apiData } from './api.js';
import { durationMs } from './time.js';
import { interpolateQuery, scopeOf } from './interpolate.js';

const SCRAPE_SECONDS = 15;
const STEPS_SECONDS = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
const MOST_SERIES = 100; // lines a chart can show and a browser can draw in a blink; the rest is counted in a note

/** planStep gives the seconds between two points: about one for every second pixel, never under the scrape interval. */
export function planStep(range, widthPx, atLeastSeconds = SCRAPE_SECONDS) {
  const points = Math.max(60, Math.min(1000, widthPx / 2));
  const wanted = (range.to - range.from) / 1000 / points;
  const step = STEPS_SECONDS.find((s) => s >= wanted) ?? STEPS_SECONDS.at(-1);
  return Math.max(step, atLeastSeconds);
}

/**
 * runPanel asks for every target of a panel: {series, step, errors, queries, left}. One failing target does not hide the others.
 * A series is {name, labels, refId, format, times (s), values}; an instant answer has one time.
 */
export async function runPanel(model, ctx, widthPx, signal) {
  const range = panelRange(model, ctx.range);
  const least = (durationMs(ctx.text(model.interval ?? '').replace(/^>/, '')) ?? SCRAPE_SECONDS * 1000) / 1000;
  const step = planStep(range, widthPx, Math.max(SCRAPE_SECONDS, least));
  const scope = scopeOf(range, ctx.vars, step, SCRAPE_SECONDS);
  const targets = (model.targets ?? []).filter((t) => !t.hide && t.expr);
  const queries = targets.map((t) => ({ refId: t.refId ?? 'A', expr: interpolateQuery(t.expr, scope), target: t }));
  const answers = await Promise.allSettled(queries.map((q) => runTarget(q, range, step, signal)));
  const series = [];
  const errors = [];
  answers.forEach((answer, i) => {
    if (answer.status === 'fulfilled') series.push(...answer.value);
    else errors.push({ refId: queries[i].refId, expr: queries[i].expr, message: answer.reason.message });
  });
  const lines = series.filter((s) => s.format !== 'table');
  const left = Math.max(0, lines.length - MOST_SERIES);
  return { series: left && model.type === 'timeseries' ? series.slice(0, MOST_SERIES) : series, step, range, scope, errors, queries, left };
}

function panelRange(model, range) {
  const from = durationMs(model.timeFrom);
  const shift = durationMs(model.timeShift) ?? 0;
  const to = range.to - shift;
  return { from: from ? to - from : range.from - shift, to };
}

async function runTarget({ expr, refId, target }, range, step, signal) {
  const instant = target.instant === true && target.range !== true;
  const data = instant
    ? await apiData('/api/v1/query', { query: expr, time: range.to / 1000 }, signal)
    : await apiData('/api/v1/query_range', { query: expr, start: floor(range.from / 1000, step), end: floor(range.to / 1000, step), step }, signal);
  return rows(data).map((row) => ({
    name: seriesName(target.legendFormat, row.metric, expr),
    labels: row.metric,
    refId,
    format: target.format ?? 'time_series',
    times: row.points.map((p) => p[0]),
    values: row.points.map((p) => Number(p[1].replace('Inf', 'Infinity'))),
  }));
}

/** rows gives every result type one shape; a scalar is a series without labels. */
function rows({ resultType, result }) {
  result ??= [];
  if (resultType === 'matrix') return result.map((r) => ({ metric: r.metric, points: r.values }));
  if (resultType === 'vector') return result.map((r) => ({ metric: r.metric, points: [r.value] }));
  if (resultType === 'scalar') return [{ metric: {}, points: [result] }];
  throw new Error(`The query answers with a ${resultType}, which no panel draws.`);
}

const floor = (seconds, step) => Math.floor(seconds / step) * step;

/** fillLabels writes the labels' values in the place of "{{label}}"; an absent one is nothing. */
export function fillLabels(text, labels) {
  return text.replace(/\{\{\s*([^}]+?)\s*\}\}/g, (_, label) => labels[label] ?? '').trim();
}

/** seriesName fills "{{label}}" of the legend; without a legend it is the labels, or the expression where there are none. */
export function seriesName(legend, labels, expr) {
  if (legend && legend !== '__auto') return fillLabels(legend, labels) || 'no name'; // all its labels are absent
  const { __name__: name, ...rest } = labels;
  const pairs = Object.entries(rest);
  if (pairs.length === 0) return name ?? expr;
  if (pairs.length === 1 && legend === '__auto') return pairs[0][1];
  return `${name ?? ''}{${pairs.map(([k, v]) => `${k}="${v}"`).join(', ')}}`;
}
