// Draws what every page has: the bar with the places to go, the theme switch, the foot.
import { apiData, getJSON } from './api.js';
import { el, icon, svg } from './dom.js';
import { popover } from './popover.js';
import { dashboardLink, readView } from './url.js';

const THEME = 'plimsoll-theme';

export function drawChrome() {
  const here = location.pathname;
  const link = (href, text, ...more) => el('a', { href, class: 'place', 'aria-current': here === href ? 'page' : null }, text, ...more);
  const badge = el('span', { class: 'badge', id: 'firing', hidden: true });
  const menu = el('button', { type: 'button', class: 'place', id: 'dashboards' }, 'Dashboards', icon('down'));
  const theme = el('button', { type: 'button', class: 'plain', id: 'theme', onclick: switchTheme });
  document.getElementById('top').append(
    el('a', { href: '/', class: 'brand', 'aria-label': 'Plimsoll, to the fleet' }, mark(), el('span', {}, 'Plimsoll')),
    el('nav', { 'aria-label': 'Main' }, el('span', { class: 'anchor' }, menu), link('/alerts', 'Alerts', badge), link('/nodes', 'Nodes'),
      el('a', { href: '/vmui/', class: 'place', title: 'Ask the engine freely' }, 'vmui', icon('out'))),
    el('span', { class: 'anchor end' }, theme));
  popover(menu, fillDashboards, { label: 'Dashboards' });
  const { version } = document.documentElement.dataset;
  document.getElementById('foot').append(`Plimsoll${version ? ` ${version}` : ''}`);
  showTheme();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', themeChanged);
  countFiring();
}

function mark() {
  return svg('svg', { class: 'mark', viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    svg('circle', { cx: 16, cy: 16, r: 9.5 }), svg('path', { d: 'M1.5 16h29' }));
}

async function fillDashboards(box) {
  const list = el('ul', { class: 'menu' }, el('li', {}, 'Reading…'));
  box.append(list);
  try {
    const dashboards = await getJSON('/ui/dashboards.json');
    const view = readView();
    list.replaceChildren(...dashboards.map((d) => el('li', {}, el('a', { href: dashboardLink(d.uid, view), title: d.description || null }, d.title))));
    list.querySelector('a')?.focus();
  } catch (err) {
    list.replaceChildren(el('li', {}, err.message));
  }
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

export function isDark() {
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
