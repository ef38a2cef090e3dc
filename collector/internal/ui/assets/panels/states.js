// Draws one lane per series, coloured by the state each stretch of time was in.
import { cut, el } from '../dom.js';
import { fieldConfig, show } from '../fieldconfig.js';
import { stamp } from '../time.js';

const MOST_LANES = 40;

export function drawStates(body, { model, ctx, result }) {
  const palette = ctx.palette();
  const { from, to } = result.range;
  const lanes = el('ul', { class: 'lanes' });
  for (const series of result.series.slice(0, MOST_LANES)) {
    const config = fieldConfig(model, { name: series.name, refId: series.refId, numeric: true });
    const lane = el('span', { class: 'lane' });
    for (const run of runs(series, result.step)) {
      const shown = show(run.value, config);
      const left = Math.max(0, (run.start * 1000 - from) / (to - from));
      const right = Math.min(1, (run.end * 1000 - from) / (to - from));
      lane.append(el('i', {
        title: `${shown.text} · ${stamp(run.start * 1000)} to ${stamp(run.end * 1000)}`,
        style: { left: `${left * 100}%`, width: `${Math.max(0.2, (right - left) * 100)}%`, background: palette.named(shown.color) ?? palette.token('--series-0') },
      }));
    }
    const name = config.displayName || series.name;
    lanes.append(el('li', {}, el('span', { class: 'name', title: name }, cut(name, 60)), lane));
  }
  body.append(lanes);
  const middle = (from + to) / 2;
  body.append(el('div', { class: 'lane-axis' }, [from, middle, to].map((t) => el('span', {}, stamp(t)))));
  if (result.series.length > MOST_LANES) body.append(el('p', { class: 'strip' }, `${result.series.length - MOST_LANES} more are not shown.`));
}

/** runs joins neighbouring points of one value; a missing point ends the run. */
export function runs(series, step) {
  const out = [];
  series.times.forEach((t, i) => {
    const value = series.values[i];
    const last = out.at(-1);
    if (last && last.value === value && t - last.end <= step * 0.5) last.end = t + step;
    else out.push({ value, start: t, end: t + step });
  });
  return out;
}
