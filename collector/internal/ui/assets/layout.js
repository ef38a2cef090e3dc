// Lays a dashboard's panels on its 24 columns, in sections that fold at every row.
import { el, icon, notice } from './dom.js';
import { Panel } from './panel.js';

/** layout returns {element, panels}. With viewPanel it shows that panel alone. */
export function layout(model, ctx, viewPanel) {
  const sections = split(model.panels ?? []);
  if (viewPanel !== null) return alone(sections, ctx, viewPanel);
  const panels = [];
  const element = el('div', { class: 'dashboard' });
  for (const section of sections) {
    const mine = section.panels.map((p) => new Panel(p, ctx));
    panels.push(...mine);
    element.append(drawSection(section, mine, ctx));
  }
  if (panels.length === 0) element.append(notice('This dashboard has no panels'));
  return { element, panels };
}

function alone(sections, ctx, viewPanel) {
  const model = sections.flatMap((s) => s.panels).find((p) => String(p.id) === viewPanel);
  if (!model) return { element: notice(`There is no panel ${viewPanel} in this dashboard`, el('a', { href: location.pathname }, 'Show all panels')), panels: [] };
  const panel = new Panel({ ...model, gridPos: { x: 0, y: 0, w: 24, h: 18 } }, ctx);
  return { element: el('div', { class: 'grid' }, panel.element), panels: [panel] };
}

/** split cuts the list at its rows: a folded row brings its panels along, an open one is followed by them. */
function split(list) {
  const sections = [{ title: '', collapsed: false, panels: [] }];
  for (const p of list) {
    if (p.type === 'row') sections.push({ title: p.title ?? '', collapsed: Boolean(p.collapsed), panels: [...(p.panels ?? [])] });
    else sections.at(-1).panels.push(p);
  }
  return sections.filter((s) => s.panels.length > 0 || s.title);
}

function drawSection(section, panels, ctx) {
  const top = Math.min(...section.panels.map((p) => p.gridPos?.y ?? 0));
  const inOrder = [...panels].sort((a, b) => place(a) - place(b));
  for (const p of panels) p.element.style.setProperty('--y', (p.model.gridPos?.y ?? 0) - top);
  const grid = el('div', { class: 'grid', hidden: section.collapsed }, inOrder.map((p) => p.element));
  if (!section.title) return el('section', { class: 'section' }, el('h2', { class: 'visually-hidden' }, 'Panels'), grid);
  const arrow = el('span', { class: 'arrow' }, icon('right'));
  const button = el('button', { type: 'button', 'aria-expanded': String(!section.collapsed), onclick: () => {
    grid.hidden = !grid.hidden;
    button.setAttribute('aria-expanded', String(!grid.hidden));
  } }, arrow, ctx.text(section.title), el('small', {}, `${panels.length} ${panels.length === 1 ? 'panel' : 'panels'}`));
  return el('section', { class: 'section' }, el('h2', {}, button), grid);
}

const place = (p) => (p.model.gridPos?.y ?? 0) * 100 + (p.model.gridPos?.x ?? 0);
