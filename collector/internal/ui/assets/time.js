// Reads and writes time ranges: "now-6h", "now-1d/d", milliseconds since 1970, or an ISO date.

const SECOND = 1000;
const LATEST_MS = Date.UTC(2100, 0);
const UNIT_MS = { s: SECOND, m: 60 * SECOND, h: 3600 * SECOND, d: 86400 * SECOND, w: 7 * 86400 * SECOND };

export const QUICK_RANGES = [
  ['now-5m', 'Last 5 minutes'], ['now-15m', 'Last 15 minutes'], ['now-30m', 'Last 30 minutes'],
  ['now-1h', 'Last hour'], ['now-3h', 'Last 3 hours'], ['now-6h', 'Last 6 hours'], ['now-12h', 'Last 12 hours'],
  ['now-24h', 'Last 24 hours'], ['now-2d', 'Last 2 days'], ['now-7d', 'Last 7 days'], ['now-30d', 'Last 30 days'], ['now-90d', 'Last 90 days'],
];

export const REFRESH_CHOICES = ['', '15s', '30s', '1m', '5m', '15m'];

/** parseTime gives milliseconds since 1970, or throws an Error that says what would be right. up rounds "/d" to the end of the day. */
export function parseTime(text, nowMs, { up = false } = {}) {
  const relative = /^now((?:[+-]\d+(?:ms|[smhdwMy]))*)(?:\/([smhdwMy]))?$/.exec(text);
  if (relative) {
    let date = new Date(nowMs);
    for (const [, sign, n, unit] of relative[1].matchAll(/([+-])(\d+)(ms|[smhdwMy])/g)) date = shift(date, Number(sign + n), unit);
    return relative[2] ? round(date, relative[2], up).getTime() : date.getTime();
  }
  if (/^\d{9,11}$/.test(text)) return Number(text) * SECOND;
  if (/^\d{12,14}$/.test(text)) return Number(text);
  const parsed = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(parsed)) throw new Error(`“${text}” is no time. Write now-6h, a date such as 2026-01-31T08:00, or milliseconds since 1970.`);
  return parsed;
}

function shift(date, n, unit) {
  const d = new Date(date);
  if (unit === 'M') d.setMonth(d.getMonth() + n);
  else if (unit === 'y') d.setFullYear(d.getFullYear() + n);
  else d.setTime(d.getTime() + n * (unit === 'ms' ? 1 : UNIT_MS[unit]));
  return d;
}

function round(date, unit, up) {
  const d = new Date(date);
  const reset = { s: [], m: ['s'], h: ['s', 'm'], d: ['s', 'm', 'h'], w: ['s', 'm', 'h'], M: ['s', 'm', 'h'], y: ['s', 'm', 'h'] }[unit];
  d.setMilliseconds(0);
  if (reset.includes('s')) d.setSeconds(0);
  if (reset.includes('m')) d.setMinutes(0);
  if (reset.includes('h')) d.setHours(0);
  if (unit === 'w') d.setDate(d.getDate() - d.getDay());
  if (unit === 'M' || unit === 'y') d.setDate(1);
  if (unit === 'y') d.setMonth(0);
  return up ? new Date(shift(d, 1, unit).getTime() - 1) : d;
}

/** resolveRange turns two texts into {from, to} in milliseconds; it throws where they make no range. */
export function resolveRange(fromText, toText, nowMs = Date.now()) {
  const from = parseTime(fromText, nowMs);
  const to = parseTime(toText, nowMs, { up: true });
  if (!(from >= 0) || !(to <= LATEST_MS)) throw new Error(`The range ${fromText} to ${toText} lies outside the years 1970 to 2100.`);
  if (from > nowMs) throw new Error(`The range ${fromText} to ${toText} has not begun: it starts ${ago(from, nowMs)}.`);
  if (from >= to) throw new Error(`The range ${fromText} to ${toText} is empty: the start is not before the end.`);
  return { from, to };
}

/** durationMs reads "1m", "90s", "1h30m"; null where it is none. */
export function durationMs(text) {
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(text ?? '')) return null;
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) sum += Number(n) * (unit === 'ms' ? 1 : UNIT_MS[unit]);
  return sum;
}

export function describeRange(fromText, toText) {
  if (toText === 'now') {
    const quick = QUICK_RANGES.find(([from]) => from === fromText);
    if (quick) return quick[1];
    const m = /^now-(\d+)([smhdw])$/.exec(fromText);
    if (m) return `Last ${m[1]} ${{ s: 'seconds', m: 'minutes', h: 'hours', d: 'days', w: 'weeks' }[m[2]]}`;
  }
  const show = (text) => (/^now/.test(text) ? text : stamp(parseTime(text, Date.now())));
  return `${show(fromText)} to ${show(toText)}`;
}

const two = (n) => String(n).padStart(2, '0');

/** clockTime is "14:05:09" in the browser's zone; stamp adds the date, and seconds only where they are not 0. */
export function clockTime(ms) {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export function stamp(ms) {
  const d = new Date(ms);
  const clock = d.getSeconds() ? clockTime(ms) : `${two(d.getHours())}:${two(d.getMinutes())}`;
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock}`;
}

/** ago is "3 min ago" for a moment in milliseconds; "in 2 h" for one to come. */
export function ago(ms, nowMs = Date.now()) {
  const s = Math.round((nowMs - ms) / SECOND);
  const size = Math.abs(s);
  const text = size < 90 ? `${size} s` : size < 5400 ? `${Math.round(size / 60)} min` : size < 129600 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
  return s < 0 ? `in ${text}` : `${text} ago`;
}
