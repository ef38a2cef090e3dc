// Makes one number of many.

const REDUCERS = {
  lastNotNull: (v) => v.at(-1) ?? null,
  last: (v) => v.at(-1) ?? null,
  firstNotNull: (v) => v[0] ?? null,
  first: (v) => v[0] ?? null,
  max: (v) => (v.length ? v.reduce((a, b) => Math.max(a, b)) : null),
  min: (v) => (v.length ? v.reduce((a, b) => Math.min(a, b)) : null),
  sum: (v) => (v.length ? v.reduce((a, b) => a + b, 0) : null),
  mean: (v) => (v.length ? v.reduce((a, b) => a + b, 0) / v.length : null),
  count: (v) => v.length,
  range: (v) => (v.length ? REDUCERS.max(v) - REDUCERS.min(v) : null),
  delta: (v) => (v.length ? v.at(-1) - v[0] : null),
  diff: (v) => (v.length ? v.at(-1) - v[0] : null),
};

const NAMES = { lastNotNull: 'Last', last: 'Last', firstNotNull: 'First', first: 'First', max: 'Max', min: 'Min', sum: 'Total', mean: 'Mean', count: 'Count', range: 'Range', delta: 'Change', diff: 'Change' };

/** reduce leaves out absent points: they are not zero. */
export function reduce(values, reducer = 'lastNotNull') {
  return (REDUCERS[reducer] ?? REDUCERS.lastNotNull)(values.filter((v) => v !== null && v !== undefined && Number.isFinite(v)));
}

export const reducerName = (reducer) => NAMES[reducer] ?? reducer;
