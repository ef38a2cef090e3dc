// Tells of the alert rules as a whole: how many there are, which can not fire for want of an input, and which cry wolf.
import { apiData } from './api.js';
import { cut, el } from './dom.js';
import { cell, sheet } from './sheet.js';
import { ago } from './time.js';

const MOST_NOISY = 20;

/** readRules gives {count, last (ms), failing, unarmed, told (whether it is said of any that it is armed)}, or null where the collector does not say. */
export async function readRules() {
  try {
    const { groups } = await apiData('/api/v1/rules', { type: 'alert' });
    const rules = groups.flatMap((g) => g.rules).filter((r) => r.type === 'alerting');
    const last = Math.max(...rules.map((r) => Date.parse(r.lastEvaluation) || 0));
    return { count: rules.length, last, failing: rules.filter((r) => r.health === 'err').length, unarmed: rules.filter((r) => r.armed === false), told: rules.some((r) => 'armed' in r) };
  } catch (_) {
    return null;
  }
}

/** notArmed lists the rules that can not fire because an input has no series, and what would bring it. */
export function notArmed(rules, wanted) {
  if (!rules || (rules.count && !rules.told)) return el('div', { class: 'message' }, el('strong', {}, 'The collector did not say which rules are armed'), el('p', {}, 'A token of some projects is not told which series there are.'));
  const found = rules.unarmed.filter((r) => JSON.stringify([r.name, r.missing]).toLowerCase().includes(wanted));
  if (!found.length) {
    const why = rules.unarmed.length ? 'No rule matches this filter' : rules.count ? 'Every alert rule is armed' : 'No alert rules are loaded';
    return el('div', { class: 'message' }, el('strong', {}, why), el('p', {}, 'A rule is armed when every series it looks at is there.'));
  }
  const columns = ['Rule', 'Can not fire without', 'What brings it'].map((label) => ({ label }));
  const lines = (r, pick) => (r.missing ?? []).map((m) => el('div', {}, pick(m)));
  return sheet('Rules that are not armed', columns, found.map((r) => [
    cell('', {}, el('strong', {}, cut(r.name, 80))),
    cell('text', {}, lines(r, (m) => el('code', { title: m.selector }, cut(m.selector, 160)))),
    cell('text', {}, lines(r, (m) => cut(m.hint || 'An agent that delivers it. plimsoll-agent doctor says what it can and cannot see.', 240))),
  ]));
}

/** noisyRules is filled when it is unfolded: the collector reads days for it. It is one element, which stays over every draw. */
export function noisyRules() {
  const list = el('div', { role: 'status' });
  const fold = el('details', { class: 'noisy' }, el('summary', {}, 'Noisy rules of the last 5 days'), list);
  fold.addEventListener('toggle', async () => {
    if (!fold.open) return;
    list.textContent = 'Reading what fired…';
    try {
      const { rules } = await apiData('/api/alerts/noise', { window: '5d' });
      list.replaceChildren(rules.length ? el('ul', {}, rules.slice(0, MOST_NOISY).map(noise)) : 'No rule fired.');
    } catch (err) {
      list.textContent = `Noise could not be read: ${err.message}`;
    }
  });
  return fold;
}

function noise({ rule, severity, fired, short, silenced = 0, acknowledged = 0, released = 0, neverActed, lastFired }) {
  const answers = [[silenced, 'silenced'], [acknowledged, 'acknowledged'], [released, 'followed by a release']];
  const acted = neverActed ? 'never acted on: no silence, acknowledgement or release' : `of them ${answers.filter(([n]) => n).map(([n, how]) => `${n} ${how}`).join(', ')}`;
  return el('li', {}, el('strong', {}, cut(rule, 80)), ` ${severity || 'none'}: fired ${fired}×, ${short} shorter than 5 min, ${acted}; last ${ago(Date.parse(lastFired))}`);
}
