// Holds a dashboard's variables: their options, read from the collector, and their values, read from the address.
import { apiData } from './api.js';
import { interpolateQuery } from './interpolate.js';

export const ALL = '$__all';
const MOST_OPTIONS = 2000;

export class Variables {
  /** list is templating.list of the dashboard; fromURL maps names to values. */
  constructor(list, fromURL) {
    this.list = (list ?? []).map((model) => new Variable(model, fromURL.get(model.name)));
    this.byName = new Map(this.list.map((v) => [v.name, v]));
    this.lookup = (name) => { const v = this.byName.get(name); return v && v.type !== 'datasource' ? v.current() : null; };
  }

  /** strange lists {name, label, values} whose value is not among the choices: no series carries it now. */
  strange() {
    return this.list.filter((v) => !v.hidden && !v.error && v.options.length > 0)
      .map((v) => ({ name: v.name, label: v.label, values: v.values.filter((x) => x !== ALL && !v.options.some((o) => o.value === x)) })).filter((v) => v.values.length > 0);
  }

  /** settle finds a value for those that have none yet, in their order; it asks only for what it needs. */
  async settle(scope) {
    for (const v of this.list) if (v.values.length === 0) await v.load(scope);
  }

  /** loadOptions fills the menus. A variable whose own query fails keeps its value and says why. */
  async loadOptions(scope) {
    await Promise.all(this.list.map((v) => v.load(scope)));
  }

  /** set changes one; those whose query uses it are read again and lose values that are no longer there. */
  async set(name, values, scope) {
    const changed = this.byName.get(name);
    changed.values = values;
    for (const v of this.list) {
      if (v === changed || !v.uses(name)) continue;
      await v.load(scope);
      v.dropMissing();
    }
  }

  /** asQuery lists name and values for the address, defaults included, so that a pasted link shows the same to everyone. */
  asQuery() {
    return this.list.filter((v) => v.inAddress()).map((v) => [v.name, v.values.map((x) => (x === ALL ? 'All' : x))]);
  }
}

class Variable {
  constructor(model, given) {
    this.name = model.name;
    this.label = model.label || model.name;
    this.type = model.type;
    this.model = model;
    this.multi = Boolean(model.multi);
    this.includeAll = Boolean(model.includeAll);
    this.hidden = model.type === 'datasource' || model.type === 'constant' || model.type === 'adhoc' || model.hide === 2;
    this.query = typeof model.query === 'string' ? model.query : model.query?.query ?? model.definition ?? '';
    this.options = [];
    this.error = null;
    this.values = this.clean(given) ?? this.initial();
  }

  inAddress() {
    return !this.hidden && this.values.length > 0;
  }

  uses(name) {
    return new RegExp(`\\$\\{?${name}\\b|\\[\\[${name}\\b`).test(this.query);
  }

  /** current is what queries see; null for a variable without any value. */
  current() {
    const all = this.values.includes(ALL);
    const values = all ? this.options.map((o) => o.value) : this.values;
    return { name: this.name, values: values.length > 0 ? values : [''], all, allValue: this.model.allValue || null };
  }

  /** text names the value for a person. */
  text() {
    if (this.values.includes(ALL)) return 'All';
    if (this.values.length === 0) return 'none';
    return this.values.map((v) => this.options.find((o) => o.value === v)?.text ?? v).join(' + ');
  }

  clean(given) {
    if (!given || given.length === 0) return null;
    const values = given.map((v) => (this.includeAll && v === 'All' ? ALL : v)).filter((v) => v !== '');
    if (values.length === 0) return null;
    if (values.includes(ALL)) return this.includeAll ? [ALL] : null;
    return this.multi ? [...new Set(values)] : values.slice(0, 1);
  }

  initial() {
    if (this.type === 'datasource') return [''];
    if (this.type === 'constant' || this.type === 'textbox') return this.query ? [this.query] : [''];
    const saved = this.clean([this.model.current?.value].flat().filter((v) => typeof v === 'string'));
    if (saved) return saved;
    return this.includeAll ? [ALL] : [];
  }

  async load(scope) {
    this.error = null;
    try {
      this.options = await this.readOptions(scope);
    } catch (err) {
      this.error = err.message;
    }
    if (this.values.length === 0) this.values = this.options.slice(0, 1).map((o) => o.value);
  }

  dropMissing() {
    if (this.error || this.values.includes(ALL)) return;
    this.values = this.values.filter((v) => this.options.some((o) => o.value === v));
    if (this.values.length === 0) this.values = this.includeAll ? [ALL] : this.options.slice(0, 1).map((o) => o.value);
  }

  async readOptions(scope) {
    if (this.type === 'custom' || this.type === 'interval') return this.query.split(',').map((part) => {
      const [text, value] = part.split(/\s+:\s+/);
      return { text: text.trim(), value: (value ?? text).trim() };
    });
    if (this.type !== 'query') return this.values.map((v) => ({ text: v, value: v }));
    return this.arrange(await this.ask(interpolateQuery(this.query, scope), scope));
  }

  async ask(query, scope) {
    const time = { start: scope.builtin.__from / 1000, end: scope.builtin.__to / 1000 };
    const values = /^\s*label_values\(\s*(?:([\s\S]+),)?\s*([a-zA-Z_]\w*)\s*\)\s*$/.exec(query);
    if (values) return apiData(`/api/v1/label/${values[2]}/values`, { 'match[]': values[1]?.trim(), ...time });
    const result = /^\s*query_result\(([\s\S]+)\)\s*$/.exec(query);
    if (!result) throw new Error(`Variable ${this.name}: this page reads label_values(…) and query_result(…), not “${query}”.`);
    const data = await apiData('/api/v1/query', { query: result[1], time: time.end });
    return data.result.map(({ metric, value }) => {
      const { __name__: name = '', ...labels } = metric;
      const text = Object.entries(labels).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(',');
      return `${name}{${text}} ${value[1]} ${value[0] * 1000}`;
    });
  }

  /** arrange applies the variable's regex and sort order. */
  arrange(values) {
    const pattern = this.model.regex ? /^\/(.*)\/([a-z]*)$/.exec(this.model.regex) ?? [null, this.model.regex, ''] : null;
    const regex = pattern && new RegExp(pattern[1], pattern[2].replace('g', ''));
    const picked = values.filter((v) => v !== '').map((v) => {
      if (!regex) return v;
      const m = regex.exec(v);
      return m ? m.groups?.value ?? m[1] ?? m[0] : null;
    }).filter((v) => v !== null);
    const sort = this.model.sort ?? 0;
    const unique = [...new Set(picked)];
    if (sort) unique.sort((a, b) => (sort % 2 ? 1 : -1) * a.localeCompare(b, undefined, { numeric: sort === 3 || sort === 4, sensitivity: sort > 4 ? 'base' : 'variant' }));
    return unique.slice(0, MOST_OPTIONS).map((v) => ({ text: v, value: v }));
  }
}
