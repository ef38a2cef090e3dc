// Asks the collector. Every failure becomes an Error whose message a person can act on.
import { el } from './dom.js';

const TIMEOUT_MS = 30000;
const RETRY_MS = 500; // browsers break off requests when a network interface comes or goes; one more try hides that
const LONGEST_GET = 1800; // characters of query string; longer ones go as a POST form
const TOKEN = 'plimsoll-token';

/** getJSON(path, {param: value | [values]}, signal) → the decoded body. */
export async function getJSON(path, params = {}, signal) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const v of [value].flat()) if (v !== undefined && v !== null) form.append(name, v);
  }
  const query = form.toString();
  const post = query.length > LONGEST_GET;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const ask = () => fetch(post || !query ? path : `${path}?${query}`, {
    method: post ? 'POST' : 'GET',
    body: post ? form : undefined,
    headers: headers(),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  let response;
  try {
    response = await ask().catch((err) => (signal?.aborted || timeout.aborted ? Promise.reject(err) : pause(RETRY_MS).then(ask)));
  } catch (err) {
    if (signal?.aborted) throw err;
    if (timeout.aborted) throw new Error(`No answer within ${TIMEOUT_MS / 1000} s. Ask for a shorter time range, or fewer series.`);
    throw new Error('The collector cannot be reached. Is it running?');
  }
  const body = await response.text();
  if (response.status === 401) askForToken();
  if (!response.ok) throw new HTTPError(response.status, reason(response, body));
  try {
    return JSON.parse(body);
  } catch (_) {
    throw new Error(`${path} did not answer with JSON.`);
  }
}

/** apiData returns the data of a Prometheus-style answer. */
export async function apiData(path, params, signal) {
  const answer = await getJSON(path, params, signal);
  if (answer.status !== 'success') throw new Error(answer.error ?? `${path} answered status ${answer.status}.`);
  return answer.data;
}

export class HTTPError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function reason(response, body) {
  let text = body;
  try {
    text = JSON.parse(body).error ?? body;
  } catch (_) { /* a plain text answer */ }
  text = String(text).trim().slice(0, 600);
  if (response.status === 401) return 'The collector wants a token.';
  if (response.status === 403) return text || 'This token may not read that.';
  return text || `The collector answered ${response.status}.`;
}

/** The token stays in this tab only and is forgotten with it. */
function askForToken() {
  if (document.getElementById('token')) return;
  const input = el('input', { type: 'password', name: 'token', required: true, autocomplete: 'off', 'aria-label': 'Token' });
  const refused = sessionStorage.getItem(TOKEN) !== null;
  const dialog = el('dialog', { id: 'token' },
    el('form', { method: 'dialog', onsubmit: () => { sessionStorage.setItem(TOKEN, input.value.trim()); location.reload(); } },
      el('h1', {}, refused ? 'The collector refused this token' : 'The collector wants a token'),
      el('p', {}, 'Use one that may read; the collector was started with --auth.tokens-file. It is kept in this tab only.'),
      input, el('button', { class: 'primary' }, 'Continue')));
  document.body.append(dialog);
  dialog.showModal();
}
