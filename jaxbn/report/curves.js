// The learning curve of the trial that is pointed at or chosen, before the winner's and the middle half of all trials.

function buildCurves() {
  const holder = byId("curves");
  const named = new Map(series.map((one) => [one.name, one]));
  const losses = ["valid_loss", "train_loss"].filter((name) => named.has(name));
  const main = `valid_${report.metric}`;
  const panels = (main === "valid_loss" ? [losses] : [[main], losses]).filter((names) => names.length).map((names) => panel(names.map((name) => named.get(name))));
  const frame = { width: 0, height: 0 };

  function look() {
    frame.width = holder.clientWidth;
    frame.height = Math.min(Math.max(frame.width * 0.72, 260), 400);
    draw();
  }

  function draw() {
    const row = focused();
    const [width, height] = [frame.width, frame.height / panels.length];
    const parts = panels.map((one, i) => drawPanel(one, row, { x: PAD.left, y: i * height + 18, width: width - PAD.left - PAD.right, height: height - 18 - (i === panels.length - 1 ? PAD.bottom : 22) }, i === panels.length - 1));
    const label = `Learning curve of ${nameOf(row)}: ${tellOf(row)}`;
    holder.replaceChildren(svg("svg", { width, height: frame.height, viewBox: `0 0 ${width} ${frame.height}`, role: "img", "aria-label": label }, parts));
    byId("curve-title").textContent = `Learning curve of ${nameOf(row)}`;
    byId("curve-text").replaceChildren(tellOf(row), h("br"), valuesOf(row));
  }

  on("look", look);
  on("focus", draw);
}

// What stays of a panel: its curves, their scale, and the middle half of the trials in training at each epoch.
function panel(lines) {
  const positive = lines.every((one) => one.name.endsWith("loss") && one.values.every((value) => !(value <= 0)));
  const kind = positive ? "log" : "linear";
  const most = report.curves.counts.reduce((a, b) => Math.max(a, b), 1);
  const band = Array.from({ length: most }, (_, epoch) => middle(lines[0], epoch));
  return { lines, kind, most, band };
}

function middle(one, epoch) {
  const values = [];
  for (let row = 0; row < numTrials; row++) {
    const value = starts[row] + epoch < starts[row + 1] ? one.values[starts[row] + epoch] : NaN;
    if (Number.isFinite(value)) values.push(value);
  }
  const sorted = Float32Array.from(values).sort();
  const at = (part) => sorted[Math.round(part * (sorted.length - 1))];
  return sorted.length ? [at(0.25), at(0.75)] : null;
}

function drawPanel(one, row, box, last) {
  const { lines, kind, most, band } = one;
  const known = [...band.filter(Boolean).flat(), ...[winner, row].flatMap((some) => lines.flatMap((line) => Array.from(curve(line, some))))].filter(Number.isFinite);
  let [low, high] = [Infinity, -Infinity];
  for (const value of known) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (!known.length) [low, high] = [0.5, 1];
  const ends = [low, high].map((value) => forward(kind, value));
  const margin = 0.06 * (ends[1] - ends[0]) || 0.5;
  const column = { kind, levels: [], ends: [ends[0] - margin, ends[1] + margin] };
  const x = (epoch) => box.x + (most > 1 ? epoch / (most - 1) : 0.5) * box.width;
  const y = (value) => box.y + (1 - share(column, value)) * box.height;
  const path = (values, offset = 0) => {
    let [text, pen] = ["", "M"];
    values.forEach((value, epoch) => {
      if (!Number.isFinite(value)) return (pen = "M");
      text += `${pen}${x(epoch + offset).toFixed(1)} ${y(value).toFixed(1)}`;
      return (pen = "L");
    });
    return text;
  };
  const rules = ticks(column, 4).filter(([value]) => value >= inverse(kind, column.ends[0])).map(([value, text]) => [
    svg("line", { class: "rule", x1: box.x, x2: box.x + box.width, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick", x: box.x - 6, y: y(value) + 4, "text-anchor": "end" }, text),
  ]);
  const epochs = !last ? [] : [...evenTicks(1, most, 6).filter(Number.isInteger)].map((epoch) => svg("text", { class: "tick", x: x(epoch - 1), y: box.y + box.height + 16, "text-anchor": "middle" }, String(epoch)));
  const upper = band.map((ends, epoch) => (ends ? `${x(epoch).toFixed(1)} ${y(ends[1]).toFixed(1)}` : null)).filter(Boolean);
  const lower = band.map((ends, epoch) => (ends ? `${x(epoch).toFixed(1)} ${y(ends[0]).toFixed(1)}` : null)).filter(Boolean).reverse();
  const curves = lines.flatMap((line, i) => [
    row === winner ? null : stroke("curve winner", curve(line, winner), i),
    stroke("curve", curve(line, row), i),
  ]);
  function stroke(kind, values, i) {
    const dots = values.length === 1 && Number.isFinite(values[0]) ? svg("circle", { class: kind, cx: x(0), cy: y(values[0]), r: 3 }) : null;
    return [svg("path", { class: `${kind}${i ? " second" : ""}`, d: path(values) }), dots];
  }
  return svg(
    "g",
    {},
    svg("polygon", { class: "band", points: [...upper, ...lower].join(" ") }),
    rules,
    epochs,
    last ? svg("text", { class: "axis", x: box.x + box.width / 2, y: box.y + box.height + 36, "text-anchor": "middle" }, "epoch") : null,
    svg("text", { class: "axis", x: box.x, y: box.y - 6 }, lines.length > 1 ? "validation loss, and dashed the training loss" : labelOf(lines[0].name)),
    curves,
  );
}

function nameOf(row) {
  return `trial ${trialColumn.values[row]}${row === winner ? ", the winner" : ""}`;
}

// What became of a trial, in a sentence.
function tellOf(row) {
  const value = (name) => columnOf.get(name)?.values[row];
  const status = columnOf.get("status");
  const fate = status.options[status.values[row]];
  const epochs = `${count(value("epochs"), "epoch")}`;
  const told = Number.isNaN(scoreColumn.values[row]) ? `no ${scoreColumn.label}` : `${scoreColumn.label} ${score(scoreColumn.values[row])}`;
  const rank = Number.isNaN(value("rank")) ? "not ranked" : `rank ${value("rank")}`;
  const ended = fate === "ok" ? `after ${epochs}` : `${fate} after ${epochs}`;
  const from = report.takeovers.filter(([trial]) => trial === trialColumn.values[row]);
  const took = from.map(([, epoch, source]) => `went on as trial ${source} after epoch ${epoch}`);
  return [`${rank}, ${told}, ${ended}`, ...took].join("; ") + ".";
}

function valuesOf(row) {
  const used = searched.filter((column) => !Number.isNaN(column.values[row]));
  return used.map((column) => `${column.label} ${format(column, column.values[row])}`).join(", ");
}
