// Finds out whether a fleet's data begin only at the end of a range, and which shorter range would fit.
import { apiData } from './api.js';
import { parseTime } from './time.js';

const LEAST_STEP = 15; // seconds, as agents send
const LOOKS = 30; // points over the range: enough to tell a fifth
const MOSTLY_EMPTY = 0.2; // of the range has data
const SHORTER = ['now-5m', 'now-15m', 'now-30m', 'now-1h', 'now-3h', 'now-6h', 'now-24h'];

/** shorterRange gives the start of a range that fits, such as "now-15m", or null where the range is full enough or wholly empty. */
export async function shorterRange({ from, to }) {
  let [first, start, last] = [undefined, from / 1000, Infinity];
  for (;;) { // closer, as long as that tells the start more exactly
    const step = Math.max(LEAST_STEP, Math.round((to / 1000 - start) / LOOKS));
    if (step > last / 2) return fit(first, from, to);
    const { result } = await apiData('/api/v1/query_range', { query: 'count(machine_cpu_cores)', start, end: to / 1000, step }); // the one metric every agent sends
    first = result?.[0]?.values?.[0]?.[0] ?? first;
    if (fit(first, from, to) === null) return null;
    [start, last] = [first - step, step];
  }
}

/** fit is the choice alone; first is the moment of the first point, in seconds. */
export function fit(first, from, to) {
  if (first === undefined || (to - first * 1000) / (to - from) > MOSTLY_EMPTY) return null;
  const start = SHORTER.map((text) => ({ text, at: parseTime(text, to) })).find(({ at }) => at <= first * 1000);
  return start && start.at > from ? start.text : null;
}
