// Draws a text panel: headings, lists, paragraphs, code and links of its Markdown; all of it as text nodes.
import { el, safeURL } from '../dom.js';

export function drawText(body, { model, ctx }) {
  const text = ctx.text(model.options?.content ?? '');
  const prose = el('div', { class: 'prose' });
  let list = null;
  for (const line of text.split('\n')) {
    const heading = /^#{1,6}\s+(.*)/.exec(line);
    const item = /^\s*[-*]\s+(.*)/.exec(line);
    if (item) {
      if (!list) prose.append(list = el('ul', {}));
      list.append(el('li', {}, inline(item[1])));
      continue;
    }
    list = null;
    if (heading) prose.append(el('h4', {}, inline(heading[1])));
    else if (line.trim()) prose.append(el('p', {}, inline(line)));
  }
  body.append(prose);
}

function inline(text) {
  const out = [];
  let at = 0;
  for (const m of text.matchAll(/`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)/g)) {
    out.push(text.slice(at, m.index));
    at = m.index + m[0].length;
    if (m[1]) out.push(el('code', {}, m[1]));
    else if (m[2]) out.push(el('strong', {}, m[2]));
    else out.push(safeURL(m[4]) ? el('a', { href: safeURL(m[4]) }, m[3]) : m[3]);
  }
  return [...out, text.slice(at)];
}
