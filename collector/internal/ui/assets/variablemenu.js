// The choices of one variable: a search field over a list, one or many to choose.
import { cut, el } from './dom.js';
import { ALL } from './variables.js';

const MOST_SHOWN = 200;
const NONE = 'No values yet: no series carries this label. Do agents send? See Nodes.';

export function fillVariable(box, variable, choose) {
  const options = [...(variable.includeAll ? [{ text: 'All', value: ALL }] : []), ...variable.options];
  for (const v of variable.values) if (!options.some((o) => o.value === v)) options.push({ text: `${v} (no such series now)`, value: v });
  const chosen = new Set(variable.values);
  const list = el('ul', { class: 'menu options' });
  const search = el('input', { type: 'search', placeholder: 'Search', 'aria-label': `Search ${variable.label}`, autofocus: true, oninput: () => drawList() });
  const marks = new Map(); // input to value
  const kind = variable.multi ? 'checkbox' : 'radio';

  const found = () => options.filter((o) => o.text.toLowerCase().includes(search.value.toLowerCase()));

  function drawList() {
    const matching = found();
    list.replaceChildren(...matching.slice(0, MOST_SHOWN).map((o) => {
      const input = el('input', { type: kind, name: `choice-${variable.name}`, onclick: (e) => pick(o.value, e) });
      input.checked = chosen.has(o.value);
      marks.set(input, o.value);
      return el('li', {}, el('label', { title: o.text }, input, el('span', {}, cut(o.text, 80))));
    }));
    const more = matching.length - MOST_SHOWN;
    if (more > 0) list.append(el('li', { class: 'hint' }, `${more} more: search to narrow.`));
    if (matching.length === 0) list.append(el('li', { class: 'hint' }, variable.error ?? (options.length ? 'None matches.' : NONE)));
  }

  function pick(value, event) {
    if (!variable.multi) {
      chosen.clear();
      chosen.add(value);
      if (event.clientX > 0) choose([value]); // arrow keys only move the mark; Enter decides
      return;
    }
    const on = chosen.has(value);
    if (value === ALL) chosen.clear();
    chosen.delete(ALL);
    if (on) chosen.delete(value);
    else chosen.add(value);
    if (chosen.size === 0 && variable.includeAll) chosen.add(ALL);
    for (const [input, v] of marks) input.checked = chosen.has(v);
  }

  const apply = () => { if (chosen.size > 0) choose([...chosen]); };
  box.append(el('form', { class: 'choices', onsubmit: (e) => {
    e.preventDefault();
    const first = found()[0];
    if (search.value && first && document.activeElement === search) choose([first.value]); // type, Enter: the first match alone
    else apply();
  } }, search, list, variable.multi ? el('button', { class: 'primary' }, 'Apply') : el('button', { class: 'visually-hidden' }, 'Apply')));
  drawList();
}
