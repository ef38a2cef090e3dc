// The exits page: which containers ended, how and after how long, newest first, each with the way to its charts at that time.
import { apiData, getJSON } from './api.js';
import { cut, el, icon, keepPlace } from './dom.js';
import { formatText } from './format.js';
import { bind } from './keys.js';
import { cell, pair, sheet, tabs } from './sheet.js';
import { ago, stamp } from './time.js';
import { dashboardLink } from './url.js';

const REFRESH_MS = 30000;
const MOST_ROWS = 500;
const BEFORE_MS = 30 * 60000; // of a container's last half hour: what led there
const AFTER_MS = 5 * 60000;
const LEAST_MS = 2 * 60000; // before the start of a short-lived one
const SINCE = [['15m', '15 minutes'], ['1h', 'hour'], ['6h', '6 hours'], ['24h', '24 hours'], ['7d', '7 days'], ['30d', '30 days']];
const REASONS = { completed: 'completed', error: 'error', signalled: 'signalled', oom_killed: 'OOM-killed', unknown: 'unknown' };
const KINDS = [['all', 'All'], ['crashed', 'Crashed'], ['short', 'Short-lived']];
const TEXTS = ['project', 'workload', 'container', 'node'];
const PLACE = ['project', 'workload', 'namespace', 'pod', 'node', 'cluster', 'idc'];

export async function showExits(root) {
  const query = new URLSearchParams(location.search);
  const view = { since: query.get('since') ?? '24h', kind: query.get('kind') ?? 'all', reason: query.get('reason') ?? '' };
  for (const name of TEXTS) view[name] = query.get(name) ?? '';
  const count = el('span', { class: 'hint', role: 'status' });
  const choices = el('div', {});
  const form = el('form', { class: 'filters', role: 'search', 'aria-label': 'Filter exits', onsubmit: (e) => { e.preventDefault(); read(); } });
  const inputs = fillForm(form, view, read);
  const body = el('div', { class: 'page-body' });
  root.replaceChildren(el('div', { class: 'toolbar' }, el('h1', {}, 'Exits'), choices, form, count), body);
  let answer = null; // {data, truncated, counts}

  function read() {
    for (const [name, input] of Object.entries(inputs)) view[name] = input.value.trim();
    address();
    return load();
  }

  function address() {
    const next = new URLSearchParams();
    for (const [name, value] of Object.entries(view)) if (value && !(name === 'kind' && value === 'all')) next.set(name, value);
    history.replaceState(null, '', `?${next}`);
  }

  async function load() {
    try {
      answer = await getJSON('/api/exits', { ...Object.fromEntries(Object.entries(view).filter(([, v]) => v)), limit: MOST_ROWS });
      await draw();
    } catch (err) {
      count.textContent = '';
      body.replaceChildren(el('div', { class: 'message bad', role: 'alert' }, el('strong', {}, icon('warn'), 'Exits could not be read'), el('p', {}, err.message)));
    }
  }

  async function draw() {
    const { data: exits, counts, truncated } = answer;
    choices.replaceChildren(tabs('Kind', KINDS.map(([kind, text]) => [kind, `${text} `, el('b', {}, String(counts[kind] ?? 0))]), view.kind, (kind) => { view.kind = kind; address(); load(); }));
    count.textContent = truncated ? `The newest ${MOST_ROWS} are shown: narrow the filter or the time.` : '';
    suggest(form, exits);
    const filtered = TEXTS.some((t) => view[t]) || view.reason;
    const restore = keepPlace(body);
    body.replaceChildren(exits.length ? table(exits) : await nothing(view, counts.all ?? 0, filtered, clear));
    restore();
  }

  function clear() {
    for (const name of [...TEXTS, 'reason']) inputs[name].value = '';
    view.kind = 'all';
    return read();
  }

  bind('/', 'Filter', () => inputs.project.focus());
  bind('r', 'Refresh now', load);
  await load();
  setInterval(() => { if (!document.hidden) load(); }, REFRESH_MS);
}

/** fillForm makes the fields; the address decides what they hold, an unknown value of a list too, so that the page can say what is wrong with it. */
function fillForm(form, view, read) {
  const inputs = {};
  const list = (name, label, options) => {
    const all = view[name] && !options.some(([v]) => v === view[name]) ? [...options, [view[name], view[name]]] : options;
    inputs[name] = el('select', { name, 'aria-label': label, onchange: read }, all.map(([value, text]) => el('option', { value, selected: value === view[name] }, text)));
  };
  list('since', 'Time', SINCE.map(([v, text]) => [v, `Last ${text}`]));
  list('reason', 'Reason', [['', 'Any reason'], ...Object.entries(REASONS)]);
  for (const name of TEXTS) inputs[name] = el('input', { name, value: view[name], placeholder: name, 'aria-label': name, list: `known-${name}`, spellcheck: 'false', autocomplete: 'off', onchange: read });
  form.append(...Object.values(inputs), ...TEXTS.map((name) => el('datalist', { id: `known-${name}` })));
  return inputs;
}

function suggest(form, exits) {
  for (const name of TEXTS) form.querySelector(`#known-${name}`).replaceChildren(...[...new Set(exits.map((e) => e[name]).filter(Boolean))].slice(0, 100).map((value) => el('option', { value })));
}

/** nothing says why the page is empty: a filter, a quiet hour, or nobody who would tell. */
async function nothing(view, known, filtered, clear) {
  const time = SINCE.find(([v]) => v === view.since)?.[1] ?? view.since;
  if (filtered || known > 0) {
    return el('div', { class: 'message' }, el('strong', {}, 'No exit matches this choice'), el('p', {}, `In the last ${time}. Filters compare whole values.`),
      el('button', { type: 'button', onclick: clear }, 'Show all exits'));
  }
  const nodes = await apiData('/api/nodes').catch(() => null);
  const lines = nodes?.length === 0 ? ['No agent has sent anything yet, and agents are who records exits: start one where containers run.']
    : [nodes ? `${nodes.length} ${nodes.length === 1 ? 'agent tells' : 'agents tell'} of every end as it happens; this is what a quiet time looks like.` : '', 'Containers that ended before an agent ran are not known.'];
  return el('div', { class: 'message' }, el('strong', {}, `No container ended in the last ${time}`), lines.filter(Boolean).map((l) => el('p', {}, l)));
}

function table(exits) {
  const columns = [{ label: 'When' }, { label: 'Container' }, { label: 'Reason' }, { label: 'Ran for', number: true }, { label: 'CPU time', number: true }, { label: 'Memory peak', number: true }, { label: 'Where' }];
  return sheet('Exits', columns, exits.map(row));
}

function row(e) {
  const end = Date.parse(e.end);
  const name = e.container || e.name || e.id || 'unnamed';
  const place = PLACE.filter((l) => e[l]).map((l) => pair(l, e[l]));
  const code = e.exit_code === undefined ? '' : e.signal ? `, signal ${e.signal}` : `, code ${e.exit_code}`;
  return [
    cell('', { title: ago(end) }, stamp(end)),
    cell('', { title: `${name}\n${e.image ?? ''}` }, el('a', { href: chartsOf(e) }, cut(name, 80))),
    cell('', {}, el('span', { class: `chip ${e.reason === 'oom_killed' ? 'bad' : e.crashed ? 'warn' : ''}` }, e.crashed ? icon('warn') : null, (REASONS[e.reason] ?? cut(e.reason, 40)) + code)),
    cell('number', {}, amount(e.runtime_seconds, 's')),
    cell('number', {}, amount(e.cpu_seconds, 's')),
    cell('number', {}, amount(e.memory_peak_bytes, 'bytes')),
    cell('pairs', {}, place.length ? place : '–'),
  ];
}

const amount = (v, unit) => (v === undefined ? '–' : formatText(v, unit));

/** chartsOf leads to the container's dashboard around its death. */
function chartsOf(e) {
  const end = Date.parse(e.end);
  const start = e.start ? Date.parse(e.start) - LEAST_MS : -Infinity;
  const vars = ['project', 'idc', 'cluster', 'node', 'namespace', 'workload', 'pod', 'container'].filter((l) => e[l]).map((l) => [l, [e[l]]]);
  return dashboardLink('cont-container', { from: String(Math.max(end - BEFORE_MS, start)), to: String(end + AFTER_MS), vars });
}
