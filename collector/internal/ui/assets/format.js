// Writes a number in its unit, the way Grafana's unit ids mean it.

const IEC = { base: 1024, names: ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] };
const SI_BYTES = { base: 1000, names: ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] };
const SI_BITS = { base: 1000, names: ['b', 'kb', 'Mb', 'Gb', 'Tb', 'Pb'] };
const COUNT = { base: 1000, names: ['', 'k', 'M', 'G', 'T', 'P'] };
const perSecond = (ladder) => ({ base: ladder.base, names: ladder.names.map((n) => `${n}/s`) });
const counted = (what) => ({ base: 1000, names: COUNT.names.map((n) => `${n} ${what}`) });

const LADDERS = {
  short: COUNT, bytes: IEC, decbytes: SI_BYTES, bits: SI_BITS, decbits: SI_BITS,
  Bps: perSecond(SI_BYTES), binBps: perSecond(IEC), bps: perSecond(SI_BITS),
  ops: counted('ops/s'), reqps: counted('req/s'), rps: counted('reads/s'), wps: counted('writes/s'),
  iops: counted('io/s'), pps: counted('packets/s'), cps: counted('/s'), eps: counted('events/s'), mps: counted('msg/s'),
};

const SECONDS = { s: 1, ms: 1e-3, us: 1e-6, 'µs': 1e-6, ns: 1e-9, m: 60, h: 3600, d: 86400, dtdurations: 1, dtdurationms: 1e-3 };
const TIME_STEPS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']];

/** scaleFor picks the step of the unit's ladder that suits a size: {divisor, unit}. */
export function scaleFor(unit, size) {
  const abs = Math.abs(size);
  if (unit === 'percentunit') return { divisor: 0.01, unit: '%' };
  if (unit === 'percent') return { divisor: 1, unit: '%' };
  const ladder = LADDERS[unit];
  if (ladder) {
    let i = 0;
    while (i < ladder.names.length - 1 && abs / ladder.base ** i >= ladder.base * 0.9995) i++;
    return { divisor: ladder.base ** i, unit: ladder.names[i].trim() };
  }
  if (unit in SECONDS) {
    const seconds = abs * SECONDS[unit];
    const [step, name] = seconds === 0 ? [1, 's'] : (TIME_STEPS.find(([s]) => seconds >= s * 0.9995) ?? TIME_STEPS.at(-1));
    return { divisor: step / SECONDS[unit], unit: name };
  }
  return { divisor: 1, unit: !unit || unit === 'none' || unit === 'string' ? '' : unit.replace(/^suffix:/, '') };
}

/** format gives {value, unit}, apart so that a big figure can carry a small unit. decimals null picks three significant digits. */
export function format(number, unit = '', decimals = null) {
  if (number === null || number === undefined || Number.isNaN(number)) return { value: '–', unit: '' };
  if (!Number.isFinite(number)) return { value: number > 0 ? '∞' : '-∞', unit: '' };
  if (unit.startsWith('dateTime')) return { value: dateText(number, unit), unit: '' };
  if (unit === 'bool' || unit === 'bool_yes_no') return { value: number ? 'yes' : 'no', unit: '' };
  if (unit.startsWith('prefix:')) return { value: unit.slice(7) + digits(number, decimals), unit: '' };
  const scale = scaleFor(unit, number);
  return { value: digits(number / scale.divisor, decimals), unit: scale.unit };
}

/** formatText joins the two: "1.5 GiB", "12.3%", "4.2k". */
export function formatText(number, unit, decimals) {
  const { value, unit: name } = format(number, unit, decimals);
  return join(value, name);
}

export function join(value, unit) {
  if (!unit) return value;
  return /^[%kMGTP]$/.test(unit) ? value + unit : `${value}\u00a0${unit}`;
}

function digits(n, decimals) {
  const abs = Math.abs(n);
  if (typeof decimals === 'number') return n.toFixed(Math.min(decimals, 12));
  if (abs < 1e-10) return '0'; // what is left of a subtraction
  if (abs >= 100 || Number.isInteger(n)) return String(Math.round(n));
  if (abs < 0.0005) return n.toExponential(1);
  const places = abs >= 10 ? 1 : abs >= 1 ? 2 : 3;
  return n.toFixed(places).replace(/\.?0+$/, '') || '0';
}

function dateText(ms, unit) {
  const d = new Date(ms);
  if (unit === 'dateTimeFromNow') {
    const s = Math.round((Date.now() - ms) / 1000);
    return `${formatText(Math.abs(s), 's', 0)} ${s < 0 ? 'ahead' : 'ago'}`;
  }
  const two = (n) => String(n).padStart(2, '0');
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** axisLabels writes all ticks of an axis on one step of the ladder, with as many decimals as their distance needs. */
export function axisLabels(ticks, unit, decimals = null) {
  const biggest = Math.max(...ticks.map(Math.abs), 0);
  if (unit?.startsWith('dateTime') || unit?.startsWith('prefix:')) return ticks.map((t) => formatText(t, unit, decimals));
  const scale = scaleFor(unit ?? '', biggest);
  const exact = (places) => ticks.every((t) => {
    const shifted = (t / scale.divisor) * 10 ** places;
    return Math.abs(shifted - Math.round(shifted)) < 1e-4;
  });
  const places = decimals ?? [0, 1, 2, 3, 4, 5].find(exact) ?? 6;
  return ticks.map((t) => (t === 0 ? '0' : join((t / scale.divisor).toFixed(places), scale.unit)));
}
