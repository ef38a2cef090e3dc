// Lays series on one time grid, finds points that stand alone, and adds up stacks. No drawing.

/** align gives {times, values}: every step of the range, null where a series has no point. A gap stays a gap. */
export function align(series, range, step) {
  const start = Math.floor(range.from / 1000 / step) * step;
  const count = Math.floor(range.to / 1000 / step) - Math.floor(range.from / 1000 / step) + 1;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  const values = series.map((s) => {
    const row = new Array(count).fill(null);
    s.times.forEach((t, i) => {
      const at = Math.round((t - start) / step);
      if (at >= 0 && at < count && Number.isFinite(s.values[i])) row[at] = s.values[i];
    });
    return row;
  });
  return { times, values };
}

/** isolated lists points without a neighbour: no line would show them. */
export function isolated(values) {
  const out = [];
  values.forEach((v, i) => {
    if (v !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null) out.push(i);
  });
  return out;
}

/**
 * stack adds each series of a group to those before it: {values, bands: [[upper, lower]]}. groups[i] null stands alone.
 * Bars stand on zero and are painted one over the other, so a group whose bars[i] is true is added up from its end: the tallest is painted first.
 */
export function stack(values, groups, bars = []) {
  const out = [...values];
  const bands = [];
  for (const group of new Set(groups.filter((g) => g !== null))) {
    const members = values.map((_, i) => i).filter((i) => groups[i] === group);
    const order = bars[members[0]] ? [...members].reverse() : members;
    let sum = values[0].map((_, j) => (members.some((i) => values[i][j] !== null) ? 0 : null)); // null where no member has a point
    order.forEach((i, n) => {
      sum = sum.map((s, j) => (s === null ? null : s + (values[i][j] ?? 0)));
      out[i] = sum;
      if (n > 0 && order === members) bands.push([i, members[n - 1]]);
    });
  }
  return { values: out, bands };
}
