// Knows where the collector's pages are, and keeps the view in the address, so that every view is a link one can paste: from, to, refresh, viewPanel, var-NAME (as Grafana spells them).

/** ROOT is the path under which this collector is reached: "/", or "/plimsoll/" behind a proxy. This file is ROOT + "ui/assets/VERSION/url.js". */
const ROOT = new URL('../../../', import.meta.url).pathname;

/** at turns a path of the collector, "/alerts", into one a browser can follow. */
export const at = (path) => ROOT + path.slice(1);

/** readView reads an address's query; absent fields are null and vars maps a name to its values. */
export function readView(search = location.search) {
  const query = new URLSearchParams(search);
  const vars = new Map();
  for (const [key, value] of query) {
    if (!key.startsWith('var-')) continue;
    const name = key.slice(4);
    vars.set(name, [...(vars.get(name) ?? []), value]);
  }
  return { from: query.get('from'), to: query.get('to'), refresh: query.get('refresh'), viewPanel: query.get('viewPanel'), vars };
}

/** viewQuery is the inverse: "?from=…", or "" where nothing is set. */
export function viewQuery(view) {
  const query = new URLSearchParams();
  for (const key of ['from', 'to', 'refresh', 'viewPanel']) {
    if (view[key] !== null && view[key] !== undefined) query.set(key, view[key]);
  }
  for (const [name, values] of view.vars ?? []) for (const v of values) query.append(`var-${name}`, v);
  const text = query.toString();
  return text ? `?${text}` : '';
}

/** dashboardLink leads to another dashboard with the same time and variables. */
export function dashboardLink(uid, view) {
  return `${at('/d/')}${encodeURIComponent(uid)}${viewQuery({ ...view, viewPanel: null, refresh: null })}`;
}

/** vmuiLink opens expressions in vmui, one chart each, over a range in milliseconds. */
export function vmuiLink(exprs, range) {
  const query = new URLSearchParams();
  exprs.forEach((expr, i) => {
    query.set(`g${i}.expr`, expr);
    query.set(`g${i}.range_input`, `${Math.max(1, Math.round((range.to - range.from) / 1000))}s`);
    query.set(`g${i}.end_input`, new Date(range.to).toISOString().slice(0, 19));
    query.set(`g${i}.relative_time`, 'none');
  });
  return `${at('/vmui/')}#/?${query}`;
}
