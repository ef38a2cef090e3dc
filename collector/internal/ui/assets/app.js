// Starts the page the server named in <html data-page>.
import { drawChrome } from './chrome.js';
import { showDashboard } from './dashboard.js';
import { showAlerts } from './alerts.js';
import { showExits } from './exits.js';
import { showNodes } from './nodes.js';
import { notice } from './dom.js';

const { page, uid } = document.documentElement.dataset;
const main = document.getElementById('main');
drawChrome();

const pages = {
  dashboard: () => showDashboard(main, uid),
  alerts: () => showAlerts(main),
  exits: () => showExits(main),
  nodes: () => showNodes(main),
};

try {
  await pages[page]?.();
} catch (err) {
  main.replaceChildren(notice('This page could not be shown', err.message));
}
document.documentElement.dataset.ready = 'true';
