// The nodes page: who sends, how fresh and complete it is, and what its agent's doctor would say.
import { apiData } from './api.js';
import { cut, el, icon, keepPlace } from './dom.js';
import { readFindings } from './findings.js';
import { formatText } from './format.js';
import { sorted } from './frame.js';
import { bind } from './keys.js';
import { cell, sheet } from './sheet.js';
import { ago, stamp } from './time.js';
import { at, dashboardLink } from './url.js';

const REFRESH_MS = 15000;
const LATE_SECONDS = 60;
const SILENT_SECONDS = 180; // as the alert on silent agents
const SKEW_SECONDS = 2;
const MOST_ROWS = 500;

/** What is shown of a node; a column is left out where no node has it. number is its unit. */
const COLUMNS = [
  { key: 'node', label: 'Node' }, { key: 'idc', label: 'IDC' }, { key: 'cluster', label: 'Cluster' },
  { key: 'age', label: 'Last data', unit: 's' }, { key: 'findings', label: 'Doctor says' },
  { key: 'containers', label: 'Containers', unit: 'short' }, { key: 'series', label: 'Series', unit: 'short', title: 'Distinct series of the last hour' }, { key: 'lag_seconds', label: 'Behind', unit: 's' },
  { key: 'missing_batches', label: 'Gaps', unit: 'short', title: 'Batches that will not come: dropped at the agent’s bounds, refused, or lost with its disk' },
  { key: 'late_batches', label: 'Late', unit: 'short', title: 'Batches that newer ones have overtaken and that are still to come' },
  { key: 'samples_dropped', label: 'Dropped, 1 h', unit: 'short', title: 'Samples the agent gave up: its spool was full or the collector refused them' },
  { key: 'spool_bytes', label: 'Spool', unit: 'bytes', title: 'What the agent keeps on its disk' },
  { key: 'clock_skew_seconds', label: 'Clock', unit: 's', title: 'By how much the node’s clock is ahead of the collector’s' },
  { key: 'agent_version', label: 'Agent' },
];

/** What agents say about themselves. */
const FIGURES = {
  containers: 'max by (idc, cluster, node) (plimsoll_agent_containers)',
  spool_bytes: 'max by (idc, cluster, node) (plimsoll_agent_spool_bytes)',
  samples_dropped: 'sum by (idc, cluster, node) (increase(plimsoll_agent_samples_dropped_total[1h]))',
};
const MISSING = 'plimsoll_collector_agent_missing > 0'; // expected, and never heard of

export async function showNodes(root) {
  const search = el('input', { type: 'search', placeholder: 'Filter: text in any column', 'aria-label': 'Filter nodes', value: new URLSearchParams(location.search).get('q') ?? '' });
  const count = el('span', { class: 'hint', role: 'status' });
  const body = el('div', { class: 'page-body' });
  root.replaceChildren(el('div', { class: 'toolbar' }, el('h1', {}, 'Nodes'), search, count), body);
  const order = { field: 'trouble', desc: true };
  let nodes = [];

  async function load() {
    try {
      nodes = await readNodes();
      draw();
    } catch (err) {
      body.replaceChildren(el('div', { class: 'message bad', role: 'alert' }, el('strong', {}, icon('warn'), 'Nodes could not be read'), el('p', {}, err.message)));
    }
  }

  function draw() {
    count.textContent = nodes.length ? summary(nodes) : '';
    const wanted = search.value.toLowerCase();
    const found = nodes.filter((n) => JSON.stringify(n).toLowerCase().includes(wanted));
    if (found.length === 0) return body.replaceChildren(nodes.length ? el('div', { class: 'message' }, el('strong', {}, 'No node matches this filter')) : nobody());
    const columns = COLUMNS.filter((c) => nodes.some((n) => n[c.key] !== undefined));
    const press = (c) => () => {
      order.desc = order.field === c.key ? !order.desc : Boolean(c.unit);
      order.field = c.key;
      draw();
    };
    const heads = columns.map((c) => ({ ...c, number: Boolean(c.unit), sort: order.field !== c.key ? null : order.desc ? 'descending' : 'ascending', press: press(c) }));
    const { rows } = sorted({ fields: [...columns.map((c) => ({ name: c.key, label: c.key })), { name: 'trouble', label: 'trouble' }], rows: found }, order);
    const newest = usualVersion(nodes);
    const restore = keepPlace(body);
    body.replaceChildren(sheet('Nodes', heads, rows.slice(0, MOST_ROWS).map((n) => columns.map((c) => draws(n, c, newest)))),
      rows.length > MOST_ROWS ? el('p', { class: 'strip' }, `${rows.length - MOST_ROWS} more are not shown: filter for a cluster.`) : '');
    restore();
  }

  search.addEventListener('input', () => {
    history.replaceState(null, '', search.value ? `?q=${encodeURIComponent(search.value)}` : location.pathname);
    draw();
  });
  bind('/', 'Filter', () => search.focus());
  bind('r', 'Refresh now', load);
  await load();
  setInterval(() => { if (!document.hidden) load(); }, REFRESH_MS);
}

function summary(nodes) {
  const silent = nodes.filter((n) => n.age === undefined || n.age > SILENT_SECONDS).length;
  const partly = nodes.filter((n) => n.findings.length > 0).length;
  const versions = new Set(nodes.map((n) => n.agent_version).filter(Boolean)).size;
  return `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}, ${silent} silent, ${partly} with findings${versions > 1 ? `, ${versions} agent versions` : ''}`;
}

function nobody() {
  return el('div', { class: 'message' }, el('strong', {}, 'No agent has sent anything yet'),
    el('p', {}, `Start one where containers run: plimsoll-agent --remote-write.url=${location.origin}${at('/api/v1/write')}`),
    el('p', {}, 'plimsoll-agent doctor says what it can and cannot see, and whether it reaches this collector.'));
}

/** usualVersion is what most agents run; the others are marked. */
function usualVersion(nodes) {
  const uses = new Map();
  for (const { agent_version: v } of nodes) if (v) uses.set(v, (uses.get(v) ?? 0) + 1);
  return [...uses].sort((a, b) => b[1] - a[1])[0]?.[0];
}

/** readNodes joins the collector's list, which knows every node that ever sent, with the agents' latest figures and findings. */
async function readNodes() {
  const keys = Object.keys(FIGURES);
  const [list, findings, missing, ...figures] = await Promise.all([apiData('/api/nodes'), readFindings(), ask(MISSING), ...keys.map((k) => ask(FIGURES[k]))]);
  const nodes = new Map([...missing.map(({ metric: { idc, cluster, node } }) => ({ idc, cluster, node })), ...list].map((n) => [id(n), normal(n)]));
  figures.forEach((rows, i) => {
    for (const r of rows) Object.assign(nodes.get(id(r.metric)) ?? {}, { [keys[i]]: Number(r.value[1]) });
  });
  for (const { node, ...finding } of findings) nodes.get(id(node))?.findings.push(finding);
  for (const n of nodes.values()) n.trouble = n.age === undefined ? Infinity : (n.age > LATE_SECONDS ? n.age : 0) + n.findings.length;
  return [...nodes.values()];
}

const id = ({ idc = '', cluster = '', node }) => JSON.stringify([idc, cluster, node]);

/** ask gives no rows where the query fails: the list of nodes is worth showing without the figures. */
async function ask(query) {
  const data = await apiData('/api/v1/query', { query, time: Date.now() / 1000 }).catch(() => null);
  return data?.result ?? [];
}

function normal(node) {
  const received = Date.parse(node.last_received);
  const never = !Number.isFinite(received) || received <= 0;
  const refused = node.samples_over_series_limit > 0 ? [{ what: `It is past its ${node.series_limit} series`, todo: 'New series are refused, old ones go on: --limit.agent-series.' }] : [];
  return { ...node, findings: refused, received: never ? null : received, age: never ? undefined : Math.max(0, (Date.now() - received) / 1000) };
}

function draws(node, { key, unit }, usual) {
  const value = node[key];
  switch (key) {
    case 'age': {
      if (value === undefined) return cell('number bad', { title: 'It is expected and has never sent' }, icon('warn'), 'never');
      const tone = value > SILENT_SECONDS ? 'bad' : value > LATE_SECONDS ? 'warn' : '';
      return cell(`number ${tone}`, { title: stamp(node.received) }, tone ? icon('warn') : null, ago(node.received));
    }
    case 'node': {
      const vars = ['idc', 'cluster', 'node'].filter((k) => node[k]).map((k) => [k, [node[k]]]);
      return cell('', { title: String(value) }, el('a', { href: dashboardLink('cont-node', { vars }) }, cut(String(value), 80)));
    }
    case 'findings':
      if (value.length === 0) return cell('absent', {}, node.age === undefined || node.age > SILENT_SECONDS ? 'cannot be asked' : 'all well');
      return cell('text', {}, el('ul', { class: 'findings' }, value.map((f) => el('li', {}, icon('warn'), el('span', {}, el('strong', {}, cut(f.what, 100)), ` ${f.todo}`)))));
    case 'missing_batches': case 'samples_dropped':
      return cell(`number ${value > 0 ? 'warn' : ''}`, {}, value > 0 ? icon('warn') : null, value === undefined ? '–' : formatText(value, unit));
    case 'clock_skew_seconds': {
      const off = Math.abs(value) > SKEW_SECONDS;
      return cell(`number ${off ? 'warn' : ''}`, {}, off ? icon('warn') : null, value === undefined ? '–' : formatText(value, unit));
    }
    case 'agent_version':
      return cell(value && value !== usual ? 'warn' : '', { title: value && value !== usual ? `Most agents run ${usual}` : null }, cut(String(value || '–'), 40));
    default:
      if (value === undefined || value === null || value === '') return cell(unit ? 'number absent' : 'absent', {}, '–');
      return unit ? cell('number', {}, formatText(value, unit)) : cell('', { title: String(value) }, cut(String(value), 80));
  }
}
