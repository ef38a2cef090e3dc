// Draws big figures: one per series, coloured only when a threshold is reached, over a thin trace where the query gave a history.
import { cut, el, icon, svg } from '../dom.js';
import { fieldConfig, show } from '../fieldconfig.js';
import { format } from '../format.js';
import { linkURL } from '../link.js';
import { reduce } from '../reduce.js';

const MOST_FIGURES = 12;

export function drawStat(body, { model, ctx, result }) {
  const options = model.options ?? {};
  const several = result.series.length > 1;
  const figures = result.series.slice(0, MOST_FIGURES).map((series) => {
    const config = fieldConfig(model, { name: series.name, refId: series.refId, numeric: true });
    const value = reduce(series.values, options.reduceOptions?.calcs?.[0]);
    const shown = show(value, config);
    const parts = shown.mapped || config.unit?.startsWith('dateTime') ? { value: shown.text, unit: '' } : format(value, config.unit, config.decimals ?? null);
    const state = shown.state;
    const name = config.displayName || series.name;
    const named = options.textMode === 'value_and_name' || options.textMode === 'name' || (several && options.textMode !== 'value');
    const href = config.links?.[0]?.url && linkURL(config.links[0].url, { labels: series.labels, fields: series.labels, name, raw: value, text: shown.text }, ctx.view, result.scope);
    const figure = el(href ? 'a' : 'div', { class: `figure ${state ?? ''}`, href, title: config.links?.[0]?.title || null },
      named && el('span', { class: 'name', title: name }, cut(name, 60)),
      el('span', { class: 'value', style: { '--chars': Array.from(parts.value).length + (parts.unit ? parts.unit.length * 0.6 : 0) + (state ? 1.2 : 0) } }, state === 'bad' || state === 'warn' ? icon('warn') : null, parts.value, parts.unit && el('small', {}, parts.unit)));
    const wantsTrace = options.graphMode !== 'none' && series.times.length > 2 && !several;
    return wantsTrace ? el('div', { class: 'traced' }, figure, trace(series.values, ctx.palette(), state)) : figure;
  });
  body.append(el('div', { class: `figures ${several ? 'several' : ''}` }, figures));
  const more = result.series.length - MOST_FIGURES;
  if (more > 0) body.append(el('p', { class: 'strip' }, `${more} more are not shown.`));
}

/** trace is a line without axes: the shape of the range, not its figures. */
function trace(values, palette, state) {
  const known = values.filter(Number.isFinite);
  const low = Math.min(0, ...known);
  const high = Math.max(...known, low + 1e-12);
  const y = (v) => (29 - ((v - low) / (high - low)) * 27).toFixed(2);
  let path = '';
  let pen = false;
  values.forEach((v, i) => {
    if (!Number.isFinite(v)) { pen = false; return; }
    path += `${pen ? 'L' : 'M'}${((i / (values.length - 1)) * 100).toFixed(2)} ${y(v)}`;
    pen = true;
  });
  const color = palette.token({ bad: '--red', warn: '--orange' }[state] ?? '--series-0');
  return svg('svg', { class: 'trace', viewBox: '0 0 100 30', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, svg('path', { d: path, stroke: color, 'vector-effect': 'non-scaling-stroke' }));
}
