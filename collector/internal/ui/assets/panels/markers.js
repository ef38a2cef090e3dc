// Draws a dashboard's marks on a chart: a line where something began, a bar at the foot for as long as it went on.
const FOOT_PX = 3;
const MOST_LINES = 30; // more would hide the chart; what began is then told at its foot alone

/** markers redraws when the marks change. */
export function markers(marks, palette) {
  let redraw;
  const draw = (u) => {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    const [left, right] = [bbox.left, bbox.left + bbox.width];
    const foot = bbox.top + bbox.height;
    const drawn = new Set();
    const lines = new Set(marks().map((m) => Math.round(u.valToPos(m.from / 1000, 'x', true)))).size <= MOST_LINES;
    ctx.save();
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    for (const mark of marks()) {
      const x = Math.round(u.valToPos(mark.from / 1000, 'x', true)) + 0.5;
      const end = u.valToPos(mark.to / 1000, 'x', true);
      ctx.strokeStyle = ctx.fillStyle = palette.named(mark.color);
      if (end > left && x < right && end > x) ctx.fillRect(Math.max(left, x), foot - FOOT_PX * ratio, Math.min(right, end) - Math.max(left, x), FOOT_PX * ratio);
      if (x < left || x > right || drawn.has(`${x}${mark.color}`)) continue; // ten of one moment are one line
      drawn.add(`${x}${mark.color}`);
      if (lines) {
        ctx.globalAlpha = 0.7;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, foot);
        ctx.stroke();
        ctx.globalAlpha = 1;
      }
      ctx.beginPath();
      ctx.moveTo(x, foot - 5 * ratio);
      ctx.lineTo(x - 4 * ratio, foot + 2 * ratio);
      ctx.lineTo(x + 4 * ratio, foot + 2 * ratio);
      ctx.fill();
    }
    ctx.restore();
  };
  return {
    hooks: {
      init: [(u) => { redraw = () => u.redraw(false); document.addEventListener('markschange', redraw); }],
      draw: [draw],
      destroy: [() => document.removeEventListener('markschange', redraw)],
    },
  };
}

/** near lists the marks that began within a few pixels of a place on the time axis. */
export function near(u, marks, leftPx, withinPx = 6) {
  return marks.filter((m) => Math.abs(u.valToPos(m.from / 1000, 'x') - leftPx) <= withinPx);
}
