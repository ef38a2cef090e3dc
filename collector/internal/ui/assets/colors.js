// Turns colour names of the dashboards into colours of the current theme.

const SERIES = 8; // --series-0 … --series-7 of theme.css

/** Colours as Grafana names them; shades ("dark-", "semi-dark-", "light-", "super-light-") share their base. */
const NAMED = { red: '--mark-red', orange: '--mark-orange', yellow: '--mark-yellow', green: '--mark-green', blue: '--blue', purple: '--purple', text: '--ink', transparent: 'transparent', grey: '--muted', gray: '--muted', white: '--ink', black: '--ink' };

/** Palette reads the theme once; make a new one when the theme changes. */
export class Palette {
  constructor() {
    this.probe = document.createElement('i');
    this.probe.hidden = true;
    document.body.append(this.probe);
    this.cache = new Map();
    for (let i = 0; i < SERIES; i++) this.token(`--series-${i}`);
    for (const t of ['--ink', '--muted', '--line', '--grid', '--surface', '--red', '--orange', '--mark-red', '--mark-orange', '--mark-yellow', '--mark-green', '--blue', '--purple']) this.token(t);
    this.probe.remove();
  }

  token(name) {
    if (!this.cache.has(name)) {
      this.probe.style.color = `var(${name})`;
      this.cache.set(name, getComputedStyle(this.probe).color);
    }
    return this.cache.get(name);
  }

  named(color) {
    if (!color) return null;
    if (/^(#|rgb|hsl)/i.test(color)) return color;
    const base = color.replace(/^(super-light|semi-dark|light|dark)-/, '');
    const token = NAMED[base];
    return token ? (token.startsWith('--') ? this.token(token) : token) : this.token('--muted');
  }

  /** series gives every name a colour that stays its own from one refresh to the next as far as eight colours allow. */
  series(names) {
    const taken = new Array(SERIES).fill(0);
    return names.map((name) => {
      let i = hash(name) % SERIES;
      const least = Math.min(...taken);
      while (taken[i] > least) i = (i + 1) % SERIES;
      taken[i]++;
      return this.token(`--series-${i}`);
    });
  }
}

/** alpha thins an rgb() colour. */
export function alpha(color, share) {
  const m = /^rgba?\(([^)]+)\)$/.exec(color);
  if (m) return `rgba(${m[1].split(/[,/]\s*|\s+/).filter(Boolean).slice(0, 3).join(', ')}, ${share})`;
  const hex = /^#([0-9a-f]{6})$/i.exec(color);
  return hex ? `${color}${Math.round(share * 255).toString(16).padStart(2, '0')}` : color;
}

function hash(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  h ^= h >>> 13;
  return (Math.imul(h, 0x5bd1e995) ^ (h >>> 15)) >>> 0;
}
