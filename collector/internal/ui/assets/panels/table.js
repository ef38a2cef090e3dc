// Draws a table: sortable, gauges and colours in cells, every row a link to the next level down.
import { cut, el, icon } from '../dom.js';
import { fieldConfig, show } from '../fieldconfig.js';
import { linkURL } from '../link.js';
import { sorted, toFrames, transform } from '../frame.js';

const PAGE_ROWS = 200;

export function drawTable(body, { model, ctx, result, redraw }) {
  const state = model.tableState ??= { order: model.options?.sortBy?.[0] ?? null, rows: PAGE_ROWS };
  const { frame: raw, skipped } = transform(toFrames(result.series, model.targets), model.transformations);
  const columns = raw.fields.map((f) => ({ ...f, config: fieldConfig(model, { name: f.label, refId: f.refId, numeric: f.numeric }) }))
    .filter((f) => !f.hidden && !f.config.custom.hidden && f.name !== '__name__' && !(f.name === 'Time' && f.label === 'Time'))
    .filter((f) => f.numeric || raw.rows.some((r) => r[f.name])); // a label that none of the rows has, such as pod on plain Docker
  const frame = sorted(raw, state.order && { field: state.order.displayName, desc: state.order.desc });
  const scales = new Map(columns.map((c) => [c.name, Math.max(...frame.rows.map((r) => (Number.isFinite(r[c.name]) ? r[c.name] : 0)), 1e-12)]));

  const header = el('tr', {}, columns.map((c) => {
    const label = c.config.displayName || c.label;
    const sort = state.order?.displayName === c.label ? (state.order.desc ? 'descending' : 'ascending') : 'none';
    const press = () => {
      state.order = { displayName: c.label, desc: sort === 'none' ? c.numeric : sort === 'ascending' };
      redraw();
    };
    return el('th', { scope: 'col', class: c.numeric ? 'number' : '', 'aria-sort': sort, style: c.config.custom.width ? { 'min-width': `${c.config.custom.width}px` } : null },
      el('button', { type: 'button', onclick: press, title: label }, label, el('span', { class: 'arrow', 'aria-hidden': 'true' }, { ascending: '↑', descending: '↓', none: '' }[sort])));
  }));

  const rows = frame.rows.slice(0, state.rows).map((row) => drawRow(row, columns, scales, ctx, result));
  body.append(el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${model.title ?? 'Panel'}, table` },
    el('table', { class: 'data' }, el('thead', {}, header), el('tbody', {}, rows))));
  const left = frame.rows.length - rows.length;
  if (left > 0) body.append(el('p', { class: 'strip' }, `${rows.length} of ${frame.rows.length} rows. `, el('button', { type: 'button', onclick: () => { state.rows += PAGE_ROWS; redraw(); } }, 'Show more')));
  if (skipped.length) body.append(el('p', { class: 'strip' }, `Not applied here: ${skipped.join(', ')}.`));
}

function drawRow(row, columns, scales, ctx, result) {
  const fields = {};
  for (const c of columns) {
    fields[c.name] = row[c.name];
    fields[c.label] = row[c.name];
  }
  Object.assign(fields, { ...row, ...fields });
  const hrefs = columns.map((c) => {
    const link = c.config.links?.find((l) => l.url);
    return link && linkURL(link.url, { fields, labels: row, name: c.label, raw: row[c.name], text: row[c.name] }, ctx.view, result.scope);
  });
  const target = hrefs.find(Boolean); // the row goes where its first link goes
  const tr = el('tr', { class: target ? 'goes' : null }, columns.map((c, i) => cell(row[c.name], c, scales.get(c.name), hrefs[i])));
  if (target) {
    tr.addEventListener('click', (e) => {
      if (e.target.closest('a,button') || String(getSelection())) return;
      if (e.metaKey || e.ctrlKey) window.open(target, '_blank', 'noopener');
      else location.assign(target);
    });
  }
  return tr;
}

function cell(value, column, scale, href) {
  const { config, numeric } = column;
  const absent = value === undefined || value === null || Number.isNaN(value);
  const shown = show(absent ? null : value, config);
  const text = absent ? config.noValue ?? '–' : shown.text;
  const kind = config.custom.cellOptions?.type ?? 'auto';
  const state = absent ? null : shown.state;
  const inner = href ? el('a', { href }, cut(text)) : el('span', {}, cut(text));
  const colored = kind === 'color-text' || kind === 'color-background' || kind === 'gauge';
  const meter = kind === 'gauge' && numeric && !absent && !shown.mapped;
  const td = el('td', { class: [numeric ? 'number' : '', absent || (shown.mapped && !state) ? 'absent' : '', colored && state ? state : '', kind === 'color-background' && state ? 'filled' : ''].filter(Boolean).join(' '), title: text },
    meter ? el('span', { class: 'meter' }, track(value, config, scale, state), inner) : inner);
  if (colored && (state === 'bad' || state === 'warn')) inner.prepend(icon('warn'));
  return td;
}

function track(value, config, scale, state) {
  const low = config.min ?? 0;
  const share = Math.max(0, Math.min(1, (value - low) / ((config.max ?? scale) - low)));
  return el('span', { class: `track ${state ?? ''}` }, el('i', { style: { width: `${(share * 100).toFixed(1)}%` } }));
}
