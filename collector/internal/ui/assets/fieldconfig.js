// Resolves what a panel's JSON says about one field: defaults first, then every override that matches it.
import { formatText } from './format.js';

/** fieldConfig returns {unit, decimals, min, max, thresholds, mappings, links, displayName, color, custom:{…}} for {name, refId, numeric}. */
export function fieldConfig(model, field) {
  const defaults = model.fieldConfig?.defaults ?? {};
  const config = { ...defaults, custom: { ...(defaults.custom ?? {}) } };
  for (const override of model.fieldConfig?.overrides ?? []) {
    if (!matches(override.matcher, field)) continue;
    for (const { id, value } of override.properties ?? []) {
      if (id.startsWith('custom.')) setPath(config.custom, id.slice(7), value);
      else config[id] = value;
    }
  }
  return config;
}

function setPath(target, path, value) {
  const keys = path.split('.');
  const last = keys.pop();
  for (const key of keys) target = target[key] = { ...(target[key] ?? {}) };
  target[last] = value;
}

function matches(matcher, field) {
  const { id, options } = matcher ?? {};
  switch (id) {
    case 'byName': return options === field.name;
    case 'byNames': return (options?.names ?? []).includes(field.name) !== (options?.mode === 'exclude');
    case 'byRegexp': return toRegExp(options).test(field.name);
    case 'byFrameRefID': return options === field.refId;
    case 'byType': return options === (field.numeric ? 'number' : 'string');
    default: return false;
  }
}

export function toRegExp(text) {
  const m = /^\/(.*)\/([a-z]*)$/s.exec(text ?? '');
  try {
    return m ? new RegExp(m[1], m[2].replace('g', '')) : new RegExp(text);
  } catch (_) {
    return /$^/; // a pattern that is none matches nothing
  }
}

/** show writes a value as its field says: a mapping's text, else the number in its unit. {text, color, state, mapped} */
export function show(value, config) {
  const mapped = mapping(value, config.mappings);
  const number = typeof value === 'number';
  const text = mapped?.text ?? (number || value === null ? formatText(value, config.unit, config.decimals ?? null) : String(value));
  const step = number ? threshold(value, config) : null;
  const color = mapped?.color ?? step?.color ?? null;
  return { text: value === null && config.noValue ? config.noValue : text, color, state: stateOf(color, Boolean(mapped?.text)), mapped: Boolean(mapped?.text) };
}

/** stateOf is how a colour is shown: as bad or as a warning, whichever end of the thresholds it stands at. Good is no news, unless a mapping says it in words. */
function stateOf(color, mapped) {
  const state = tone(color);
  return state !== 'good' || mapped ? state : null;
}

function mapping(value, mappings) {
  for (const m of mappings ?? []) {
    const options = m.options ?? {};
    if (m.type === 'value' && options[String(value)]) return options[String(value)];
    if (m.type === 'range' && typeof value === 'number' && value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) return options.result;
    if (m.type === 'regex' && typeof value === 'string' && toRegExp(options.pattern).test(value)) return options.result;
    if (m.type === 'special' && special(value, options.match)) return options.result;
  }
  return null;
}

function special(value, match) {
  const nothing = value === null || value === undefined;
  return { null: nothing, nan: Number.isNaN(value), 'null+nan': nothing || Number.isNaN(value), true: value === true, false: value === false, empty: value === '' }[match] ?? false;
}

/** threshold finds the step a value has reached: {value, color}. */
export function threshold(value, config) {
  const { steps = [], mode } = config.thresholds ?? {};
  if (steps.length === 0 || value === null || Number.isNaN(value)) return null;
  let at = value;
  if (mode === 'percentage') {
    const min = config.min ?? 0;
    at = ((value - min) / ((config.max ?? 100) - min)) * 100;
  }
  return steps.findLast((s, i) => i === 0 || at >= s.value);
}

/** tone says how bad a reached threshold is, by its colour: 'bad', 'warn', 'good' or null. Healthy values stay in plain ink. */
function tone(color) {
  if (/red|f2495c|e02f44|c4162a/i.test(color ?? '')) return 'bad';
  if (/orange|yellow|ff9830|fade2a|ff780a/i.test(color ?? '')) return 'warn';
  if (/green|73bf69|56a64b|37872d/i.test(color ?? '')) return 'good';
  return null;
}
