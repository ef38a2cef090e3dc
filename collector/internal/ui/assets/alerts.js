// The alerts page: what fires, what is about to, what is silenced and by whom, what can not fire; worst first, each with its runbook and its dashboard.
import { apiData } from './api.js';
import { countFiring } from './chrome.js';
import { cut, el, icon, keepPlace, safeURL } from './dom.js';
import { bind } from './keys.js';
import { noisyRules, notArmed, readRules } from './ruleset.js';
import { cell, pair, sheet, tabs } from './sheet.js';
import { drawSilences, matches, openSilence, readInhibited, readSilences } from './silences.js';
import { ago, stamp } from './time.js';
import { at } from './url.js';

const REFRESH_MS = 15000;
const RANK = { critical: 0, page: 0, error: 1, warning: 2, info: 3, none: 4 };
const STATES = ['all', 'firing', 'pending', 'silenced', 'unarmed'];
const WHERE = ['project', 'idc', 'cluster', 'node', 'namespace', 'workload', 'pod', 'container'];
const MOST_ROWS = 300;

export async function showAlerts(root) {
  const query = new URLSearchParams(location.search);
  const search = el('input', { type: 'search', placeholder: 'Filter: text in any label', 'aria-label': 'Filter alerts', value: query.get('q') ?? '' });
  const count = el('span', { class: 'hint', role: 'status' });
  const states = el('div', {});
  const body = el('div', { class: 'page-body' });
  const silences = el('div', { class: 'page-body', id: 'silences' });
  root.replaceChildren(el('div', { class: 'toolbar' }, el('h1', {}, 'Alerts'), states, search, count), body, silences, el('div', { class: 'page-body' }, noisyRules()));
  let state = STATES.includes(query.get('state')) ? query.get('state') : 'all';
  let known = null; // {alerts, rules, silences, silenceError}

  function draw() {
    const wanted = search.value.toLowerCase();
    const has = (a) => JSON.stringify([a.labels, a.annotations, a.state]).toLowerCase().includes(wanted);
    const of = (s) => known.alerts.filter((a) => s === 'all' || a.shown === s);
    const shown = of(state).filter(has);
    const unarmed = known.rules?.unarmed.length ?? 0;
    const restore = keepPlace(root);
    states.replaceChildren(tabs('State', [['all', 'All ', el('b', {}, String(known.alerts.length))], ['firing', 'Firing ', tally(of('firing'))], ['pending', 'Pending ', tally(of('pending'))],
      ['silenced', 'Silenced ', tally(of('silenced'))], ['unarmed', 'Not armed ', el('b', {}, String(unarmed))]], state, (s) => { state = s; address(); draw(); }));
    count.textContent = wanted && state !== 'unarmed' ? `${shown.length} match` : '';
    body.replaceChildren(state === 'unarmed' ? notArmed(known.rules, wanted) : shown.length ? table(shown, silence) : nothing(state, wanted, known));
    silences.replaceChildren(...drawSilences(known, load));
    restore();
  }

  function silence(alert) {
    openSilence(alert, known.alerts, load);
  }

  async function load() {
    try {
      const [data, rules, quiet, inhibited] = await Promise.all([apiData('/api/v1/alerts'), readRules(), readSilences(), readInhibited()]);
      const alerts = data.alerts.filter((a) => a.labels.alertname !== 'Watchdog'); // it always fires: it proves the path works
      for (const a of alerts) {
        a.silence = quiet.list.find((s) => s.status.state === 'active' && matches(s.matchers, a.labels)) ?? null;
        a.inhibited = inhibited(a.labels);
        a.shown = a.silence ? 'silenced' : a.state;
      }
      known = { alerts: alerts.sort(worstFirst), rules, silences: quiet.list, silenceError: quiet.error };
      draw();
    } catch (err) {
      body.replaceChildren(el('div', { class: 'message bad', role: 'alert' }, el('strong', {}, icon('warn'), 'Alerts could not be read'), el('p', {}, err.message)));
    }
  }

  function address() {
    const next = new URLSearchParams();
    if (state !== 'all') next.set('state', state);
    if (search.value) next.set('q', search.value);
    history.replaceState(null, '', next.size ? `?${next}` : location.pathname);
  }

  search.addEventListener('input', () => { address(); if (known) draw(); });
  bind('/', 'Filter', () => search.focus());
  bind('r', 'Refresh now', load);
  await load();
  setInterval(() => { if (!document.hidden && !document.querySelector('dialog[open]')) { load(); countFiring(); } }, REFRESH_MS);
}

const tally = (alerts) => el('b', { class: alerts.some((a) => a.shown === 'firing') ? 'bad' : null }, String(alerts.length));

function worstFirst(a, b) {
  const rank = (x) => ({ firing: 0, pending: 10, silenced: 20 })[x.shown] + (RANK[x.labels.severity] ?? 3);
  return rank(a) - rank(b) || Date.parse(b.activeAt) - Date.parse(a.activeAt);
}

/** nothing tells "all is well" from "nobody looks": it names the rules and when they last ran. */
function nothing(state, wanted, { rules, alerts }) {
  if (wanted) return el('div', { class: 'message' }, el('strong', {}, 'No alert matches this filter'), el('p', {}, 'It looks for the text in every label, in what the alert says, and in its state.'));
  if (alerts.length > 0) return el('div', { class: 'message' }, el('strong', {}, `No alert is ${state}`), el('p', {}, 'All shows the others.'));
  const lines = !rules ? ['The collector did not say how many rules it evaluates.']
    : rules.count === 0 ? ['No alert rules are loaded, so nothing can fire: see --rules and --rules.builtin.']
      : [`${rules.count} alert ${rules.count === 1 ? 'rule is' : 'rules are'} loaded${rules.last > 0 ? `, last evaluated ${ago(rules.last)}` : ''}.`, rules.failing ? `${rules.failing} of them fail: see /api/v1/rules.` : ''];
  return el('div', { class: 'message' }, el('strong', {}, 'Nothing is firing'), lines.filter(Boolean).map((l) => el('p', {}, l)));
}

function table(alerts, silence) {
  const columns = ['Severity', 'Alert', 'Where', 'Since', 'What', 'Go to', 'Silence'].map((label) => ({ label }));
  const list = sheet('Alerts', columns, alerts.slice(0, MOST_ROWS).map((a) => row(a, silence)));
  const left = alerts.length - MOST_ROWS;
  return left > 0 ? el('div', {}, list, el('p', { class: 'strip' }, `${left} more are not shown: filter for a project or a cluster.`)) : list;
}

function row(alert, silence) {
  const { labels, annotations = {}, activeAt, value } = alert;
  const where = WHERE.filter((l) => labels[l]).map((l) => pair(l, labels[l]));
  const what = annotations.summary || annotations.description || (value !== undefined && `value ${value}`) || '';
  const since = Date.parse(activeAt);
  const links = [link(annotations.runbook_url, 'Runbook'), link(annotations.dashboard_url, 'Dashboard')];
  return [
    cell('', {}, chip(alert)),
    cell('', {}, el('strong', { title: labels.alertname }, cut(labels.alertname ?? 'unnamed', 80))),
    cell('pairs', {}, where.length ? where : '–'),
    cell('', { title: since ? stamp(since) : null }, since ? ago(since) : '–'),
    cell('text', { title: [annotations.summary, annotations.description].filter(Boolean).join('\n') }, cut(what, 200)),
    cell('links', {}, links.filter(Boolean)),
    cell('', {}, alert.silence ? el('span', { class: 'hint', title: alert.silence.comment }, `by ${cut(alert.silence.createdBy, 30)}, ends ${ago(Date.parse(alert.silence.endsAt))}`)
      : el('button', { type: 'button', class: 'secondary silence', 'aria-label': `Silence ${labels.alertname ?? 'this alert'}`, onclick: () => silence(alert) }, icon('mute'), 'Silence')),
  ];
}

/** chip is the severity, coloured while somebody should look, and what keeps it from being told. */
function chip({ labels, shown, inhibited }) {
  const severity = labels.severity ?? 'none';
  const loud = shown === 'firing' && !inhibited;
  const tone = !loud ? '' : RANK[severity] <= 1 ? 'bad' : severity === 'warning' ? 'warn' : '';
  const why = shown !== 'firing' ? `, ${shown}` : inhibited ? ', inhibited' : '';
  return el('span', { class: `chip ${tone}`, title: inhibited ? 'Not told: a greater alert, such as a lost cluster, explains it' : null }, tone ? icon('warn') : null, severity + why);
}

/** A link to one of our own pages is followed on this server, whatever outer name the collector was given. */
function link(url, text) {
  if (!url || !safeURL(url)) return null;
  const { pathname, search } = new URL(url, location.origin);
  const own = /\/(?:runbooks\/[^/]+|d\/cont-[^/]+)$/.exec(pathname);
  return el('a', { href: own ? at(own[0]) + search : safeURL(url) }, text);
}
