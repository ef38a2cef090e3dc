// Keeps the token a person gave, in this tab only and forgotten with it, and asks for one where the collector wants it.
import { el, icon } from './dom.js';

const TOKEN = 'plimsoll-token';

const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

/** tokenHeader is what a request carries: nothing without a token. */
export function tokenHeader() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** askForToken opens the one dialog; because says why, in place of the usual reason. The page loads anew with the token given. */
export function askForToken(because) {
  if (document.getElementById('token')) return;
  const input = el('input', { type: 'password', name: 'token', required: true, autocomplete: 'off', 'aria-label': 'Token' });
  const use = () => { sessionStorage.setItem(TOKEN, input.value.trim()); location.reload(); };
  const forget = () => { sessionStorage.removeItem(TOKEN); location.reload(); };
  const dialog = el('dialog', { id: 'token', 'aria-labelledby': 'token-title', onclose: () => dialog.remove() },
    el('form', { method: 'dialog', onsubmit: use },
      el('h1', { id: 'token-title' }, because ?? (hasToken() ? 'The collector refused this token' : 'The collector wants a token')),
      el('p', {}, 'What it may read and change is in the collector’s --auth.tokens-file. It is kept in this tab only.'),
      input, el('div', { class: 'actions' }, el('button', { class: 'primary' }, 'Continue'),
        hasToken() && el('button', { type: 'button', class: 'secondary', onclick: forget }, 'Forget the token'),
        el('button', { type: 'button', class: 'secondary', onclick: () => dialog.close() }, 'Cancel'))));
  document.body.append(dialog);
  dialog.showModal();
}

/** tokenButton is for the bar: it shows that a token is in use, and changes or forgets it. null without one. */
export function tokenButton() {
  if (!hasToken()) return null;
  return el('button', { type: 'button', class: 'plain', id: 'signed', 'aria-label': 'Token in use: change or forget it', title: 'Token in use: change or forget it', onclick: () => askForToken('Use another token') }, icon('key'));
}
