// Draws what every page has: the bar with the places to go, the theme switch, the foot; and the keys that work everywhere.
import { apiData, getJSON } from './api.js';
import { el, icon, svg } from './dom.js';
import { bind, showKeys } from './keys.js';
import { popover } from './popover.js';
import { tokenButton } from './token.js';
import { at, dashboardLink, readView } from './url.js';

const THEME = 'plimsoll-theme';

/** The menu's groups, in the order people drill down; a dashboard none of them names comes last. */
const GROUPS = [
  ['Watch', ['cont-fleet', 'cont-incidents']],
  ['Drill down', ['cont-cluster', 'cont-project', 'cont-workload', 'cont-container', 'cont-node']],
  ['Plan', ['cont-capacity', 'cont-efficiency']],
  ['Trust', ['cont-pipeline']],
];

export function drawChrome() {
  const link = (href, text, ...more) => el('a', { href: at(href), class: 'place', 'aria-current': location.pathname === at(href) ? 'page' : null }, text, ...more);
  const badge = el('span', { class: 'badge', id: 'firing', hidden: true });
  const menu = el('button', { type: 'button', class: 'place', id: 'dashboards' }, 'Dashboards', icon('down'));
  const theme = el('button', { type: 'button', class: 'plain', id: 'theme', onclick: switchTheme });
  const keys = el('button', { type: 'button', class: 'plain', id: 'keys', 'aria-label': 'Keyboard shortcuts', title: 'Keyboard shortcuts (?)', onclick: showKeys }, icon('keyboard'));
  document.getElementById('top').append(
    el('a', { href: at('/'), class: 'brand', 'aria-label': 'Plimsoll, to the fleet' }, mark(), el('span', {}, 'Plimsoll')),
    el('nav', { 'aria-label': 'Main' }, el('span', { class: 'anchor' }, menu), link('/alerts', 'Alerts', badge), link('/exits', 'Exits'), link('/nodes', 'Nodes'),
      el('a', { href: at('/vmui/'), class: 'place', title: 'Ask the engine freely' }, 'vmui', icon('out'))),
    el('span', { class: 'anchor end' }, [tokenButton(), keys, theme].filter(Boolean)));
  popover(menu, fillDashboards, { label: 'Dashboards' });
  const { version } = document.documentElement.dataset;
  document.getElementById('foot').append(`Plimsoll${version ? ` ${version}` : ''} · `, el('a', { href: at('/runbooks/') }, 'Runbooks'), ' · ', el('a', { href: at('/metrics') }, 'Own metrics'));
  bindKeys(menu);
  showTheme();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', themeChanged);
  countFiring();
}

function bindKeys(menu) {
  const go = (path) => () => location.assign(at(path));
  bind('g f', 'Go to the fleet', go('/'));
  bind('g a', 'Go to the alerts', go('/alerts'));
  bind('g e', 'Go to the exits', go('/exits'));
  bind('g n', 'Go to the nodes', go('/nodes'));
  bind('m', 'Choose a dashboard', () => menu.click());
  bind('d', 'Dark or light', switchTheme);
}

function mark() {
  return svg('svg', { class: 'mark', viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    svg('circle', { cx: 16, cy: 16, r: 9.5 }), svg('path', { d: 'M1.5 16h29' }));
}

async function fillDashboards(box) {
  const list = el('div', { class: 'places' }, el('p', { class: 'hint' }, 'Reading…'));
  box.append(list);
  try {
    const dashboards = await getJSON('/ui/dashboards.json');
    const view = readView();
    const { uid } = document.documentElement.dataset;
    const entry = (d) => el('li', {}, el('a', { href: dashboardLink(d.uid, view), title: d.description || null, 'aria-current': d.uid === uid ? 'page' : null }, d.title));
    list.replaceChildren(...grouped(dashboards).map(([name, members]) => el('section', { 'aria-label': name }, el('h2', {}, name), el('ul', { class: 'menu' }, members.map(entry)))));
    list.querySelector('a')?.focus();
  } catch (err) {
    list.replaceChildren(el('p', { class: 'hint' }, err.message));
  }
}

/** grouped gives [name, dashboards] of every group that has any. */
function grouped(dashboards) {
  const named = new Set(GROUPS.flatMap(([, uids]) => uids));
  const groups = GROUPS.map(([name, uids]) => [name, uids.map((uid) => dashboards.find((d) => d.uid === uid)).filter(Boolean)]);
  groups.push(['More', dashboards.filter((d) => !named.has(d.uid))]);
  return groups.filter(([, members]) => members.length > 0);
}

/** countFiring shows the number of firing alerts beside the link; silent where the collector cannot say. */
export async function countFiring() {
  const badge = document.getElementById('firing');
  try {
    const { alerts } = await apiData('/api/v1/alerts');
    const firing = alerts.filter((a) => a.state === 'firing' && a.labels.alertname !== 'Watchdog').length;
    badge.hidden = firing === 0;
    badge.textContent = String(firing);
    badge.title = `${firing} firing`;
  } catch (_) {
    badge.hidden = true;
  }
}

function isDark() {
  return (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
}

function switchTheme() {
  const theme = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch (_) { /* storage is off: it holds for this page */ }
  themeChanged();
}

function themeChanged() {
  showTheme();
  document.dispatchEvent(new Event('themechange'));
}

function showTheme() {
  const button = document.getElementById('theme');
  const next = isDark() ? 'light' : 'dark';
  button.replaceChildren(icon(isDark() ? 'sun' : 'moon'));
  button.setAttribute('aria-label', `Switch to ${next} theme`);
  button.title = `Switch to ${next} theme`;
}
