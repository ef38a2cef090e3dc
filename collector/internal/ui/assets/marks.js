// Reads the annotations of a dashboard, moments worth knowing on every chart: alerts, OOM kills, restarts, releases.
import { apiData } from './api.js';
import { cut, el } from './dom.js';
import { interpolateQuery, scopeOf } from './interpolate.js';
import { fillLabels, planStep } from './query.js';
import { durationMs, stamp } from './time.js';

const LEAST_STEP_SECONDS = 60; // an hour of minutes is enough to see when, and cheap
const MOST_POINTS = 180;
const MOST_MARKS = 300; // of one kind; a chart full of lines says nothing
const MOST_LISTED = 100;
const AROUND_MS = 15 * 60000;

export class Marks {
  /** list is annotations.list of the dashboard. */
  constructor(list) {
    this.kinds = (list ?? []).filter((a) => a.expr && a.enable !== false && a.hide !== true)
      .map((a) => ({ name: a.name, color: a.iconColor || 'blue', expr: a.expr, step: (durationMs(a.step) ?? 0) / 1000, title: a.titleFormat || a.name, text: a.textFormat || '', shown: true, marks: [], error: null, left: 0 }));
  }

  /** load asks for every kind over a range and tells the charts; a kind whose query fails says so in the list and hides none of the others. */
  async load(range, vars) {
    const asked = this.asked = Symbol('load');
    await Promise.all(this.kinds.map(async (kind) => {
      const step = planStep(range, MOST_POINTS * 2, Math.max(kind.step, LEAST_STEP_SECONDS));
      try {
        const query = interpolateQuery(kind.expr, scopeOf(range, vars, step));
        const { result } = await apiData('/api/v1/query_range', { query, start: floor(range.from, step), end: floor(range.to, step), step });
        if (this.asked !== asked) return;
        const all = spans(result ?? [], step).map((s) => ({ ...s, title: write(kind.title, s.labels), text: write(kind.text, s.labels) }));
        Object.assign(kind, { marks: all.slice(0, MOST_MARKS), left: Math.max(0, all.length - MOST_MARKS), error: null });
      } catch (err) {
        if (this.asked === asked) Object.assign(kind, { marks: [], left: 0, error: err.message });
      }
    }));
    if (this.asked === asked) document.dispatchEvent(new Event('markschange'));
  }

  /** shown lists the marks of the kinds that are switched on, with their colour's name. */
  shown() {
    return this.kinds.filter((k) => k.shown).flatMap((k) => k.marks.map((m) => ({ ...m, color: k.color })));
  }

  count() {
    return this.kinds.reduce((sum, k) => sum + k.marks.length + k.left, 0);
  }

  /** fill writes the list under the toolbar's button: switches, then the events, newest first, each the way to its time. */
  fill(box, zoom) {
    const list = el('ul', { class: 'menu events' });
    const draw = () => {
      const events = this.kinds.filter((k) => k.shown).flatMap((k) => k.marks.map((m) => ({ ...m, kind: k }))).sort((a, b) => b.from - a.from);
      list.replaceChildren(...events.slice(0, MOST_LISTED).map((m) => el('li', {}, el('button', { type: 'button', title: m.text, onclick: () => zoom(m.from - AROUND_MS, Math.max(m.to, m.from) + AROUND_MS) },
        el('i', { class: `dot ${m.kind.color}` }), el('span', { class: 'when' }, stamp(m.from)), el('span', {}, cut(`${m.title}${m.text ? `: ${m.text}` : ''}`, 110))))));
      const left = events.length - MOST_LISTED + this.kinds.reduce((sum, k) => sum + (k.shown ? k.left : 0), 0);
      if (left > 0) list.append(el('li', { class: 'hint' }, `${left} more: choose a shorter time or fewer series.`));
      if (events.length === 0) list.append(el('li', { class: 'hint' }, 'None in this time. That is what a quiet time looks like.'));
    };
    const switches = this.kinds.map((kind) => {
      const input = el('input', { type: 'checkbox', onchange: () => { kind.shown = input.checked; document.dispatchEvent(new Event('markschange')); draw(); } });
      input.checked = kind.shown;
      return el('label', { title: kind.error ?? null }, input, el('i', { class: `dot ${kind.color}` }), `${kind.name} `, el('small', { class: kind.error ? 'bad' : null }, kind.error ? 'could not be read' : String(kind.marks.length + kind.left)));
    });
    box.append(el('div', { class: 'eventbox' }, el('div', { class: 'switches', role: 'group', 'aria-label': 'Events on the charts' }, switches), list));
    draw();
  }
}

const floor = (ms, step) => Math.floor(ms / 1000 / step) * step;

/** write fills "{{label}}"; a label that is absent leaves no hole. */
const write = (format, labels) => fillLabels(format, labels).replace(/\s+/g, ' ').replace(/ on$/, '');

/** spans joins the neighbouring points of a series that are above 0: {from, to, labels} in milliseconds, in order of their start. */
export function spans(result, step) {
  const out = [];
  for (const { metric, values } of result) {
    let open = null;
    for (const [t, v] of values) {
      if (!(Number(v) > 0)) continue;
      if (open && t * 1000 - open.to <= step * 1000 * 1.5) open.to = t * 1000;
      else out.push(open = { from: t * 1000, to: t * 1000, labels: metric });
    }
  }
  return out.sort((a, b) => a.from - b.from);
}
