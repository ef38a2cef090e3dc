// A panel: its frame, its state (waiting, drawn, empty, failed) and the choice of what draws it.
import { cut, el, icon, keepPlace } from './dom.js';
import { popover } from './popover.js';
import { runPanel } from './query.js';
import { scopeOf } from './interpolate.js';
import { vmuiLink, viewQuery } from './url.js';
import { linkURL } from './link.js';
import { drawStat } from './panels/stat.js';
import { drawTimeseries } from './panels/timeseries.js';
import { drawTable } from './panels/table.js';
import { drawBars } from './panels/bars.js';
import { drawText } from './panels/text.js';
import { drawStates } from './panels/states.js';

const DRAW = { stat: drawStat, timeseries: drawTimeseries, graph: drawTimeseries, table: drawTable, bargauge: drawBars, gauge: drawBars, text: drawText, 'state-timeline': drawStates, 'status-history': drawStates };

export class Panel {
  /**
   * ctx is the dashboard as a panel sees it: range, view, vars(name), text(s), palette(), marks(), explainer, setRange(from, to), zoomOut(), filtered(), clearFilters().
   */
  constructor(model, ctx) {
    this.model = model;
    this.ctx = ctx;
    this.hidden = new Set(); // series switched off in the legend
    this.body = el('div', { class: 'body' });
    this.head = el('header', {});
    this.element = el('section', { class: `panel ${model.type}`, dataset: { panel: model.id ?? '', title: model.title ?? '' }, 'aria-label': model.title || model.type }, this.head, this.body);
    const { x = 0, y = 0, w = 24, h = 8 } = model.gridPos ?? {};
    for (const [k, v] of Object.entries({ x, y, w, h })) this.element.style.setProperty(`--${k}`, v);
    this.element.classList.toggle('small', w <= 6);
    this.element.classList.toggle('half', w > 6 && w <= 12);
    this.visible = false;
    this.stale = true;
    this.drawHead();
  }

  /** seen is told by the dashboard; a panel asks for data when it is first in sight, or in sight again after a change. */
  seen(visible) {
    this.visible = visible;
    if (visible && this.stale) this.load();
  }

  invalidate() {
    this.stale = true;
    if (this.visible) this.load();
  }

  redraw() {
    if (this.result) this.draw(this.result);
  }

  async load() {
    this.stale = false;
    this.abort?.abort();
    const abort = this.abort = new AbortController();
    this.element.dataset.state = 'loading';
    try {
      if (this.model.type === 'text') return this.draw({ series: [], errors: [], queries: [], range: this.ctx.range, scope: scopeOf(this.ctx.range, this.ctx.vars, 15) });
      const result = await runPanel(this.model, this.ctx, this.body.clientWidth || 600, abort.signal);
      if (abort.signal.aborted) return;
      this.result = result;
      await this.draw(result);
    } catch (err) {
      if (!abort.signal.aborted) this.fail([{ message: err.message }]);
    }
  }

  async draw(result) {
    const { model, ctx } = this;
    this.drawHead(result);
    const draw = DRAW[model.type];
    if (result.errors.length > 0 && result.series.length === 0) return this.fail(result.errors);
    if (!draw) return this.message('unknown', `This page does not draw “${model.type}” panels`, 'Grafana does; the query opens in vmui.', result);
    const nothing = result.series.every((s) => s.values.every((v) => Number.isNaN(v)));
    if (model.type !== 'text' && nothing) return this.empty(result);
    const restore = keepPlace(this.body);
    this.clear();
    this.undraw = draw(this.body, { model, ctx, result, hidden: this.hidden, redraw: () => this.redraw() });
    if (result.errors.length > 0) this.body.append(el('p', { class: 'strip bad', role: 'alert' }, icon('warn'), result.errors.map((e) => `Query ${e.refId}: ${e.message}`).join(' ')));
    if (result.left) this.body.append(el('p', { class: 'strip' }, `${result.left} more series are not drawn: narrow the selection.`));
    restore();
    this.element.dataset.state = 'drawn';
    this.element.dataset.drawn ??= String(Math.round(performance.now())); // when the first figures stood on the page, in milliseconds
  }

  async empty(result) {
    const quiet = this.model.fieldConfig?.defaults?.noValue;
    if (quiet) return this.message('empty', quiet, '', result);
    const why = await this.ctx.explainer.explain(result.queries, result.range);
    if (this.result !== result) return;
    this.message('empty', why.title, why.text, result);
    if (why.filters && this.ctx.filtered()) {
      this.body.querySelector('.message').append(el('button', { type: 'button', onclick: () => this.ctx.clearFilters() }, 'Clear the filters'));
    }
  }

  fail(errors) {
    this.clear();
    this.element.dataset.state = 'error';
    this.body.append(el('div', { class: 'message bad', role: 'alert' }, el('strong', {}, icon('warn'), 'The query failed'),
      [...new Set(errors.map((e) => e.message))].map((m) => el('p', {}, m)),
      errors.filter((e) => e.expr).slice(0, 1).map((e) => el('code', { title: e.expr }, cut(e.expr, 300)))));
  }

  message(state, title, text, result) {
    this.clear();
    this.element.dataset.state = state;
    this.body.append(el('div', { class: 'message' }, el('strong', {}, title), text && el('p', {}, text)));
  }

  clear() {
    this.undraw?.();
    this.undraw = null;
    this.body.replaceChildren();
  }

  drawHead(result) {
    const { model, ctx } = this;
    if (this.head.hasChildNodes() && (this.headFor === result || this.head.querySelector('.popover'))) return;
    this.headFor = result;
    const title = ctx.text(model.title ?? '');
    const tools = el('span', { class: 'tools' });
    if (model.description) {
      const info = el('button', { type: 'button', class: 'plain', 'aria-label': `About ${title}`, title: 'About this panel' }, icon('info'));
      popover(info, (box) => box.append(el('div', { class: 'about' }, ctx.text(model.description).split(/\n+/).map((l) => el('p', {}, l)))), { label: `About ${title}`, align: 'right' });
      tools.append(el('span', { class: 'anchor' }, info));
    }
    if (result?.queries.length) tools.append(el('a', { class: 'plain', href: vmuiLink(result.queries.map((q) => q.expr), result.range), 'aria-label': `Queries of ${title} in vmui`, title: 'Open the queries in vmui' }, icon('query')));
    if (model.type !== 'text' && model.id !== undefined) {
      const alone = ctx.view.viewPanel === String(model.id);
      const view = { ...ctx.view, viewPanel: alone ? null : String(model.id) };
      tools.append(el('a', { class: 'plain', href: location.pathname + viewQuery(view), 'aria-label': alone ? 'Back to all panels' : `${title} alone`, title: alone ? 'Back to all panels' : 'This panel alone' }, icon('expand')));
    }
    const links = (model.links ?? []).map((l) => {
      const href = l.url && linkURL(l.url, {}, ctx.view, scopeOf(ctx.range, ctx.vars, 15));
      return href && el('a', { class: 'plain', href }, l.title || 'More');
    });
    this.head.replaceChildren(el('h3', { title }, title), ...links.filter(Boolean), tools);
  }
}
