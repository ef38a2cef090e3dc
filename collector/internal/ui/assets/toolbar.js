// The bar over a dashboard: its name, its variables, the time range and the refresh.
import { cut, el, icon } from './dom.js';
import { popover } from './popover.js';
import { describeRange, QUICK_RANGES, REFRESH_CHOICES, resolveRange, stamp } from './time.js';
import { fillVariable } from './variablemenu.js';

export class Toolbar {
  constructor(dashboard) {
    this.dashboard = dashboard;
    this.variables = el('div', { class: 'variables' });
    this.time = el('div', { class: 'time' });
    this.marks = el('span', { class: 'anchor' });
    this.element = el('div', { class: 'toolbar' },
      el('h1', { title: dashboard.model.description || null }, dashboard.model.title), this.variables, this.time);
  }

  draw() {
    this.drawVariables();
    this.drawTime();
  }

  drawVariables() {
    const { dashboard } = this;
    const active = document.activeElement?.dataset?.variable;
    this.variables.replaceChildren(...dashboard.variables.list.filter((v) => !v.hidden).map((v) => {
      const text = v.text();
      const button = el('button', { type: 'button', class: 'choice', dataset: { variable: v.name }, title: `${v.label}: ${text}` },
        el('span', { class: 'label' }, v.label), el('span', { class: 'chosen' }, cut(text, 40)), icon('down'));
      popover(button, (box, close) => fillVariable(box, v, (values) => { close(); dashboard.setVariable(v.name, values); }), { label: v.label });
      return el('span', { class: 'anchor' }, button);
    }));
    if (active) this.variables.querySelector(`[data-variable="${CSS.escape(active)}"]`)?.focus();
  }

  /** drawMarks shows how many events the charts are marked with. */
  drawMarks() {
    const { marks } = this.dashboard;
    if (marks.kinds.length === 0 || this.marks.querySelector('.popover')) return;
    const button = el('button', { type: 'button', class: 'choice', id: 'events', title: 'Events marked on the charts' }, 'Events', el('span', { class: 'chosen' }, String(marks.count())), icon('down'));
    popover(button, (box, close) => marks.fill(box, (from, to) => { close(); this.dashboard.change({ from: String(from), to: String(to) }); }), { label: 'Events', align: 'right' });
    this.marks.replaceChildren(button);
  }

  drawTime() {
    const { dashboard } = this;
    const { from, to, refresh } = dashboard.view;
    const range = el('button', { type: 'button', class: 'choice', id: 'range', title: `${stamp(dashboard.range.from)} to ${stamp(dashboard.range.to)}, ${zone()}` },
      icon('clock'), el('span', { class: 'chosen' }, describeRange(from, to)), icon('down'));
    popover(range, (box, close) => fillTime(box, dashboard, close), { label: 'Time range', align: 'right' });
    const choices = REFRESH_CHOICES.includes(refresh) ? REFRESH_CHOICES : [...REFRESH_CHOICES, refresh];
    const every = el('select', { id: 'refresh', 'aria-label': 'Refresh every', title: 'Refresh every', onchange: (e) => dashboard.change({ refresh: e.target.value }) },
      choices.map((c) => el('option', { value: c, selected: c === refresh }, c ? c : 'off')));
    this.time.replaceChildren(
      this.marks,
      el('span', { class: 'anchor' }, range),
      el('button', { type: 'button', class: 'plain', 'aria-label': 'Zoom out', title: 'Zoom out (or double-click a chart)', onclick: () => dashboard.zoomOut() }, icon('zoomout')),
      el('span', { class: 'joined' }, el('button', { type: 'button', class: 'plain', 'aria-label': 'Refresh now', title: 'Refresh now', onclick: () => dashboard.refresh() }, icon('refresh')), every));
  }
}

function fillTime(box, dashboard, close) {
  const { from, to } = dashboard.view;
  const choose = (f, t) => { close(); dashboard.change({ from: f, to: t }); };
  const quick = el('ul', { class: 'menu' }, QUICK_RANGES.map(([f, text]) => el('li', {},
    el('button', { type: 'button', 'aria-current': f === from && to === 'now' ? 'true' : null, autofocus: f === from && to === 'now', onclick: () => choose(f, 'now') }, text))));
  const fromInput = el('input', { value: shown(from), 'aria-label': 'From', name: 'from', spellcheck: 'false' });
  const toInput = el('input', { value: shown(to), 'aria-label': 'To', name: 'to', spellcheck: 'false' });
  const complaint = el('p', { class: 'bad', role: 'alert' });
  const form = el('form', { class: 'absolute', onsubmit: (e) => {
    e.preventDefault();
    try {
      const [f, t] = [absolute(fromInput.value), absolute(toInput.value)];
      resolveRange(f, t);
      choose(f, t);
    } catch (err) {
      complaint.textContent = err.message;
    }
  } }, el('label', {}, 'From', fromInput), el('label', {}, 'To', toInput), complaint,
  el('button', { class: 'primary' }, 'Apply'), el('p', { class: 'hint' }, `2026-01-31 08:00 or now-6h. Times are ${zone()}. Drag over a chart to zoom in.`));
  box.append(el('div', { class: 'timebox' }, quick, form));
}

const shown = (text) => (/^\d{9,14}$/.test(text) ? stamp(resolveOne(text)) : text);
const resolveOne = (text) => (text.length > 11 ? Number(text) : Number(text) * 1000);

/** absolute makes what was typed fit the address: local dates become milliseconds, so that the link means the same elsewhere. */
function absolute(text) {
  const typed = text.trim();
  const date = /^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?$/.test(typed) ? new Date(typed.length === 10 ? `${typed}T00:00` : typed.replace(' ', 'T')) : null;
  return date && !Number.isNaN(date.getTime()) ? String(date.getTime()) : typed;
}

function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'local time';
}
