// Draws the tables of the pages that are not dashboards: a heading that sorts, rows that become cards on a phone.
import { cut, el } from './dom.js';

/**
 * sheet(label, columns, rows): columns are {label, number, title, sort, press}; sort is ascending, descending or null, press makes the heading a button.
 * rows are arrays of cells made by cell(), one a column.
 */
export function sheet(label, columns, rows) {
  for (const row of rows) row.forEach((td, i) => { td.dataset.label = columns[i].label; });
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, el('table', { class: 'data wide cards' },
    el('thead', {}, el('tr', {}, columns.map(heading))),
    el('tbody', {}, rows.map((cells) => el('tr', {}, cells)))));
}

function heading({ label, number, title, sort, press }) {
  const arrow = el('span', { class: 'arrow', 'aria-hidden': 'true' }, { ascending: '↑', descending: '↓' }[sort] ?? '');
  return el('th', { scope: 'col', title: title ?? null, class: number ? 'number' : null, 'aria-sort': press ? sort ?? 'none' : null }, press ? el('button', { type: 'button', onclick: press }, label, arrow) : label);
}

/** cell('bad number', {title}, 'text', node…) */
export const cell = (kind, attrs, ...children) => el('td', { class: kind || null, ...attrs }, ...children);

/** pair is a label with its value, or with the operator a matcher has between them. */
export const pair = (name, value, operator = '=') => [el('span', { class: 'pair', title: name + operator + value }, el('small', {}, operator === '=' ? name : `${name} ${operator}`), ' ', cut(value, 60)), ' '];

/** tabs is a row of buttons of which one is pressed; choices are [key, text]. */
export function tabs(label, choices, chosen, choose) {
  return el('div', { class: 'tabs', role: 'group', 'aria-label': label }, choices.map(([key, ...text]) =>
    el('button', { type: 'button', class: 'tab', dataset: { key }, 'aria-pressed': String(key === chosen), onclick: () => choose(key) }, text)));
}
