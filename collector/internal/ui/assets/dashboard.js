// Shows one dashboard: reads its JSON, settles its variables, lays out its panels, keeps the address in step and refreshes.
import { getJSON } from './api.js';
import { bind } from './keys.js';
import { countFiring } from './chrome.js';
import { Palette } from './colors.js';
import { cut, el, icon } from './dom.js';
import { Explainer } from './empty.js';
import { interpolateText, scopeOf } from './interpolate.js';
import { layout } from './layout.js';
import { Marks } from './marks.js';
import { describeRange, durationMs, resolveRange } from './time.js';
import { Toolbar } from './toolbar.js';
import { readView, viewQuery } from './url.js';
import { ALL, Variables } from './variables.js';
import { shorterRange } from './young.js';

const SHORTEST_REFRESH_MS = 5000;

export async function showDashboard(root, uid) {
  const model = await getJSON(`/ui/dashboards/${encodeURIComponent(uid)}.json`);
  const dashboard = new Dashboard(root, model);
  await dashboard.start();
}

class Dashboard {
  constructor(root, model) {
    this.root = root;
    this.model = model;
    this.explainer = new Explainer();
    this.view = this.readAddress();
    this.variables = new Variables(model.templating?.list, this.view.vars);
    this.marks = new Marks(model.annotations?.list);
    this.problems = el('div', { class: 'problems', role: 'status' });
    this.toolbar = new Toolbar(this);
    this.palette = new Palette();
  }

  readAddress() {
    const { time = {}, refresh } = this.model;
    const view = readView();
    return { from: view.from ?? time.from ?? 'now-1h', to: view.to ?? time.to ?? 'now', refresh: view.refresh ?? (refresh || ''), viewPanel: view.viewPanel, vars: view.vars };
  }

  async start() {
    this.resolve();
    await this.variables.settle(this.scope());
    this.view.vars = new Map(this.variables.asQuery());
    const { element, panels } = layout(this.model, this.context(), this.view.viewPanel);
    this.panels = panels;
    this.root.replaceChildren(this.toolbar.element, this.problems, element);
    this.toolbar.draw();
    this.watch();
    this.schedule();
    this.readOptions();
    this.offerShorterRange();
    this.readMarks();
    this.keys();
    addEventListener('popstate', () => location.reload());
    document.addEventListener('themechange', () => { this.palette = new Palette(); this.panels.forEach((p) => p.redraw()); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden && this.missed) this.refresh(); });
  }

  /** resolve turns the view's two texts into a range; texts that make none are named in the page and the dashboard's own range is shown. */
  resolve() {
    try {
      this.range = resolveRange(this.view.from, this.view.to);
    } catch (err) {
      const { from = 'now-1h', to = 'now' } = this.model.time ?? {};
      this.problem(`${err.message} Showing ${from} to ${to} instead.`);
      Object.assign(this.view, { from, to });
      this.range = resolveRange(from, to);
    }
    if (this.view.refresh && durationMs(this.view.refresh) === null) {
      this.problem(`“${this.view.refresh}” is no refresh interval; write 30s or 1m. Refresh is off.`);
      this.view.refresh = '';
    }
  }

  problem(text, ...more) {
    this.problems.append(el('p', {}, icon('warn'), el('span', {}, text), ...more));
  }

  /** namesWithoutUse tells of variables in the address that no dashboard has: a link that was mistyped shows more than was meant. */
  async namesWithoutUse() {
    const strange = [...readView().vars.keys()].filter((name) => !this.variables.byName.has(name));
    if (strange.length === 0) return;
    const known = new Set((await getJSON('/ui/dashboards.json')).flatMap((d) => d.variables));
    for (const name of strange.filter((n) => !known.has(n))) this.problem(`The address sets a variable “${cut(name, 40)}”, which no dashboard has: nothing is filtered by it.`);
  }

  keys() {
    const shift = (share) => () => {
      const { from, to } = this.range;
      const end = Math.min(Date.now(), to + (to - from) * share);
      this.change({ from: String(Math.round(end - (to - from))), to: String(Math.round(end)) });
    };
    bind('r', 'Refresh now', () => this.refresh());
    bind('t', 'Choose the time', () => document.getElementById('range').click());
    bind('v', 'Choose the first variable', () => this.root.querySelector('[data-variable]')?.click());
    bind('[', 'Half a range back', shift(-0.5));
    bind(']', 'Half a range on', shift(0.5));
    bind('-', 'Zoom out', () => this.zoomOut());
    if (this.view.viewPanel !== null) bind('a', 'Show all panels', () => location.assign(location.pathname + viewQuery({ ...this.view, viewPanel: null })));
  }

  scope() {
    return scopeOf(this.range, this.variables.lookup, 15);
  }

  /** context is what a panel may see and do. */
  context() {
    const dashboard = this;
    return {
      get range() { return dashboard.range; },
      get view() { return dashboard.view; },
      vars: this.variables.lookup,
      text: (s) => interpolateText(s, this.scope()),
      palette: () => this.palette,
      marks: () => this.marks.shown(),
      explainer: this.explainer,
      setRange: (from, to) => this.change({ from: String(from), to: String(to) }),
      zoomOut: () => this.zoomOut(),
      filtered: () => this.variables.list.some((v) => v.includeAll && !v.values.includes(ALL)),
      clearFilters: () => this.clearFilters(),
    };
  }

  /** watch loads panels as they come into sight: what nobody looks at costs the engine nothing. */
  watch() {
    const seen = new IntersectionObserver((entries) => {
      for (const e of entries) this.panels.find((p) => p.element === e.target)?.seen(e.isIntersecting);
    }, { rootMargin: '200px' });
    for (const p of this.panels) seen.observe(p.element);
  }

  async readOptions() {
    await Promise.all([this.variables.loadOptions(this.scope()), this.namesWithoutUse().catch(() => null)]); // the hint is not worth a failure
    const failed = this.variables.list.filter((v) => v.error && !v.hidden);
    for (const error of new Set(failed.map((v) => v.error))) {
      this.problem(`The choices of ${failed.filter((v) => v.error === error).map((v) => v.label).join(', ')} could not be read: ${error}`);
    }
    this.tellStrangeValues();
    this.toolbar.drawVariables();
  }

  tellStrangeValues() {
    for (const { name, label, values } of this.variables.strange()) {
      const words = values.slice(0, 3).map((v) => `“${cut(v, 60)}”`).join(', ');
      this.problem(`No series in this time has ${label} ${words}${values.length > 3 ? ` and ${values.length - 3} more` : ''}.`, el('button', { type: 'button', onclick: () => this.root.querySelector(`[data-variable="${CSS.escape(name)}"]`).click() }, `Choose ${label}`));
    }
  }

  async readMarks() {
    await this.marks.load(this.range, this.variables.lookup);
    this.toolbar.drawMarks();
  }

  /** change sets fields of the view, keeps them in the address, and asks again. */
  change(fields) {
    Object.assign(this.view, fields);
    this.problems.replaceChildren();
    history.pushState(null, '', location.pathname + viewQuery(this.view));
    this.refresh();
    this.toolbar.draw();
    this.schedule();
  }

  async setVariable(name, values) {
    await this.variables.set(name, values, this.scope());
    this.change({ vars: new Map(this.variables.asQuery()) });
    this.tellStrangeValues();
  }

  clearFilters() {
    for (const v of this.variables.list) if (v.includeAll) v.values = [ALL];
    this.change({ vars: new Map(this.variables.asQuery()) });
    this.readOptions();
  }

  zoomOut() {
    const { from, to } = this.range;
    const half = to - from;
    const end = Math.min(Date.now(), Math.round(to + half / 2));
    this.change({ from: String(Math.round(end - 2 * half)), to: String(end) });
  }

  refresh() {
    this.missed = false;
    this.resolve();
    this.explainer.forget();
    this.panels.forEach((p) => p.invalidate());
    this.readMarks();
    countFiring();
  }

  schedule() {
    clearInterval(this.timer);
    const every = durationMs(this.view.refresh);
    if (!every) return;
    this.timer = setInterval(() => {
      if (document.hidden) this.missed = true; // nobody looks: catch up when somebody does
      else this.refresh();
    }, Math.max(SHORTEST_REFRESH_MS, every));
  }

  /** offerShorterRange helps who has just connected a fleet: an hour that is empty but for its end is no view. */
  async offerShorterRange() {
    if (this.view.to !== 'now') return;
    const shorter = await shorterRange(this.range).catch(() => null); // only an offer
    if (!shorter) return;
    this.problems.append(el('p', { class: 'young' }, icon('clock'), 'The data begin only a short while ago. ',
      el('button', { type: 'button', onclick: () => this.change({ from: shorter, to: 'now' }) }, `Show the ${describeRange(shorter, 'now').toLowerCase()}`)));
  }
}
