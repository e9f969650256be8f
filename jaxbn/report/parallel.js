// Parallel coordinates: an axis for each hyperparameter, on its own scale, and one for the score. On a narrow screen
// the axes lie one below the other.

const NARROW = 640;
const BELOW = Math.fround(-0.13); // Where a trial passes an axis that it does not use.
const MOST_FAINT = 3000; // More trials than this are left out, not dimmed, when filters hide them.

function buildParallel() {
  const axes = [...searched, scoreColumn];
  byId("parallel-figure").hidden = !searched.length;
  if (!searched.length) return;
  const names = axes.map((column) => column.label).join(", ");
  const made = layers(
    byId("parallel"),
    `Parallel coordinates of ${count(numTrials, "trial")}: ${names}. The table below holds the same values.`,
    (width) => (width < NARROW ? 40 + axes.length * 58 : 380),
  );
  const frame = {};

  function fit() {
    made.fit();
    frame.turned = made.width < NARROW;
    // Room beyond the low end for what is not used.
    frame.length = frame.turned ? (made.width - 32) / (1 - BELOW) : made.height - 104;
    frame.start = frame.turned ? { across: made.width - 26 - frame.length, along: 40 } : { across: 52, along: 44 };
    const room = frame.turned ? made.height - 80 : made.width - 52 - 84;
    frame.step = axes.length > 1 ? room / (axes.length - 1) : 0;
    // Up is more; for the score, up is better, whichever direction that is.
    frame.paths = axes.map((column) => {
      const reversed = column === scoreColumn && !report.greater;
      return Float32Array.from(places(column), (at) => (Number.isNaN(at) ? BELOW : reversed ? 1 - at : at));
    });
    draw();
  }

  // From an axis and a share of it to the canvas, and back.
  function point(i, at) {
    if (frame.turned) return [frame.start.across + at * frame.length, frame.start.along + i * frame.step];
    return [frame.start.across + i * frame.step, frame.start.along + (1 - at) * frame.length];
  }

  function shareOf(x, y) {
    return frame.turned ? (x - frame.start.across) / frame.length : 1 - (y - frame.start.along) / frame.length;
  }

  function trace(context, row) {
    for (let i = 0; i < axes.length; i++) {
      const [x, y] = point(i, frame.paths[i][row]);
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
  }

  function stroke(context, rows, color, alpha, width = 1) {
    context.strokeStyle = color;
    context.globalAlpha = alpha;
    context.lineWidth = width;
    context.beginPath();
    for (const row of rows) trace(context, row);
    context.stroke();
    context.globalAlpha = 1;
  }

  function draw() {
    const context = made.clear(made.base);
    const hidden = numTrials - state.numLive;
    if (hidden && hidden <= MOST_FAINT) {
      const rows = drawn.filter((row) => !state.live[row]);
      stroke(context, rows, colors.faint, Math.min(0.3, 80 / hidden));
    }
    for (const { rows, color, alpha, failed } of strokes(made.width / 20)) {
      context.setLineDash(failed ? [2, 3] : []);
      stroke(context, rows, color, alpha);
    }
    context.setLineDash([]);
    axes.forEach((column, i) => drawAxis(context, column, i));
    drawFocus();
  }

  function drawAxis(context, column, i) {
    const [[x0, y0], [x1, y1]] = [point(i, 0), point(i, 1)];
    const filter = filters.get(column.name);
    context.strokeStyle = filter ? colors.accent : colors.line;
    context.lineWidth = filter ? 2 : 1;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
    context.textBaseline = "middle";
    const reversed = column === scoreColumn && !report.greater;
    const list = frame.turned ? thinned(ticks(column, 5), 6) : ticks(column);
    for (const [value, text] of list) {
      const at = reversed ? 1 - share(column, value) : share(column, value);
      const [x, y] = point(i, at);
      context.textAlign = frame.turned ? "center" : "left";
      const shortened = shorter(context, text, frame.turned ? frame.length / list.length - 4 : frame.step - 14);
      if (frame.turned) grounded(context, shortened, x, y + 12);
      else grounded(context, shortened, x + 7, y);
    }
    if (frame.paths[i].includes(BELOW)) unusedTick(context, column, i);
    if (filter && !filter.options) bracket(context, column, i, filter, reversed);
    context.textAlign = frame.turned ? "left" : "center";
    context.font = "600 12px system-ui, sans-serif";
    const words = column.label.split(" ");
    if (frame.turned) grounded(context, column.label, 4, y0 - 14, colors.ink);
    else
      stacked(context, words, frame.step || made.width).forEach((text, k, all) =>
        grounded(context, text, x1, y1 - 12 - 14 * (all.length - 1 - k), colors.ink),
      );
    context.font = "12px system-ui, sans-serif";
  }

  // Where the lines of those pass that have no value here; the longer words have no room on a narrow screen.
  function unusedTick(context, column, i) {
    const [x, y] = point(i, BELOW);
    context.textAlign = "center";
    grounded(context, frame.turned ? ABSENT : absentWord(column), x, y + 12);
  }

  function bracket(context, column, i, filter, reversed) {
    const ends = [filter.low, filter.high].map((value) =>
      Number.isFinite(value) ? Math.min(Math.max(share(column, value), 0), 1) : value > 0 ? 1 : 0,
    );
    const [[x0, y0], [x1, y1]] = ends.map((at) => point(i, reversed ? 1 - at : at));
    context.globalAlpha = 0.35;
    context.fillStyle = colors.accent;
    if (frame.turned) context.fillRect(Math.min(x0, x1), y0 - 6, Math.abs(x1 - x0), 12);
    else context.fillRect(x0 - 6, Math.min(y0, y1), 12, Math.abs(y1 - y0));
    context.globalAlpha = 1;
  }

  function drawFocus() {
    const context = made.clear(made.top);
    if (brush) return drawBrush(context);
    const row = focused();
    stroke(context, [row], colors.ground, 1, 5);
    stroke(context, [row], colors.ink, 1, 2.2);
    context.fillStyle = colors.ink;
    axes.forEach((_, i) => {
      context.beginPath();
      context.arc(...point(i, frame.paths[i][row]), 3.5, 0, 2 * Math.PI);
      context.fill();
    });
  }

  // The trial whose line passes nearest.
  function nearest(x, y) {
    const [place, across] = frame.turned ? [y - frame.start.along, x] : [x - frame.start.across, y];
    const i = Math.min(Math.max(Math.floor(place / frame.step) || 0, 0), Math.max(axes.length - 2, 0));
    const part = frame.step ? Math.min(Math.max(place / frame.step - i, 0), 1) : 0;
    const next = Math.min(i + 1, axes.length - 1);
    let [best, least] = [-1, 14];
    for (let k = drawn.length - 1; k >= 0; k--) {
      const row = drawn[k];
      if (!state.live[row]) continue;
      const at = frame.paths[i][row] * (1 - part) + frame.paths[next][row] * part;
      const distance = Math.abs(point(i, at)[frame.turned ? 0 : 1] - across);
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  }

  let brush = null;

  function drawBrush(context) {
    const [[x0, y0], [x1, y1]] = [brush.from, brush.to].map((at) => point(brush.axis, Math.min(Math.max(at, 0), 1)));
    context.fillStyle = colors.accent;
    context.globalAlpha = 0.4;
    if (frame.turned) context.fillRect(Math.min(x0, x1), y0 - 8, Math.abs(x1 - x0), 16);
    else context.fillRect(x0 - 8, Math.min(y0, y1), 16, Math.abs(y1 - y0));
    context.globalAlpha = 1;
  }

  function axisAt(x, y) {
    const place = frame.turned ? y - frame.start.along : x - frame.start.across;
    const i = frame.step ? Math.round(place / frame.step) : 0;
    return i >= 0 && i < axes.length && Math.abs(place - i * frame.step) < 14 ? i : -1;
  }

  made.holder.addEventListener("pointerdown", (event) => {
    const [x, y] = [event.offsetX, event.offsetY];
    const axis = axisAt(x, y);
    if (event.pointerType === "touch" || axis < 0) return;
    brush = { axis, from: shareOf(x, y), to: shareOf(x, y) };
    made.holder.setPointerCapture(event.pointerId);
  });
  made.holder.addEventListener("pointermove", (event) => {
    const [x, y] = [event.offsetX, event.offsetY];
    if (brush) {
      brush.to = shareOf(x, y);
      drawFocus();
    } else if (event.pointerType !== "touch") {
      made.holder.style.cursor = axisAt(x, y) >= 0 ? (frame.turned ? "ew-resize" : "ns-resize") : "crosshair";
      hover(nearest(x, y));
    }
  });
  made.holder.addEventListener("pointerleave", () => hover(-1));
  made.holder.addEventListener("click", (event) => {
    const done = brush;
    brush = null;
    if (done && Math.abs(done.to - done.from) * frame.length > 4) return finish(done);
    if (done && filters.has(axes[done.axis].name)) return unfilter(axes[done.axis]);
    const row = nearest(event.offsetX, event.offsetY);
    if (row >= 0) bring(row);
    return undefined;
  });

  function finish({ axis, from, to }) {
    const reversed = axes[axis] === scoreColumn && !report.greater;
    const ends = [from, to].map((at) => Math.min(Math.max(reversed ? 1 - at : at, 0), 1));
    filterBetween(axes[axis], ...ends);
  }

  on("look", fit);
  on("filter", draw);
  on("focus", drawFocus);
}

// The trials that pass the filters in a few dozen strokes, the best last. What the best have in common is what a reader
// looks for: about `crowd` of them are drawn in full, the others the fainter the further down they rank.
function strokes(crowd) {
  const rows = drawn.filter((row) => state.live[row]);
  const found = [];
  rows.forEach((row, k) => {
    const failed = Number.isNaN(scoreColumn.values[row]);
    const alpha = failed ? 0.6 : Math.min(0.95, Math.max(crowd / (rows.length - k), 0.04));
    const color = failed ? colors.failed : colors.ramp[rampStep(row)];
    const last = found.at(-1);
    if (last && last.color === color && alpha < 1.5 * last.alpha) last.rows.push(row);
    else found.push({ rows: [row], color, alpha, failed });
  });
  return found;
}

// A name over several lines, so that those of neighbouring axes do not meet.
function stacked(context, words, width) {
  const lines = [];
  for (const word of words) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && context.measureText(longer).width < width - 8) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function shorter(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 2 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end)}…`;
}
