// The legend: a row per series with its figures. A press shows that one alone, with Ctrl or Shift it adds or removes it.
import { cut, el } from '../dom.js';
import { formatText } from '../format.js';
import { reduce, reducerName } from '../reduce.js';

/** drawLegend returns null where the panel wants none. */
export function drawLegend(model, lines, { hidden, redraw, focus, linkOf }) {
  const options = model.options?.legend ?? {};
  if (options.showLegend === false || options.displayMode === 'hidden') return null;
  const calcs = options.calcs ?? [];
  const rows = lines.map((line) => ({ line, figures: calcs.map((c) => reduce(line.series.values, c)) }));
  const by = calcs.findIndex((c) => reducerName(c) === options.sortBy || c === options.sortBy);
  if (by >= 0) rows.sort((a, b) => (options.sortDesc ? -1 : 1) * ((a.figures[by] ?? -Infinity) - (b.figures[by] ?? -Infinity)));
  const press = (name) => (e) => {
    toggle(name, lines.map((l) => l.name), hidden, e.ctrlKey || e.metaKey || e.shiftKey);
    redraw();
  };
  const entry = (line) => [button(line), follow(linkOf(line))];
  const button = (line) => el('button', { type: 'button', class: 'entry', 'aria-pressed': String(!hidden.has(line.name)), title: line.name, onclick: press(line.name), onmouseenter: () => focus(line.name), onmouseleave: () => focus(null) },
    el('i', { class: line.dash ? 'swatch dashed' : 'swatch', style: { '--swatch': line.color } }), el('span', { class: 'name' }, cut(line.name, 100)));
  if (options.displayMode !== 'table') {
    return el('ul', { class: 'legend list' }, rows.map(({ line, figures }) => el('li', {}, entry(line),
      figures.map((v, i) => el('span', { class: 'amount' }, `${reducerName(calcs[i])} ${write(v, line)}`)))));
  }
  return el('div', { class: 'legend table', tabindex: '0', role: 'region', 'aria-label': `Legend of ${model.title ?? 'chart'}` }, el('table', {},
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Series'), calcs.map((c) => el('th', { scope: 'col' }, reducerName(c))))),
    el('tbody', {}, rows.map(({ line, figures }) => el('tr', {}, el('td', {}, el('span', { class: 'pairing' }, entry(line))), figures.map((v) => el('td', { class: 'number' }, write(v, line))))))));
}

/** follow is the way from a series to its own page, where the panel knows one. */
function follow(link) {
  return link?.href ? el('a', { class: 'go', href: link.href, title: link.title, 'aria-label': link.title }, '→') : null;
}

const write = (v, line) => formatText(v, line.config.unit, line.config.decimals ?? null);

/** toggle changes the set of hidden names: alone, everything back when it was alone already, or one in or out with add. */
export function toggle(name, names, hidden, add) {
  const shown = names.filter((n) => !hidden.has(n));
  if (add) {
    if (hidden.has(name)) hidden.delete(name);
    else if (shown.length > 1) hidden.add(name);
    return;
  }
  const alone = shown.length === 1 && shown[0] === name;
  hidden.clear();
  if (!alone) for (const n of names) if (n !== name) hidden.add(n);
}
