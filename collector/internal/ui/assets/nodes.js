// The nodes page: who sends, how fresh it is, and what an agent says it cannot see.
import { apiData } from './api.js';
import { cut, el, icon } from './dom.js';
import { formatText } from './format.js';
import { sorted } from './frame.js';
import { ago, stamp } from './time.js';
import { viewQuery } from './url.js';

const REFRESH_MS = 15000;
const LATE_SECONDS = 60;
const SILENT_SECONDS = 180; // as the alert on silent agents

const COLUMNS = [
  { key: 'node', label: 'Node' }, { key: 'idc', label: 'IDC' }, { key: 'cluster', label: 'Cluster' },
  { key: 'age', label: 'Last data', unit: 's' }, { key: 'containers', label: 'Containers', unit: 'short' },
  { key: 'sources_down', label: 'Cannot see' }, { key: 'lag_seconds', label: 'Behind', unit: 's' },
  { key: 'spool_bytes', label: 'Spool', unit: 'bytes' }, { key: 'samples_dropped', label: 'Dropped, 1 h', unit: 'short' },
  { key: 'agent_version', label: 'Agent' },
];

/** What agents say about themselves; a column is left out where nobody says it. */
const FIGURES = {
  containers: 'max by (idc, cluster, node) (plimsoll_agent_containers)',
  lag_seconds: 'max by (idc, cluster, node) (plimsoll_agent_remote_write_lag_seconds)',
  spool_bytes: 'max by (idc, cluster, node) (plimsoll_agent_spool_bytes)',
  samples_dropped: 'sum by (idc, cluster, node) (increase(plimsoll_agent_samples_dropped_total[1h]))',
};
const DOWN = 'max by (idc, cluster, node, source) (plimsoll_agent_source_up) == 0';

export async function showNodes(root) {
  const count = el('span', { class: 'hint', role: 'status' });
  const body = el('div', { class: 'page-body' });
  root.replaceChildren(el('div', { class: 'toolbar' }, el('h1', {}, 'Nodes'), count), body);
  const order = { field: 'age', desc: true };

  async function load() {
    try {
      draw(await readNodes());
    } catch (err) {
      body.replaceChildren(el('div', { class: 'message bad', role: 'alert' }, el('strong', {}, icon('warn'), 'Nodes could not be read'), el('p', {}, err.message)));
    }
  }

  function draw(nodes) {
    const silent = nodes.filter((n) => n.age > SILENT_SECONDS).length;
    count.textContent = nodes.length ? `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}, ${silent} silent` : '';
    if (nodes.length === 0) {
      body.replaceChildren(el('div', { class: 'message' }, el('strong', {}, 'No agent has sent anything yet'),
        el('p', {}, 'Start one where containers run: plimsoll-agent --remote-write.url=' + location.origin + '/api/v1/write'),
        el('p', {}, 'plimsoll-agent doctor says what it can and cannot see, and whether it reaches this collector.')));
      return;
    }
    const columns = columnsOf(nodes);
    const press = (c) => () => {
      order.desc = order.field === c.key ? !order.desc : Boolean(c.unit);
      order.field = c.key;
      draw(nodes);
    };
    const frame = sorted({ fields: columns.map((c) => ({ name: c.key, label: c.key })), rows: nodes }, order);
    body.replaceChildren(el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Nodes' }, el('table', { class: 'data wide' },
      el('thead', {}, el('tr', {}, columns.map((c) => el('th', { scope: 'col', class: c.unit ? 'number' : '', 'aria-sort': order.field === c.key ? (order.desc ? 'descending' : 'ascending') : 'none' },
        el('button', { type: 'button', onclick: press(c) }, c.label, el('span', { class: 'arrow', 'aria-hidden': 'true' }, order.field === c.key ? (order.desc ? '↓' : '↑') : '')))))),
      el('tbody', {}, frame.rows.map((n) => el('tr', {}, columns.map((c) => cell(n, c))))))));
  }

  await load();
  setInterval(() => { if (!document.hidden) load(); }, REFRESH_MS);
}

/** readNodes joins the collector's list, which knows every node that ever sent, with the agents' latest figures. */
async function readNodes() {
  const keys = Object.keys(FIGURES);
  const [list, down, ...figures] = await Promise.all([apiData('/api/nodes'), ask(DOWN), ...keys.map((k) => ask(FIGURES[k]))]);
  const nodes = new Map(list.map((n) => [id(n), normal(n)]));
  figures.forEach((rows, i) => {
    for (const r of rows) Object.assign(nodes.get(id(r.metric)) ?? {}, { [keys[i]]: Number(r.value[1]) });
  });
  for (const r of down) nodes.get(id(r.metric))?.sources_down.push(r.metric.source);
  return [...nodes.values()];
}

const id = ({ idc = '', cluster = '', node }) => JSON.stringify([idc, cluster, node]);

/** ask gives no rows where the query fails: the list of nodes is worth showing without the figures. */
async function ask(query) {
  const data = await apiData('/api/v1/query', { query, time: Date.now() / 1000 }).catch(() => null);
  return data?.result ?? [];
}

function normal(node) {
  const { last_received: last, ...rest } = node;
  const ms = typeof last === 'number' ? last * 1000 : Date.parse(last);
  return { ...rest, sources_down: [], received: ms, age: Number.isFinite(ms) ? Math.max(0, (Date.now() - ms) / 1000) : undefined };
}

/** columnsOf leaves out what no node has, and puts what it does not know at the end. */
function columnsOf(nodes) {
  const keys = new Set(nodes.flatMap((n) => Object.keys(n).filter((k) => n[k] !== undefined && n[k] !== null)));
  const known = COLUMNS.filter((c) => keys.has(c.key));
  const more = [...keys].filter((k) => k !== 'received' && !COLUMNS.some((c) => c.key === k)).sort();
  return [...known, ...more.map((key) => ({ key, label: key.replaceAll('_', ' '), unit: nodes.some((n) => typeof n[key] === 'number') ? unitOf(key) : null }))];
}

const unitOf = (key) => (key.endsWith('_seconds') ? 's' : key.endsWith('_bytes') ? 'bytes' : 'short');

function cell(node, { key, unit }) {
  const value = node[key];
  if (key === 'age' && value !== undefined) {
    const tone = value > SILENT_SECONDS ? 'bad' : value > LATE_SECONDS ? 'warn' : '';
    return el('td', { class: `number ${tone}`, title: stamp(node.received) }, tone ? icon('warn') : null, ago(node.received));
  }
  if (value === undefined || value === null || value === '') return el('td', { class: unit ? 'number absent' : 'absent' }, '–');
  if (typeof value === 'number') return el('td', { class: 'number' }, formatText(value, unit ?? 'short'));
  if (key === 'node') {
    const filters = ['idc', 'cluster'].filter((k) => node[k]).map((k) => [k, [node[k]]]);
    return el('td', { title: String(value) }, el('a', { href: `/${viewQuery({ vars: filters })}` }, cut(String(value), 80)));
  }
  const text = Array.isArray(value) ? value.join(', ') || '–' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  const down = key === 'sources_down' && text !== '–';
  return el('td', { class: down ? 'warn' : '', title: text }, down ? icon('warn') : null, cut(text, 80));
}
