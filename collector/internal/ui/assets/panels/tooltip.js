// The box beside the crosshair: the time, and every series' value there, greatest first.
import { cut, el } from '../dom.js';
import { clockTime, stamp } from '../time.js';
import { near as nearby } from './markers.js';

const MOST_ROWS = 14;
const MOST_EVENTS = 5;

/** valueAt(i, index) is the plain value of line i, not the stacked one; write formats it; marks() are the events worth naming. */
export function tooltip(lines, valueAt, write, marks, palette) {
  const box = el('div', { class: 'tooltip', hidden: true });
  let over = false;
  let near = null;

  function fill(u) {
    const { idx, left, top } = u.cursor;
    if (!over || idx === null || idx === undefined || left < 0) {
      box.hidden = true;
      return;
    }
    const rows = lines.map((line, i) => ({ line, i, value: valueAt(i, idx) })).filter((r) => r.value !== null)
      .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const t = u.data[0][idx] * 1000;
    const shown = rows.slice(0, MOST_ROWS);
    const nearRow = rows.find((r) => r.i === near);
    if (nearRow && !shown.includes(nearRow)) shown[shown.length - 1] = nearRow;
    box.replaceChildren(el('div', { class: 'when' }, `${stamp(t).slice(0, 10)} ${clockTime(t)}`),
      ...shown.map((r) => el('div', { class: `row ${r.i === near ? 'near' : ''}` },
        el('i', { class: r.line.dash ? 'swatch dashed' : 'swatch', style: { '--swatch': r.line.color } }), el('span', { class: 'name' }, cut(r.line.name, 60)), el('span', { class: 'amount' }, write(r.value, r.line.config)))),
      rows.length > shown.length ? el('div', { class: 'more' }, `and ${rows.length - shown.length} more`) : '');
    const events = nearby(u, marks(), left);
    for (const m of events.slice(0, MOST_EVENTS)) box.append(el('div', { class: 'event' }, el('i', { class: 'swatch', style: { '--swatch': palette.named(m.color) } }), el('span', {}, cut(`${m.title}${m.text ? `: ${m.text}` : ''}`, 90))));
    if (events.length > MOST_EVENTS) box.append(el('div', { class: 'more' }, `and ${events.length - MOST_EVENTS} more events`));
    box.hidden = rows.length === 0 && events.length === 0;
    place(u, left, top);
  }

  function place(u, left, top) {
    const gap = 14;
    const width = box.offsetWidth;
    const height = box.offsetHeight;
    const area = u.over.getBoundingClientRect();
    const x = area.left + left + gap + width > document.documentElement.clientWidth - 4 ? area.left + left - gap - width : area.left + left + gap;
    const y = Math.max(4, Math.min(area.top + top + gap, innerHeight - height - 4));
    box.style.transform = `translate(${Math.round(Math.max(4, x))}px, ${Math.round(y)}px)`;
  }

  return {
    hooks: {
      init: [(u) => {
        document.body.append(box);
        u.over.addEventListener('mouseenter', () => { over = true; });
        u.over.addEventListener('mouseleave', () => { over = false; box.hidden = true; });
      }],
      setSeries: [(u, i) => { near = i === null ? null : i - 1; }],
      setCursor: [fill],
      destroy: [() => box.remove()],
    },
  };
}
