// Lets people work without a mouse: single keys and pairs such as "g a", and the list of them behind "?".
import { el } from './dom.js';

const PAIR_MS = 1200; // from the first key of a pair to its second

const bound = new Map([['?', { does: 'Show this list', act: showKeys }]]);
let first = null; // a pair's first key, for a moment

/** bind makes keys, "r" or "g a", do something; the list tells it in the order of the calls. */
export function bind(keys, does, act) {
  bound.set(keys, { does, act });
}

/** showKeys opens the list. */
export function showKeys() {
  const dialog = el('dialog', { id: 'key-list', 'aria-labelledby': 'key-title', onclose: () => dialog.remove() },
    el('h1', { id: 'key-title' }, 'Keyboard shortcuts'),
    el('dl', {}, [...bound].flatMap(([keys, { does }]) => [el('dt', {}, keys.split(' ').map((k) => [el('kbd', {}, k), ' '])), el('dd', {}, does)]),
      el('dt', {}, el('kbd', {}, 'Tab')), el('dd', {}, 'To the next control; Enter presses it, Escape closes a box')),
    el('form', { method: 'dialog' }, el('button', { class: 'primary' }, 'Close')));
  document.body.append(dialog);
  dialog.showModal();
}

const typing = (node) => node instanceof Element && node.closest('input, select, textarea, dialog, .popover') !== null;

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.repeat || typing(e.target) || document.querySelector('dialog[open]')) return;
  const keys = first ? `${first} ${e.key}` : e.key;
  first = null;
  const found = bound.get(keys) ?? bound.get(e.key);
  if (found) {
    e.preventDefault();
    found.act();
    return;
  }
  if ([...bound.keys()].some((k) => k.startsWith(`${e.key} `))) {
    first = e.key;
    setTimeout(() => { first = null; }, PAIR_MS);
  }
});
