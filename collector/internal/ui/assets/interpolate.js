// Puts variables into queries and links. Where a variable stands decides how its value is written: a regular expression in =~ and !~, a quoted string elsewhere.

/** The names Grafana accepts: $name, ${name}, ${name:format}, [[name]]. */
const VARIABLE = /\$(\w+)|\$\{(\w+)(?::([\w]+))?\}|\[\[(\w+)(?::([\w]+))?\]\]/g;

/**
 * interpolateQuery writes a PromQL expression. scope.vars(name) gives {values, all, allValue} or null; scope.builtin maps __interval and its like to text.
 * Unknown names stay as they are: "$1" in label_replace is none of ours.
 */
export function interpolateQuery(expr, scope) {
  const literals = findLiterals(expr);
  return expr.replace(VARIABLE, (whole, plain, braced, braceFormat, bracket, bracketFormat, offset) => {
    const name = plain ?? braced ?? bracket;
    if (name in scope.builtin) return scope.builtin[name];
    const variable = scope.vars(name);
    if (!variable) return whole;
    const literal = literals.find((l) => offset > l.start && offset < l.end);
    const format = braceFormat ?? bracketFormat ?? (literal ? (literal.regex ? 'matcher' : 'string') : 'raw');
    if (variable.all && (format === 'matcher' || format === 'string' || format === 'regex')) return variable.allValue ?? '.*';
    return write(variable, format, literal?.quote ?? '"');
  });
}

function write(variable, format, quote) {
  const { values } = variable;
  switch (format) {
    case 'matcher': {
      const alternatives = values.map((v) => quoteText(escapeRegex(v), quote));
      return alternatives.length === 1 ? alternatives[0] : `(${alternatives.join('|')})`;
    }
    case 'string': return values.map((v) => quoteText(v, quote)).join('|');
    case 'regex': return values.length === 1 ? escapeRegex(values[0]) : `(${values.map(escapeRegex).join('|')})`;
    case 'pipe': return values.join('|');
    case 'queryparam': return (variable.all ? ['$__all'] : values).map((v) => `var-${variable.name}=${encodeURIComponent(v)}`).join('&');
    case 'percentencode': return encodeURIComponent(values.join(','));
    case 'text': return variable.all ? 'All' : values.join(' + ');
    default: return values.join(',');
  }
}

/** escapeRegex makes a value match itself only, in RE2. */
export function escapeRegex(value) {
  return value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function quoteText(value, quote) {
  if (quote === '`') return value.replaceAll('`', '.'); // a raw string cannot hold its own quote: match any character there
  return value.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`).replaceAll('\n', '\\n');
}

/** findLiterals lists the string literals of an expression: where they stand, their quote, and whether a regex operator precedes them. */
export function findLiterals(expr) {
  const found = [];
  for (let i = 0; i < expr.length; i++) {
    const quote = expr[i];
    if (quote === '#') { // a comment runs to the end of its line
      while (i < expr.length && expr[i] !== '\n') i++;
      continue;
    }
    if (quote !== '"' && quote !== "'" && quote !== '`') continue;
    const start = i;
    for (i++; i < expr.length && expr[i] !== quote; i++) if (expr[i] === '\\' && quote !== '`') i++;
    found.push({ start, end: i, quote, regex: /[=!]~\s*$/.test(expr.slice(0, start)) });
  }
  return found;
}

/** scopeOf collects what every panel's queries may use. step is in seconds; a rate needs at least four scrapes of 15 s. */
export function scopeOf(range, vars, stepSeconds, scrapeSeconds = 15) {
  const rangeSeconds = Math.max(1, Math.round((range.to - range.from) / 1000));
  return {
    vars,
    builtin: {
      __interval: `${stepSeconds}s`,
      __interval_ms: String(stepSeconds * 1000),
      __rate_interval: `${Math.max(4 * scrapeSeconds, stepSeconds + scrapeSeconds)}s`,
      __range: `${rangeSeconds}s`,
      __range_s: String(rangeSeconds),
      __range_ms: String(rangeSeconds * 1000),
      __from: String(range.from),
      __to: String(range.to),
    },
  };
}

/** interpolateText is for titles and text panels: values as a person reads them. */
export function interpolateText(text, scope) {
  return text.replace(VARIABLE, (whole, plain, braced, braceFormat, bracket) => {
    const name = plain ?? braced ?? bracket;
    if (name in scope.builtin) return scope.builtin[name];
    const variable = scope.vars(name);
    return variable ? write(variable, braceFormat ?? 'text', '"') : whole;
  });
}
