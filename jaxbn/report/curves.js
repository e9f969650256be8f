// The learning curve of the trial that is pointed at or chosen, before the winner's and the middle half of all trials.

const GAP = { top: 20, between: 24 };

function buildCurves() {
  const holder = byId("curves");
  const panels = panelsOf();
  let width = 0;
  let height = 0;

  function draw() {
    const row = focused();
    const each = (height - PAD.bottom - GAP.between * (panels.length - 1)) / panels.length;
    const drawnPanels = panels.map((panel, i) => {
      const y = i * (each + GAP.between) + GAP.top;
      return drawPanel(panel, row, { x: PAD.left, y, width: width - PAD.left - PAD.right, height: each - GAP.top });
    });
    const label = `Learning curve of ${nameOf(row)}: ${fateOf(row)}`;
    holder.replaceChildren(picture(width, height, label, drawnPanels, drawEpochs(panels[0], width, height)));
    byId("curve-title").textContent = `Learning curve of ${nameOf(row)}`;
    byId("curve-text").replaceChildren(fateOf(row), h("br"), valuesOf(row));
  }

  on("look", () => {
    width = holder.clientWidth;
    height = Math.min(Math.max(width * 0.72, 260), 400);
    draw();
  });
  on("focus", draw);
}

// The score that ranks has a panel; the losses have one, unless one of them is that score.
function panelsOf() {
  const losses = series.filter((one) => isLoss(one.name));
  const scores = series.filter((one) => one.name === `valid_${report.metric}` && !losses.includes(one));
  return [scores, losses].filter((lines) => lines.length).map(panelOf);
}

const isLoss = (name) => name === "valid_loss" || name === "train_loss";

// What stays of a panel: its curves, their scale, the epochs, and the middle half of the trials in training at each.
function panelOf(lines) {
  const logarithmic = isLoss(lines[0].name) && lines.every((one) => one.values.every((value) => !(value <= 0)));
  const epochs = report.curves.counts.reduce((most, some) => Math.max(most, some), 1);
  return {
    lines,
    epochs,
    kind: logarithmic ? "log" : "linear",
    title: lines.length > 1 ? "validation loss; dashed: training loss" : labelOf(lines[0].name),
    band: Array.from({ length: epochs }, (_, epoch) => middle(lines[0], epoch)),
  };
}

function middle(one, epoch) {
  const values = [];
  for (let row = 0; row < numTrials; row++) {
    const value = starts[row] + epoch < starts[row + 1] ? one.values[starts[row] + epoch] : NaN;
    if (Number.isFinite(value)) values.push(value);
  }
  const sorted = Float32Array.from(values).sort();
  return sorted.length ? [0.25, 0.75].map((part) => sorted[Math.round(part * (sorted.length - 1))]) : null;
}

function drawPanel(panel, row, box) {
  const axis = axisOf(panel, row);
  const y = (value) => box.y + (1 - share(axis, value)) * box.height;
  const x = (epoch) => box.x + acrossOf(panel, epoch) * box.width;
  const at = (value, epoch) => `${x(epoch).toFixed(1)} ${y(value).toFixed(1)}`;
  const rules = ticks(axis, 4).map(([value, text]) => [
    svg("line", { class: "rule", x1: box.x, x2: box.x + box.width, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick", x: box.x - 6, y: y(value) + 4, "text-anchor": "end" }, text),
  ]);
  const known = panel.band.map((ends, epoch) => ends && { ends, epoch }).filter(Boolean);
  const upper = known.map(({ ends, epoch }) => at(ends[1], epoch));
  const lower = known.map(({ ends, epoch }) => at(ends[0], epoch)).reverse();
  const rows = row === winner ? [row] : [winner, row];
  const lines = rows.flatMap((one) =>
    panel.lines.map((line, i) => drawCurve(curve(line, one), at, one !== row, i > 0)),
  );
  return [
    svg("polygon", { class: "band", points: [...upper, ...lower].join(" ") }),
    rules,
    svg("text", { class: "axis", x: box.x, y: box.y - 6 }, panel.title),
    lines,
  ];
}

// An axis that holds the middle half, the winner and the trial that is shown.
function axisOf(panel, row) {
  const shown = [winner, row].flatMap((one) => panel.lines.flatMap((line) => Array.from(curve(line, one))));
  const known = [...panel.band.filter(Boolean).flat(), ...shown].filter(Number.isFinite);
  const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0.5, 1];
  const [from, to] = [forward(panel.kind, low), forward(panel.kind, high)];
  const margin = 0.06 * (to - from) || 0.05;
  return { kind: panel.kind, levels: [], ends: [from - margin, to + margin] };
}

function drawCurve(values, at, behind, second) {
  let path = "";
  let pen = "M";
  values.forEach((value, epoch) => {
    if (Number.isFinite(value)) path += pen + at(value, epoch);
    pen = Number.isFinite(value) ? "L" : "M";
  });
  const kind = `curve${behind ? " winner" : ""}${second ? " second" : ""}`;
  // One epoch alone is a dot.
  return svg("path", {
    class: values.length === 1 ? `${kind} single` : kind,
    d: values.length === 1 && path ? `${path}h0.01` : path,
  });
}

function acrossOf(panel, epoch) {
  return panel.epochs > 1 ? epoch / (panel.epochs - 1) : 0.5;
}

function drawEpochs(panel, width, height) {
  const x = (epoch) => PAD.left + acrossOf(panel, epoch - 1) * (width - PAD.left - PAD.right);
  const text = (kind, at, below, what) =>
    svg("text", { class: kind, x: at, y: height - below, "text-anchor": "middle" }, what);
  const epochs = evenTicks(1, Math.max(panel.epochs, 1), 6).filter((epoch) => Number.isInteger(epoch) && epoch >= 1);
  const marks = (panel.epochs > 1 ? epochs : [1]).map((epoch) =>
    text("tick", x(epoch), PAD.bottom - 16, String(epoch)),
  );
  return [...marks, text("axis", width / 2, 8, "epoch")];
}

function nameOf(row) {
  return `trial ${trialColumn.values[row]}${row === winner ? ", the winner" : ""}`;
}

// What became of a trial, in a sentence.
function fateOf(row) {
  const [rank, epochs, status] = ["rank", "epochs", "status"].map((name) => columnOf.get(name));
  const fate = status.options[status.values[row]];
  const value = scoreColumn.values[row];
  const from = report.takeovers.filter(([trial]) => trial === trialColumn.values[row]);
  return `${[
    Number.isNaN(rank.values[row]) ? "not ranked" : `rank ${rank.values[row]}`,
    Number.isNaN(value) ? `no ${scoreColumn.label}` : `${scoreColumn.label} ${score(value)}`,
    `${fate === "ok" ? "" : `${fate} `}after ${count(epochs.values[row], "epoch")}`,
    ...from.map(([, epoch, source]) => `went on as trial ${source} after epoch ${epoch}`),
  ].join(", ")}.`;
}

function valuesOf(row) {
  const used = searched.filter((column) => !Number.isNaN(column.values[row]));
  return used.map((column) => `${column.label} ${format(column, column.values[row])}`).join(", ");
}
