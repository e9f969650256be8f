// A dot for each trial in the plane of any two columns, coloured by its score.

const PAD = { left: 58, right: 14, top: 12, bottom: 44 };

function buildScatter() {
  const axes = [
    ...columns.filter((column) => column.group === "score"),
    ...searched,
    ...columns.filter((column) => column.group === "other"),
  ];
  const [first] = report.importance.shares;
  const across = (first && columnOf.get(first[0])) || searched[0] || trialColumn;
  const picked = { x: byId("scatter-x"), y: byId("scatter-y") };
  for (const [which, chosen] of [
    ["x", across],
    ["y", scoreColumn],
  ]) {
    picked[which].append(
      ...axes.map((column) => h("option", { value: column.name, selected: column === chosen }, column.label)),
    );
    picked[which].addEventListener("change", place);
  }
  const made = layers(byId("scatter"), "", (width) => Math.min(Math.max(width * 0.72, 260), 400));
  const at = { x: new Float32Array(numTrials), y: new Float32Array(numTrials) };

  const column = (which) => columnOf.get(picked[which].value);

  function place() {
    const [width, height] = [made.width - PAD.left - PAD.right, made.height - PAD.top - PAD.bottom];
    const [x, y] = [places(column("x")), places(column("y"))];
    for (let row = 0; row < numTrials; row++) {
      // Who has no score is put at the worse end, as a cross; who does not use a hyperparameter is not here.
      at.x[row] = PAD.left + (x[row] ?? NaN) * width;
      at.y[row] =
        PAD.top +
        (1 - (Number.isNaN(y[row]) && column("y").group === "score" ? (column("y").greater ? 0 : 1) : y[row])) * height;
    }
    const plane = `${column("y").label} against ${column("x").label}`;
    const label = `Scatter of ${plane}, coloured by ${scoreColumn.label}. The table below holds the same values.`;
    made.base.setAttribute("aria-label", label);
    draw();
  }

  function draw() {
    const context = made.clear(made.base);
    drawAxes(context);
    if (numTrials - state.numLive) {
      context.fillStyle = colors.faint;
      context.globalAlpha = 0.35;
      for (const row of drawn) if (!state.live[row]) context.fillRect(at.x[row] - 1, at.y[row] - 1, 2, 2);
    }
    const size = Math.min(5, Math.max(2.2, 60 / Math.sqrt(Math.max(1, state.numLive))));
    context.globalAlpha = Math.min(0.9, Math.max(0.55, 400 / Math.max(1, state.numLive)));
    const status = columnOf.get("status");
    for (const row of drawn)
      if (state.live[row] && !Number.isNaN(at.x[row] + at.y[row]))
        dot(context, row, size, status.options[status.values[row]]);
    context.globalAlpha = 1;
    drawFocus();
  }

  function dot(context, row, size, status) {
    if (Number.isNaN(scoreColumn.values[row])) {
      context.strokeStyle = colors.failed;
      context.lineWidth = 1.5;
      return cross(context, at.x[row], at.y[row], size);
    }
    const color = colors.ramp[rampStep(row)];
    context.beginPath();
    context.arc(at.x[row], at.y[row], size, 0, 2 * Math.PI);
    if (status === "ok") {
      context.fillStyle = color;
      return context.fill();
    }
    context.strokeStyle = color;
    context.lineWidth = 1.2;
    return context.stroke();
  }

  function drawAxes(context) {
    const [right, bottom] = [made.width - PAD.right, made.height - PAD.bottom];
    context.strokeStyle = colors.line;
    context.lineWidth = 1;
    context.fillStyle = colors.quiet;
    context.textBaseline = "middle";
    const [x, y] = [column("x"), column("y")];
    const room = (right - PAD.left) / Math.max(1, ticks(x, 5).length) - 6;
    for (const [value, text] of ticks(x, 5)) {
      const place = PAD.left + share(x, value) * (right - PAD.left);
      rule(context, place, PAD.top, place, bottom);
      context.textAlign = "center";
      context.fillText(shorter(context, text, room), place, bottom + 12);
    }
    for (const [value, text] of ticks(y, 6)) {
      const place = PAD.top + (1 - share(y, value)) * (bottom - PAD.top);
      rule(context, PAD.left, place, right, place);
      context.textAlign = "right";
      context.fillText(shorter(context, text, PAD.left - 10), PAD.left - 6, place);
    }
    context.fillStyle = colors.ink;
    context.textAlign = "center";
    context.fillText(x.label, (PAD.left + right) / 2, made.height - 12);
  }

  function drawFocus() {
    const context = made.clear(made.top);
    const row = focused();
    if (Number.isNaN(at.x[row] + at.y[row])) return;
    context.lineWidth = 2.5;
    context.strokeStyle = colors.ground;
    ring(context, at.x[row], at.y[row], 9);
    context.strokeStyle = colors.ink;
    ring(context, at.x[row], at.y[row], 7);
  }

  function nearest(x, y) {
    let [best, least] = [-1, 24 * 24];
    for (let row = 0; row < numTrials; row++) {
      const distance = (at.x[row] - x) ** 2 + (at.y[row] - y) ** 2;
      if (state.live[row] && distance < least) [best, least] = [row, distance];
    }
    return best;
  }

  made.holder.addEventListener(
    "pointermove",
    (event) => event.pointerType !== "touch" && hover(nearest(event.offsetX, event.offsetY)),
  );
  made.holder.addEventListener("pointerleave", () => hover(-1));
  made.holder.addEventListener("click", (event) => {
    const row = nearest(event.offsetX, event.offsetY);
    if (row >= 0) bring(row);
  });
  on("look", () => {
    made.fit();
    place();
  });
  on("filter", draw);
  on("focus", drawFocus);
}

function rule(context, x0, y0, x1, y1) {
  context.globalAlpha = 0.5;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  context.globalAlpha = 1;
}

function ring(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}
