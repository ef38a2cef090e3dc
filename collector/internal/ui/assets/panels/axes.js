// The time axis in 24 hours, and thresholds as lines across a chart.
import { alpha } from '../colors.js';

const DAY_SECONDS = 86400;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export function timeAxis(ink, grid) {
  return {
    stroke: ink, grid, ticks: { show: false }, font: '11px system-ui, sans-serif', size: 24, gap: 4, space: 70,
    values: (_, splits) => splits.map((t, i) => tick(t, splits[1] - splits[0], i === 0 ? null : splits[i - 1])),
  };
}

function tick(t, gap, previous) {
  const d = new Date(t * 1000);
  const two = (n) => String(n).padStart(2, '0');
  const day = `${d.getDate()} ${MONTHS[d.getMonth()]}`;
  if (gap >= DAY_SECONDS) return day;
  const midnight = previous !== null && new Date(previous * 1000).getDate() !== d.getDate();
  if (midnight) return day;
  return `${two(d.getHours())}:${two(d.getMinutes())}${gap < 60 ? `:${two(d.getSeconds())}` : ''}`;
}

/** thresholdLines draws what fieldConfig.custom.thresholdsStyle asks for; nothing by default. */
export function thresholdLines(config, palette) {
  const mode = config.custom?.thresholdsStyle?.mode ?? 'off';
  const steps = (config.thresholds?.steps ?? []).filter((s) => typeof s.value === 'number');
  if (mode === 'off' || steps.length === 0) return { hooks: {} };
  const draw = (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const step of steps) {
      const y = Math.round(u.valToPos(step.value, 'y', true)) + 0.5;
      const color = palette.named(step.color);
      if (mode.includes('area')) {
        ctx.fillStyle = alpha(color, 0.08);
        ctx.fillRect(bbox.left, bbox.top, bbox.width, y - bbox.top);
      }
      if (mode.includes('line') || mode.includes('dashed')) {
        ctx.strokeStyle = color;
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash(mode.includes('dashed') ? [8 * devicePixelRatio, 6 * devicePixelRatio] : []);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
      }
    }
    ctx.restore();
  };
  return { hooks: { draw: [draw] } };
}
