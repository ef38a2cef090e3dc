// Draws lines, bars and stacks over time with uPlot; the legend is a table one can read and operate without a mouse.
import { el } from '../dom.js';
import { alpha } from '../colors.js';
import { fieldConfig } from '../fieldconfig.js';
import { axisLabels, formatText } from '../format.js';
import { linkURL } from '../link.js';
import { reduce } from '../reduce.js';
import { align, isolated, stack } from './grid.js';
import { drawLegend } from './legend.js';
import { timeAxis, thresholdLines } from './axes.js';
import { markers } from './markers.js';
import { tooltip } from './tooltip.js';

/** Distances between ticks of an axis in bytes: 1, 2, 4 … so that labels are whole KiB, MiB, GiB. */
const BINARY_STEPS = Array.from({ length: 60 }, (_, i) => 2 ** i);
const SYNC = 'plimsoll'; // one crosshair over all charts of a page

export function drawTimeseries(body, { model, ctx, result, hidden, redraw }) {
  const palette = ctx.palette();
  const lines = describe(model, result, palette);
  const shown = lines.filter((l) => !hidden.has(l.name));
  const chart = el('div', { class: 'chart', role: 'img', 'aria-label': summary(model, lines) });
  const legend = drawLegend(model, lines, { hidden, redraw, focus: (name) => highlight(name), linkOf });
  const aside = legend && model.options?.legend?.placement === 'right' && body.clientWidth > 520;
  body.append(el('div', { class: `plot ${aside ? 'aside' : ''}` }, chart, legend));

  const grid = align(shown.map((l) => l.series), result.range, result.step);
  const signed = shown.map((l, i) => (l.negative ? grid.values[i].map((v) => (v === null ? null : -v)) : grid.values[i]));
  const stacked = stack(signed, shown.map((l) => l.group), shown.map((l) => l.custom.drawStyle === 'bars'));
  const plot = new uPlot(options(model, ctx, result, shown, grid, signed, stacked, palette, chart), [grid.times, ...stacked.values], chart);
  chart.addEventListener('dblclick', () => ctx.zoomOut());

  function linkOf({ config, labels, name, last }) {
    const link = config.links?.find((l) => l.url);
    return link && { title: link.title || 'Open', href: linkURL(link.url, { labels, fields: labels, name, raw: last, text: last }, ctx.view, result.scope) };
  }

  function highlight(name) {
    const i = shown.findIndex((l) => l.name === name);
    plot.setSeries(i < 0 ? null : i + 1, { focus: true });
  }

  const resizes = new ResizeObserver(() => {
    if (chart.clientWidth > 0) plot.setSize({ width: chart.clientWidth, height: chart.clientHeight });
  });
  resizes.observe(chart);
  return () => {
    resizes.disconnect();
    plot.destroy();
  };
}

/** describe gives every series its name, its colour, its style and its figures. */
function describe(model, result, palette) {
  const series = result.series.filter((s) => s.format !== 'table' || s.times.length > 1);
  const configs = series.map((s) => fieldConfig(model, { name: s.name, refId: s.refId, numeric: true }));
  const own = palette.series(series.map((s) => s.name));
  return series.map((s, i) => {
    const config = configs[i];
    const { custom } = config;
    const fixed = config.color?.mode === 'fixed' || config.color?.mode === 'shades' ? palette.named(config.color.fixedColor) : null;
    const stacking = custom.stacking?.mode ?? 'none';
    return {
      series: s, config, custom,
      name: config.displayName || s.name,
      labels: s.labels,
      color: fixed ?? own[i],
      dash: custom.lineStyle?.fill === 'dash' ? custom.lineStyle.dash ?? [8, 6] : custom.lineStyle?.fill === 'dot' ? [1, 5] : null,
      negative: custom.transform === 'negative-Y',
      group: stacking === 'none' ? null : `${custom.stacking.group ?? 'A'}/${custom.transform ?? ''}`,
      last: reduce(s.values),
      max: reduce(s.values, 'max'),
    };
  });
}

function options(model, ctx, result, lines, grid, raw, stacked, palette, chart) {
  const main = lines.find((l) => !l.dash) ?? lines[0];
  const unit = main?.config.unit ?? model.fieldConfig?.defaults?.unit ?? '';
  const ink = palette.token('--muted');
  const gridLine = { stroke: palette.token('--grid'), width: 1 };
  const text = (values) => axisLabels(values, unit, main?.config.decimals ?? null);
  return {
    width: Math.max(60, chart.clientWidth),
    height: Math.max(40, chart.clientHeight),
    padding: [8, 18, 0, 0], // the last time below the axis is written in full
    legend: { show: false },
    cursor: {
      sync: { key: SYNC, setSeries: false },
      focus: { prox: 24 },
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => null },
    },
    focus: { alpha: 0.35 },
    scales: {
      x: { time: true, range: () => [result.range.from / 1000, result.range.to / 1000] },
      y: { range: (_, low, high) => yRange(low, high, main?.config ?? {}) },
    },
    axes: [
      timeAxis(ink, gridLine),
      { stroke: ink, grid: gridLine, ticks: { show: false }, font: '11px system-ui, sans-serif', gap: 6, incrs: /^(bytes|binBps)$/.test(unit) ? BINARY_STEPS : undefined, values: (_, splits) => text(splits), size: (u, values) => widest(u, values), space: 34,
        label: main?.custom.axisLabel || undefined, labelSize: main?.custom.axisLabel ? 16 : 0, labelFont: '11px system-ui, sans-serif' },
    ],
    series: [{}, ...lines.map((l, i) => line(l, grid, i, stacked))],
    bands: stacked.bands.map(([upper, lower]) => ({ series: [upper + 1, lower + 1], fill: alpha(lines[upper].color, fillShare(lines[upper])) })),
    hooks: {
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        ctx.setRange(Math.round(u.posToVal(u.select.left, 'x') * 1000), Math.round(u.posToVal(u.select.left + u.select.width, 'x') * 1000));
      }],
    },
    plugins: [
      thresholdLines(model.fieldConfig?.defaults ?? {}, palette),
      markers(ctx.marks, palette),
      tooltip(lines, (i, index) => raw[i]?.[index] ?? null, (v, config) => formatText(v, config.unit, config.decimals ?? null), ctx.marks, palette),
    ],
  };
}

function line(l, grid, i, stacked) {
  const { custom } = l;
  const bars = custom.drawStyle === 'bars';
  const lone = isolated(grid.values[i]);
  const onBand = stacked.bands.some(([upper]) => upper === i);
  return {
    label: l.name,
    stroke: l.color,
    width: custom.lineWidth ?? 1.5,
    dash: l.dash ?? undefined,
    fill: onBand || fillShare(l) === 0 ? undefined : alpha(l.color, fillShare(l)),
    spanGaps: custom.spanNulls === true,
    pxAlign: 0, // no steps in slow slopes
    paths: bars ? uPlot.paths.bars({ size: [0.8, 40] }) : custom.drawStyle === 'points' ? () => null : undefined,
    points: custom.drawStyle === 'points' || custom.showPoints === 'always' ? { show: true, size: custom.pointSize ?? 5 } : { show: lone.length > 0 && !bars, size: 4, fill: l.color, filter: () => lone },
  };
}

/** Stacked bars overlap, so they are solid. */
const fillShare = (l) => (l.dash ? 0 : l.group && l.custom.drawStyle === 'bars' ? 1 : (l.custom.fillOpacity ?? 0) / 100);

/** yRange starts at zero unless values go below it, and leaves a little air above. */
function yRange(low, high, config) {
  if (low === null || high === null) return [config.min ?? 0, config.max ?? 1];
  const air = (high - Math.min(low, 0)) * 0.06;
  const min = config.min ?? (low >= 0 ? 0 : low - air);
  const max = Math.max(config.max ?? -Infinity, high <= 0 ? 0 : high + air); // a value over the expected maximum stays in the chart
  return min < max ? [min, max] : [min, min + 1];
}

function widest(u, values) {
  if (!values?.length) return 40;
  u.ctx.save();
  u.ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  const width = Math.max(...values.map((v) => u.ctx.measureText(v).width)) / devicePixelRatio;
  u.ctx.restore();
  return Math.ceil(width) + 14;
}

/** summary is what the chart says to someone who cannot see it. */
function summary(model, lines) {
  const top = [...lines].sort((a, b) => (b.last ?? -Infinity) - (a.last ?? -Infinity)).slice(0, 3);
  const parts = top.map((l) => `${l.name} ${formatText(l.last, l.config.unit, l.config.decimals ?? null)}`);
  return `${model.title ?? 'Chart'}, ${lines.length} series. Last: ${parts.join('; ')}`;
}
