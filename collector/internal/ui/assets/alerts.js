// The alerts page: what fires and what is about to, worst first, each with its runbook and its dashboard; below, which rules cry wolf.
import { apiData } from './api.js';
import { countFiring } from './chrome.js';
import { cut, el, icon, safeURL } from './dom.js';
import { ago, stamp } from './time.js';

const REFRESH_MS = 15000;
const MOST_NOISY = 20;
const RANK = { critical: 0, page: 0, error: 1, warning: 2, info: 3, none: 4 };
const WHERE = ['project', 'idc', 'cluster', 'node', 'namespace', 'workload', 'pod', 'container'];

export async function showAlerts(root) {
  const query = new URLSearchParams(location.search);
  const search = el('input', { type: 'search', placeholder: 'Filter: text in any label', 'aria-label': 'Filter alerts', value: query.get('q') ?? '' });
  const count = el('span', { class: 'hint', role: 'status' });
  const body = el('div', { class: 'page-body' });
  root.replaceChildren(el('div', { class: 'toolbar' }, el('h1', {}, 'Alerts'), search, count), body);
  const noisy = noisyRules();
  let alerts = [];
  let rules = null;
  let unarmedOpen = false; // what the reader unfolded stays so when the page is drawn again

  function draw() {
    const wanted = search.value.toLowerCase();
    const shown = alerts.filter((a) => JSON.stringify([a.labels, a.annotations, a.state]).toLowerCase().includes(wanted));
    const firing = alerts.filter((a) => a.state === 'firing').length;
    count.textContent = `${firing} firing, ${alerts.length - firing} pending${wanted ? `; ${shown.length} match` : ''}`;
    body.replaceChildren(shown.length ? table(shown) : nothing(wanted, rules), ...notArmed(rules, unarmedOpen, (open) => { unarmedOpen = open; }), noisy);
  }

  async function load() {
    try {
      const data = await apiData('/api/v1/alerts');
      alerts = data.alerts.filter((a) => a.labels.alertname !== 'Watchdog').sort(worstFirst); // it always fires: it proves the path works
      rules = await ruleCount();
      draw();
    } catch (err) {
      body.replaceChildren(el('div', { class: 'message bad', role: 'alert' }, el('strong', {}, icon('warn'), 'Alerts could not be read'), el('p', {}, err.message)));
    }
  }

  search.addEventListener('input', () => {
    history.replaceState(null, '', search.value ? `?q=${encodeURIComponent(search.value)}` : location.pathname);
    draw();
  });
  await load();
  setInterval(() => { if (!document.hidden) { load(); countFiring(); } }, REFRESH_MS);
}

function worstFirst(a, b) {
  const rank = (x) => (x.state === 'firing' ? 0 : 10) + (RANK[x.labels.severity] ?? 3);
  return rank(a) - rank(b) || Date.parse(b.activeAt) - Date.parse(a.activeAt);
}

async function ruleCount() {
  try {
    const { groups } = await apiData('/api/v1/rules', { type: 'alert' });
    const rules = groups.flatMap((g) => g.rules).filter((r) => r.type === 'alerting');
    const last = Math.max(...rules.map((r) => Date.parse(r.lastEvaluation) || 0));
    return { count: rules.length, last, failing: rules.filter((r) => r.health === 'err').length, unarmed: rules.filter((r) => r.armed === false) };
  } catch (_) {
    return null;
  }
}

/** nothing tells "all is well" from "nobody looks": it names the rules and when they last ran. */
function nothing(wanted, rules) {
  if (wanted) return el('div', { class: 'message' }, el('strong', {}, 'No alert matches this filter'));
  const lines = !rules ? ['The collector did not say how many rules it evaluates.']
    : rules.count === 0 ? ['No alert rules are loaded, so nothing can fire: see --rules and --rules.builtin.']
      : [`${rules.count} alert ${rules.count === 1 ? 'rule is' : 'rules are'} loaded${rules.last > 0 ? `, last evaluated ${ago(rules.last)}` : ''}.`, rules.failing ? `${rules.failing} of them fail: see /api/v1/rules.` : ''];
  return el('div', { class: 'message' }, el('strong', {}, 'Nothing is firing'), lines.filter(Boolean).map((l) => el('p', {}, l)));
}

/** notArmed lists the rules that can not fire because an input has no series, and what would bring it. */
function notArmed(rules, open, toggled) {
  if (!rules?.unarmed.length) return [];
  const needs = (r) => (r.missing ?? []).map((m) => `needs ${m.selector}${m.hint ? `: ${m.hint}` : ''}`);
  const list = el('details', { class: 'unarmed', open: open ? '' : null },
    el('summary', {}, `${rules.unarmed.length} of ${rules.count} alert rules are not armed: nothing delivers what they look at`),
    el('ul', {}, rules.unarmed.map((r) => el('li', {}, el('strong', {}, cut(r.name, 80)), ` not armed: ${cut(needs(r).join('; '), 400)}`))));
  list.addEventListener('toggle', () => toggled(list.open));
  return [list];
}

/** noisyRules is filled when it is unfolded: the collector reads days for it. It is one element, which stays over every draw. */
function noisyRules() {
  const list = el('div', { role: 'status' });
  const fold = el('details', { class: 'noisy' }, el('summary', {}, 'Noisy rules of the last 5 days'), list);
  fold.addEventListener('toggle', async () => {
    if (!fold.open) return;
    list.textContent = 'Reading what fired…';
    try {
      const { rules } = await apiData('/api/alerts/noise', { window: '5d' });
      list.replaceChildren(rules.length ? el('ul', {}, rules.slice(0, MOST_NOISY).map(noise)) : 'No rule fired.');
    } catch (err) {
      list.textContent = `Noise could not be read: ${err.message}`;
    }
  });
  return fold;
}

function noise({ rule, severity, fired, short, silenced, neverActed, lastFired }) {
  const acted = neverActed ? 'never acted on: nobody made a silence while it fired' : `silenced ${silenced} of them`;
  return el('li', {}, el('strong', {}, cut(rule, 80)), ` ${severity || 'none'}: fired ${fired}×, ${short} shorter than 5 min, ${acted}; last ${ago(Date.parse(lastFired))}`);
}

function table(alerts) {
  const head = ['Severity', 'Alert', 'Where', 'Since', 'What', 'Go to'];
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Alerts' }, el('table', { class: 'data wide' },
    el('thead', {}, el('tr', {}, head.map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, alerts.map(row))));
}

function row({ labels, annotations = {}, state, activeAt, value }) {
  const severity = labels.severity ?? 'none';
  const tone = state !== 'firing' ? '' : RANK[severity] <= 1 ? 'bad' : severity === 'warning' ? 'warn' : '';
  const where = WHERE.filter((l) => labels[l]).map((l) => el('span', { class: 'pair', title: `${l}=${labels[l]}` }, el('small', {}, l), cut(labels[l], 60)));
  const what = annotations.summary || annotations.description || (value !== undefined && `value ${value}`) || '';
  const since = Date.parse(activeAt);
  const links = [link(annotations.runbook_url, 'Runbook'), link(annotations.dashboard_url, 'Dashboard')];
  return el('tr', {},
    el('td', {}, el('span', { class: `chip ${tone}` }, tone ? icon('warn') : null, state === 'firing' ? severity : `${severity}, pending`)),
    el('td', {}, el('strong', { title: labels.alertname }, cut(labels.alertname ?? 'unnamed', 80))),
    el('td', { class: 'pairs' }, where.length ? where : '–'),
    el('td', { title: since ? stamp(since) : null }, since ? ago(since) : '–'),
    el('td', { class: 'text', title: [annotations.summary, annotations.description].filter(Boolean).join('\n') }, cut(what, 200)),
    el('td', { class: 'links' }, links.filter(Boolean)));
}

/** A link to one of our own pages is followed on this server, whatever outer name the collector was given. */
function link(url, text) {
  const safe = url && safeURL(url);
  if (!safe) return null;
  const { pathname, search } = new URL(safe, location.origin);
  return el('a', { href: /^\/(runbooks\/|d\/cont-)/.test(pathname) ? pathname + search : safe }, text);
}
