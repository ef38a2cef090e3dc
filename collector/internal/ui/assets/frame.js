// Makes tables of series: {fields: [{name, label, refId, numeric, hidden}], rows: [{name: value}]}, and applies a panel's transformations in order.
import { toRegExp } from './fieldconfig.js';

/** toFrames gives one table per target, as Grafana's "table" format does: Time, the labels, and the value. */
export function toFrames(series, targets) {
  const refIds = [...new Set(series.map((s) => s.refId))];
  const several = (targets ?? []).filter((t) => !t.hide).length > 1;
  return refIds.map((refId) => {
    const mine = series.filter((s) => s.refId === refId);
    const labels = [...new Set(mine.flatMap((s) => Object.keys(s.labels)))].sort();
    const value = several ? `Value #${refId}` : 'Value';
    const fields = [field('Time', refId, true), ...labels.map((l) => field(l, refId, false)), field(value, refId, true)];
    const rows = mine.map((s) => ({ ...s.labels, Time: s.times.at(-1) * 1000, [value]: s.values.at(-1) }));
    return { fields, rows };
  });
}

const field = (name, refId, numeric) => ({ name, label: name, refId, numeric });

/** transform returns {frame, skipped}: one table, and the names of transformations this page does not know. */
export function transform(frames, transformations) {
  const skipped = [];
  let current = frames;
  for (const { id, options = {}, disabled } of transformations ?? []) {
    if (disabled) continue;
    const step = STEPS[id];
    if (step) current = step(current, options);
    else skipped.push(id);
  }
  return { frame: merge(current)[0] ?? { fields: [], rows: [] }, skipped };
}

const STEPS = {
  merge,
  joinByField: (frames, options) => join(frames, options.byField),
  seriesToColumns: (frames, options) => join(frames, options.byField),
  organize: (frames, options) => frames.map((f) => organize(f, options)),
  sortBy: (frames, options) => frames.map((f) => sorted(f, options.sort?.[0])),
  limit: (frames, options) => frames.map((f) => ({ ...f, rows: f.rows.slice(0, options.limitField ?? 10) })),
  filterFieldsByName: (frames, options) => frames.map((f) => filtered(f, options.include ?? {})),
  renameByRegex: (frames, options) => frames.map((f) => ({ ...f, fields: f.fields.map((x) => ({ ...x, label: x.label.replace(toRegExp(options.regex), options.renamePattern) })) })),
  labelsToFields: (frames) => frames,
};

/** merge puts rows with the same labels into one row, whichever target they came from. */
function merge(frames) {
  if (frames.length <= 1) return frames;
  const fields = [];
  for (const f of frames) for (const x of f.fields) if (!fields.some((y) => y.name === x.name)) fields.push(x);
  const values = fields.filter((f) => f.numeric);
  const keys = fields.filter((f) => !f.numeric);
  const rows = new Map();
  for (const f of frames) {
    for (const row of f.rows) {
      const id = JSON.stringify(keys.map((k) => row[k.name] ?? null));
      rows.set(id, { ...(rows.get(id) ?? {}), ...row });
    }
  }
  return [{ fields: [...keys, ...values], rows: [...rows.values()] }];
}

/** join is an outer join on one field. A name that several tables have gets the table's number behind it, as in Grafana. */
function join(frames, by) {
  if (!by || frames.length <= 1) return frames;
  const uses = new Map();
  for (const f of frames) for (const x of f.fields) uses.set(x.name, (uses.get(x.name) ?? 0) + 1);
  const fields = [];
  const rows = new Map();
  frames.forEach((f, i) => {
    for (const x of f.fields) {
      if (x.name === by && fields.some((y) => y.name === by)) continue;
      const name = x.name !== by && uses.get(x.name) > 1 ? `${x.name} ${i + 1}` : x.name;
      fields.push({ ...x, name, label: name });
    }
    for (const row of f.rows) {
      if (row[by] === undefined) continue;
      const target = rows.get(row[by]) ?? {};
      for (const x of f.fields) target[x.name !== by && uses.get(x.name) > 1 ? `${x.name} ${i + 1}` : x.name] = row[x.name];
      rows.set(row[by], target);
    }
  });
  return [{ fields, rows: [...rows.values()] }];
}

function organize(frame, { excludeByName = {}, indexByName = {}, renameByName = {} }) {
  const position = (f) => indexByName[f.name] ?? Number.MAX_SAFE_INTEGER;
  const fields = frame.fields.map((f) => ({ ...f, hidden: f.hidden || excludeByName[f.name] === true, label: renameByName[f.name] || f.label }));
  return { ...frame, fields: fields.map((f, i) => [f, i]).sort((a, b) => position(a[0]) - position(b[0]) || a[1] - b[1]).map(([f]) => f) };
}

function filtered(frame, { names = null, pattern = null }) {
  const keep = (f) => (names?.includes(f.name) || names?.includes(f.label)) || (pattern !== null && toRegExp(pattern).test(f.label));
  return { ...frame, fields: frame.fields.map((f) => ({ ...f, hidden: f.hidden || !keep(f) })) };
}

/** sorted orders rows by {field, desc}; absent values come last whichever way. */
export function sorted(frame, order) {
  const by = order && frame.fields.find((f) => f.label === (order.field ?? order.displayName) || f.name === (order.field ?? order.displayName));
  if (!by) return frame;
  const sign = order.desc ? -1 : 1;
  const absent = (v) => v === undefined || v === null || Number.isNaN(v);
  const rows = [...frame.rows].sort((a, b) => {
    const [x, y] = [a[by.name], b[by.name]];
    if (absent(x) || absent(y)) return absent(x) - absent(y);
    return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }));
  });
  return { ...frame, rows };
}
