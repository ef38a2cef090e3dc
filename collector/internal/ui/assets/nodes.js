// The nodes page: who sends, how fresh it is, and what an agent says it cannot see.
import { apiData, HTTPError } from './api.js';
import { cut, el, icon } from './dom.js';
import { formatText } from './format.js';
import { sorted } from './frame.js';
import { ago, stamp } from './time.js';

const REFRESH_MS = 15000;
const LATE_SECONDS = 60;
const SILENT_SECONDS = 180; // as the alert on silent agents

const KNOWN = [
  { key: 'node', label: 'Node' }, { key: 'idc', label: 'IDC' }, { key: 'cluster', label: 'Cluster' },
  { key: 'age', label: 'Last data', unit: 's' }, { key: 'containers', label: 'Containers', unit: 'short' },
  { key: 'lag_seconds', label: 'Lag', unit: 's' }, { key: 'version', label: 'Agent' }, { key: 'sources_down', label: 'Cannot see' },
  { key: 'spool_bytes', label: 'Spool', unit: 'bytes' }, { key: 'samples_dropped', label: 'Dropped', unit: 'short' },
];

export async function showNodes(root) {
  const count = el('span', { class: 'hint', role: 'status' });
  const body = el('div', { class: 'page-body' });
  root.replaceChildren(el('div', { class: 'toolbar' }, el('h1', {}, 'Nodes'), count), body);
  const order = { field: 'age', desc: true };

  async function load() {
    try {
      draw((await readNodes()).map(normal));
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

async function readNodes() {
  try {
    const data = await apiData('/api/nodes');
    return Array.isArray(data) ? data : data.nodes ?? [];
  } catch (err) {
    if (!(err instanceof HTTPError) || err.status !== 404) throw err;
    return nodesFromMetrics();
  }
}

/** A collector without /api/nodes still has the metrics. */
async function nodesFromMetrics() {
  const ask = async (query) => (await apiData('/api/v1/query', { query, time: Date.now() / 1000 })).result;
  const [last, containers] = await Promise.all([
    ask('max by (idc, cluster, node) (last_over_time(plimsoll_collector_agent_last_received_timestamp_seconds[1d]))'),
    ask('max by (idc, cluster, node) (plimsoll_agent_containers)'),
  ]);
  const id = ({ idc, cluster, node }) => JSON.stringify([idc, cluster, node]);
  const counts = new Map(containers.map((r) => [id(r.metric), Number(r.value[1])]));
  return last.map((r) => ({ ...r.metric, last_received: Number(r.value[1]), containers: counts.get(id(r.metric)) }));
}

function normal(node) {
  const { last_received: last, ...rest } = node;
  const ms = typeof last === 'number' ? last * 1000 : Date.parse(last);
  return { ...rest, received: ms, age: Number.isFinite(ms) ? Math.max(0, (Date.now() - ms) / 1000) : undefined };
}

function columnsOf(nodes) {
  const keys = new Set(nodes.flatMap((n) => Object.keys(n).filter((k) => n[k] !== undefined && n[k] !== null)));
  const known = KNOWN.filter((c) => keys.has(c.key));
  const more = [...keys].filter((k) => k !== 'received' && !KNOWN.some((c) => c.key === k)).sort();
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
  const text = Array.isArray(value) ? value.join(', ') || '–' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  const down = key === 'sources_down' && text !== '–';
  return el('td', { class: down ? 'warn' : '', title: text }, down ? icon('warn') : null, cut(text, 80));
}
