// Reads, makes and ends silences through the Alertmanager's API. Each has an owner, a reason and an end.
import { getJSON, send } from './api.js';
import { cut, el, icon } from './dom.js';
import { cell, pair, sheet } from './sheet.js';
import { ago, durationMs, stamp } from './time.js';
import { askForToken } from './token.js';

const OWNER = 'plimsoll-owner';
const LENGTHS = ['30m', '2h', '8h', '1d', '3d', '7d'];
const USUAL_LENGTH = '2h';
const USUAL_COMMENT = 'Looking into it';
const NO_MATCHER = new Set(['severity']); // an alert that gets worse is the same trouble

/** readSilences gives {list, error}: those in force and to come, the next to end first. Alerts are worth showing without them. */
export async function readSilences() {
  try {
    const all = await getJSON('/api/v2/silences');
    return { list: all.filter((s) => s.status.state !== 'expired').sort((a, b) => Date.parse(a.endsAt) - Date.parse(b.endsAt)), error: null };
  } catch (err) {
    return { list: [], error: err.message };
  }
}

/** readInhibited gives a function that says of an alert's labels whether a greater alert keeps it from being told. */
export async function readInhibited() {
  const list = await getJSON('/api/v2/alerts', { active: 'false', silenced: 'false', unprocessed: 'false', inhibited: 'true' }).catch(() => []);
  const keys = new Set(list.map((a) => key(a.labels)));
  return (labels) => keys.has(key(labels));
}

const key = (labels) => JSON.stringify(Object.entries(labels).sort());

/** matches tells whether all matchers of a silence hold for an alert's labels; an absent label is the empty text. */
export function matches(matchers, labels) {
  return matchers.every(({ name, value, isRegex, isEqual = true }) => {
    const has = labels[name] ?? '';
    try {
      return (isRegex ? new RegExp(`^(?:${value})$`, 's').test(has) : has === value) === isEqual;
    } catch (_) {
      return false; // a pattern only the server understands: it says what it silences
    }
  });
}

/** openSilence opens the form for one alert, filled in: a press on its button makes the silence. done is called when there is a new one. */
export function openSilence(alert, alerts, done) {
  const labels = Object.entries(alert.labels).filter(([name]) => !NO_MATCHER.has(name)).sort(([a], [b]) => (b === 'alertname') - (a === 'alertname') || a.localeCompare(b));
  const boxes = labels.map(([name]) => el('input', { type: 'checkbox', name, checked: true, onchange: draw }));
  const length = el('input', { name: 'length', value: USUAL_LENGTH, required: true, spellcheck: 'false', 'aria-describedby': 'silence-ends', oninput: draw });
  const owner = el('input', { name: 'owner', value: remembered(), required: true, autocomplete: 'username', placeholder: 'Who answers for it', autofocus: !remembered() });
  const comment = el('input', { name: 'comment', value: USUAL_COMMENT, required: true, maxlength: '500' });
  const ends = el('p', { class: 'hint', id: 'silence-ends', role: 'status' });
  const complaint = el('p', { class: 'bad', role: 'alert' });
  const make = el('button', { class: 'primary', autofocus: Boolean(remembered()) });
  const dialog = el('dialog', { id: 'silence', 'aria-labelledby': 'silence-title', onclose: () => dialog.remove() },
    el('form', { onsubmit: submit, novalidate: true },
      el('h1', { id: 'silence-title' }, `Silence ${cut(alert.labels.alertname ?? 'this alert', 60)}`),
      el('fieldset', { class: 'matchers' }, el('legend', {}, 'Alerts with all of'), labels.map(([name, value], i) => el('label', { title: `${name}=${value}` }, boxes[i], el('span', {}, el('small', {}, name), ' ', cut(value, 60))))),
      el('label', {}, 'For', length), el('div', { class: 'lengths', role: 'group', 'aria-label': 'Usual lengths' }, LENGTHS.map((l) => el('button', { type: 'button', class: 'tab', onclick: () => { length.value = l; draw(); } }, l))), ends,
      el('label', {}, 'Owner', owner), el('label', {}, 'Why', comment), complaint,
      el('div', { class: 'actions' }, make, el('button', { type: 'button', class: 'secondary', onclick: () => dialog.close() }, 'Cancel'))));

  function matchers() {
    return labels.filter((_, i) => boxes[i].checked).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
  }

  function draw() {
    const chosen = matchers();
    const ms = durationMs(length.value.trim());
    const hit = alerts.filter((a) => matches(chosen, a.labels)).length;
    const many = `${hit} ${hit === 1 ? 'alert' : 'alerts'} now, and what comes`;
    ends.textContent = chosen.length === 0 ? 'Keep at least one label.' : ms ? `Ends ${stamp(Date.now() + ms)}. Silences ${many}.` : 'Write 90m, 2h or 3d.';
    make.textContent = ms ? `Silence for ${length.value.trim()}` : 'Silence';
    make.disabled = chosen.length === 0 || !ms;
  }

  async function submit(event) {
    event.preventDefault();
    const now = Date.now();
    const [createdBy, why, ms] = [owner.value.trim(), comment.value.trim(), durationMs(length.value.trim())];
    if (!createdBy || !why || !ms) {
      complaint.textContent = !ms ? 'Say for how long: 90m, 2h or 3d.' : !createdBy ? 'Say who answers for it: others will want to ask.' : 'Say why.';
      (!ms ? length : !createdBy ? owner : comment).focus();
      return;
    }
    make.disabled = true;
    try {
      await send('POST', '/api/v2/silences', { matchers: matchers(), startsAt: new Date(now).toISOString(), endsAt: new Date(now + ms).toISOString(), createdBy, comment: why });
      remember(createdBy);
      dialog.close();
      done();
    } catch (err) {
      complaint.replaceChildren(...refusal(err, () => dialog.close()));
      make.disabled = false;
    }
  }

  draw();
  document.body.append(dialog);
  dialog.showModal();
}

/** refusal is what a person reads when a change was not allowed, with the way out. */
function refusal(err, leave = () => {}) {
  if (err.status !== 401 && err.status !== 403) return [err.message];
  return [`Not allowed: ${err.message} `, el('button', { type: 'button', class: 'secondary', onclick: () => { leave(); askForToken('Use a token that may silence'); } }, 'Use another token')];
}

/** drawSilences lists the silences there are, each with what it silences now and a button that ends it. */
export function drawSilences({ silences, silenceError, alerts }, done) {
  const title = el('h2', { class: 'page-title' }, 'Silences', el('small', {}, silences.length ? ` ${silences.length}` : ''));
  if (silenceError) return [title, el('p', { class: 'message bad', role: 'alert' }, icon('warn'), `Silences could not be read: ${silenceError}`)];
  if (silences.length === 0) return [title, el('p', { class: 'message' }, 'None. Silence on an alert makes one: it needs an owner, a reason and an end.')];
  const complaint = el('p', { class: 'strip bad', role: 'alert' });
  const columns = ['Owner', 'Silences alerts with', 'Why', 'Since', 'Ends', 'Now silent', 'End it'].map((label) => ({ label }));
  const end = (s) => async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      await send('DELETE', `/api/v2/silence/${encodeURIComponent(s.id)}`);
      done();
    } catch (err) {
      complaint.replaceChildren(...refusal(err));
      button.disabled = false;
    }
  };
  return [title, sheet('Silences', columns, silences.map((s) => [
    cell('', { title: s.createdBy }, el('strong', {}, cut(s.createdBy, 60))),
    cell('pairs', {}, s.matchers.map((m) => pair(m.name, m.value, operator(m)))),
    cell('text', { title: s.comment }, cut(s.comment, 200)),
    cell('', { title: stamp(Date.parse(s.startsAt)) }, ago(Date.parse(s.startsAt))),
    cell('', { title: stamp(Date.parse(s.endsAt)) }, ago(Date.parse(s.endsAt))),
    cell('', {}, s.status.state === 'pending' ? 'not begun' : count(alerts, s)),
    cell('', {}, el('button', { type: 'button', class: 'secondary', 'aria-label': `Expire now the silence of ${s.createdBy}`, onclick: end(s) }, 'Expire now')),
  ])), complaint];
}

const count = (alerts, s) => {
  const n = alerts.filter((a) => matches(s.matchers, a.labels)).length;
  return `${n} ${n === 1 ? 'alert' : 'alerts'}`;
};

const operator = ({ isRegex, isEqual = true }) => (isEqual ? (isRegex ? '=~' : '=') : isRegex ? '!~' : '!=');

function remembered() {
  try {
    return localStorage.getItem(OWNER) ?? '';
  } catch (_) {
    return '';
  }
}

function remember(name) {
  try {
    localStorage.setItem(OWNER, name);
  } catch (_) { /* storage is off: it is asked again */ }
}
