// Draws one bar per series, longest scale shared, with its figure in text.
import { cut, el } from '../dom.js';
import { fieldConfig, show } from '../fieldconfig.js';
import { linkURL } from '../link.js';
import { reduce } from '../reduce.js';
import { toFrames, transform } from '../frame.js';

const MOST_BARS = 50;

export function drawBars(body, { model, ctx, result }) {
  const options = model.options ?? {};
  const items = entries(model, result).map((item) => {
    const config = fieldConfig(model, { name: item.name, refId: item.refId, numeric: true });
    return { ...item, config, shown: show(item.value, config) };
  });
  const scale = Math.max(...items.map((i) => i.config.max ?? i.value ?? 0), 1e-12);
  const list = el('ul', { class: 'bars' });
  for (const { name, labels, value, config, shown } of items.slice(0, MOST_BARS)) {
    const state = shown.state;
    const low = config.min ?? 0;
    const share = Math.max(0, Math.min(1, ((value ?? 0) - low) / ((config.max ?? scale) - low)));
    const href = config.links?.[0]?.url && linkURL(config.links[0].url, { labels, fields: labels, name, raw: value, text: shown.text }, ctx.view, result.scope);
    const label = config.displayName || name;
    list.append(el('li', {},
      el(href ? 'a' : 'span', { class: 'name', href, title: label }, cut(label, 80)),
      el('span', { class: `track ${state ?? ''}` }, el('i', { style: { width: `${(share * 100).toFixed(2)}%` } })),
      el('span', { class: `amount ${state ?? ''}` }, shown.text)));
  }
  body.append(list);
  if (items.length > MOST_BARS) body.append(el('p', { class: 'strip' }, `${items.length - MOST_BARS} more are not shown.`));
}

function entries(model, result) {
  const calc = model.options?.reduceOptions?.calcs?.[0];
  if (!model.transformations?.length) return result.series.map((s) => ({ name: s.name, labels: s.labels, refId: s.refId, value: reduce(s.values, calc) }));
  const { frame } = transform(toFrames(result.series, model.targets), model.transformations);
  const value = frame.fields.find((f) => f.numeric && !f.hidden && f.name !== 'Time');
  const keys = frame.fields.filter((f) => !f.numeric && !f.hidden);
  return frame.rows.map((row) => ({ name: keys.map((k) => row[k.name]).join(' '), labels: row, refId: value?.refId, value: row[value?.name] ?? null }));
}
