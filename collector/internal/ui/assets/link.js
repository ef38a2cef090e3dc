// Fills in data links: ${__data.fields.project}, ${__field.labels.node}, ${__url_time_range}, ${cluster:queryparam} and the like.
import { safeURL } from './dom.js';

/**
 * linkURL gives the address, or null for one that may not be followed. data is {fields, labels, name, raw, text};
 * view is the page's {from, to, vars}; scope is that of interpolate.js.
 */
export function linkURL(template, data, view, scope) {
  const encode = encodeURIComponent;
  const url = template.replace(/\$\{(__[^}]+)\}|\$(__url_time_range|__all_variables)|\$\{(\w+)(?::(\w+))?\}|\$(\w+)/g,
    (whole, inner, bare, name, format, plain) => {
      if (inner ?? bare) return builtin(inner ?? bare, data, view, scope) ?? whole;
      return variable(name ?? plain, format, scope) ?? whole;
    });
  return safeURL(url.replace(/([?&])&+/g, '$1').replace(/[?&]$/, ''));

  function variable(wanted, format, { vars, builtin: known }) {
    if (wanted in known) return encode(known[wanted]);
    const v = vars(wanted);
    if (!v) return wanted === 'datasource' ? '' : null; // here there is one, the collector
    const values = v.all ? ['All'] : v.values;
    if (format === 'queryparam') return values.map((x) => `var-${encode(wanted)}=${encode(x)}`).join('&');
    return encode(values.join(','));
  }
}

function builtin(inner, data, view, scope) {
  const encode = (v) => (v === undefined || v === null ? '' : encodeURIComponent(v));
  const field = /^__data\.fields(?:\.([\w:]+)|\[\s*["']?([^"'\]]+)["']?\s*\])(?:\.(\w+))?$/.exec(inner.replace(/:\w+$/, ''));
  if (field) return encode(data.fields?.[field[1] ?? field[2]]);
  const label = /^__(?:field|series)\.labels(?:\.([\w:]+)|\[\s*["']?([^"'\]]+)["']?\s*\])$/.exec(inner);
  if (label) return encode(data.labels?.[label[1] ?? label[2]] ?? data.fields?.[label[1] ?? label[2]]);
  switch (inner) {
    case '__url_time_range': return `from=${encode(view.from)}&to=${encode(view.to)}`;
    case '__all_variables': return allVariables(view, encode);
    case '__value.raw': case '__value.numeric': return encode(data.raw);
    case '__value.text': return encode(data.text);
    case '__field.name': case '__series.name': return encode(data.name);
    case '__from': case '__to': return encode(scope.builtin[inner]);
    default: return null;
  }
}

function allVariables(view, encode) {
  const parts = [];
  for (const [name, values] of view.vars) for (const v of values) parts.push(`var-${encode(name)}=${encode(v)}`);
  return parts.join('&');
}
