// Asks the collector. Every failure becomes an Error whose message a person can act on.
import { askForToken, tokenHeader } from './token.js';
import { at } from './url.js';

const TIMEOUT_MS = 30000;
const RETRY_MS = 500; // browsers break off requests when a network interface comes or goes; one more try hides that
const LONGEST_GET = 1800; // characters of query string; longer ones go as a POST form

/** getJSON(path, {param: value | [values]}, signal) → the decoded body. */
export async function getJSON(path, params = {}, signal) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const v of [value].flat()) if (v !== undefined && v !== null) form.append(name, v);
  }
  const query = form.toString();
  const post = query.length > LONGEST_GET;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const ask = () => fetch(at(path) + (post || !query ? '' : `?${query}`), {
    method: post ? 'POST' : 'GET',
    body: post ? form : undefined,
    headers: tokenHeader(),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  let response;
  try {
    response = await ask().catch((err) => (signal?.aborted || timeout.aborted ? Promise.reject(err) : pause(RETRY_MS).then(ask)));
  } catch (err) {
    if (signal?.aborted) throw err;
    throw unreached(timeout);
  }
  return read(response, path);
}

/** send changes something: method POST with a JSON body, or DELETE. It is tried once, as a second try could do it twice. */
export async function send(method, path, body) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(at(path), { method, signal: timeout, body: body && JSON.stringify(body), headers: { ...tokenHeader(), ...(body && { 'Content-Type': 'application/json' }) } });
  } catch (_) {
    throw unreached(timeout);
  }
  return read(response, path, { mayBeEmpty: true });
}

/** apiData returns the data of a Prometheus-style answer. */
export async function apiData(path, params, signal) {
  const answer = await getJSON(path, params, signal);
  if (answer.status !== 'success') throw new Error(answer.error ?? `${path} answered status ${answer.status}.`);
  return answer.data;
}

class HTTPError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function unreached(timeout) {
  if (timeout.aborted) return new Error(`No answer within ${TIMEOUT_MS / 1000} s. Ask for a shorter time range, or fewer series.`);
  return new Error('The collector cannot be reached. Is it running?');
}

async function read(response, path, { mayBeEmpty = false } = {}) {
  const body = await response.text();
  if (response.status === 401) askForToken();
  if (!response.ok) throw new HTTPError(response.status, reason(response, body));
  if (mayBeEmpty && !body) return null;
  try {
    return JSON.parse(body);
  } catch (_) {
    throw new Error(`${path} did not answer with JSON.`);
  }
}

/** reason finds the collector's words: {"error": …} of most paths, a JSON string of the Alertmanager's, or plain text. */
function reason(response, body) {
  let text = body;
  try {
    const answer = JSON.parse(body);
    text = typeof answer === 'string' ? answer : answer.error ?? answer.message ?? body;
  } catch (_) { /* a plain text answer */ }
  text = String(text).trim().slice(0, 600);
  if (response.status === 401) return 'The collector wants a token.';
  if (response.status === 403) return text || 'This token may not do that.';
  return text || `The collector answered ${response.status}.`;
}
