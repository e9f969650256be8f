// The winner against its runners-up: how far apart they are, and whether that is more than chance.

const repeats = report.counts.replicates * report.counts.folds;
const paired = report.runners.paired;
const ROW = 30;

function buildRunners() {
  byId("runners-lead").textContent = howSure();
  const score = report.metric;
  const heads = paired
    ? ["", score, "standard error", "behind by", "95 % interval", "p", ""]
    : ["", score, "standard error", "loss", ""];
  const cells = report.runners.rows.map(paired ? pairedCells : singleCells);
  byId("runners-table").append(tableOf("The highest-ranked configurations", heads, cells));
  on("look", () => byId("runners-figure").replaceChildren(runnersPicture(byId("runners-figure").clientWidth)));
}

const runnerName = (row) => (paired ? `config ${row.config}` : `trial ${row.trial}`);

function runnerButton(row) {
  return h("button", { type: "button", class: "link", click: () => bring(rowOf.get(row.trial)) }, runnerName(row));
}

function singleCells(row, place) {
  const fate = row.status === "ok" ? "" : row.status;
  const error = row.error === null ? "" : score(row.error);
  return [runnerButton(row), score(row.score), error, score(row.loss), place ? fate : "the winner"];
}

function pairedCells(row, place) {
  const start = [runnerButton(row), score(row.score), score(row.error)];
  if (place === 0) return [...start, "", "", "", "the winner"];
  if (!row.behind) return [...start, "", "", "", row.status];
  const { mean, low, high, p_value: chance, real } = row.behind;
  const interval = low === null ? "no scatter" : `${score(low)} to ${score(high)}`;
  return [...start, score(mean), interval, brief(chance, 2), real ? "behind" : "no difference shown"];
}

function howSure() {
  const { counts, winner: best } = report;
  if (counts.configs === 1) return "There is one configuration, so there is nothing to compare it with.";
  const tied = best.tied - 1;
  const others = tied ? `${tied.toLocaleString("en")} other${tied === 1 ? " is" : "s are"}` : "No other is";
  const near = best.error ? `within one standard error (${score(best.error)}) of the best` : "as good as the best";
  const single =
    "That error is of the winner alone, by the bootstrap: how its score would scatter with other validation rows of " +
    "the same kind. Each configuration was trained once, so what chance does between seeds is not in it; replicates " +
    "or folds would show that.";
  const blocks = counts.folds > 1 ? count(counts.folds, "fold") : count(counts.replicates, "replicate");
  const several =
    `Bars are standard errors of the mean over ${blocks}. Differences are paired over them, and p-values are ` +
    "adjusted for all that are compared (Holm). The winner was chosen as the best of many, so its lead is a little " +
    "too large.";
  return `${others} ${near}. ${paired ? several : single}`;
}

function runnersPicture(width) {
  const rows = report.runners.rows.filter((row) => row.score !== null);
  const [left, right, base] = [96, 20, rows.length * ROW];
  const reach = rows.flatMap((row) => [row.score - (row.error || 0), row.score + (row.error || 0)]);
  const [low, high] = [Math.min(...reach), Math.max(...reach)];
  const margin = 0.06 * (high - low) || 0.01;
  const axis = { kind: "linear", levels: [], ends: [low - margin, high + margin] };
  const x = (value) => left + share(axis, value) * (width - left - right);
  const rules = ticks(axis, width < 400 ? 3 : 5).map(([value, text]) => [
    svg("line", { class: "rule", x1: x(value), x2: x(value), y1: 0, y2: base }),
    svg("text", { class: "tick", x: x(value), y: base + 16, "text-anchor": "middle" }, text),
  ]);
  const [best] = rows;
  const [from, to] = [x(best.score - (best.error || 0)), x(best.score + (best.error || 0))];
  const band = svg("rect", { class: "band", x: from, y: 0, width: to - from, height: base });
  const title = svg("text", { class: "axis", x: (left + width - right) / 2, y: base + 38, "text-anchor": "middle" });
  title.textContent = scoreColumn.label;
  const label =
    `${capital(scoreColumn.label)} of the ${rows.length} highest-ranked, with one standard error where it is known. ` +
    "The table beside it holds the same numbers.";
  const marks = rows.map((row, place) => runnerMarks(row, place, x, left));
  return picture(width, base + 44, label, band, rules, marks, title);
}

function runnerMarks(row, place, x, left) {
  const y = (place + 0.5) * ROW;
  const first = place ? "" : " first";
  const line = (x1, x2, y1, y2) => svg("line", { class: "bar", x1, x2, y1, y2 });
  const [from, to] = [x(row.score - row.error), x(row.score + row.error)];
  const ends = [from, to].map((end) => line(end, end, y - 5, y + 5));
  return [
    svg("text", { class: `label${first}`, x: left - 12, y: y + 4, "text-anchor": "end" }, runnerName(row)),
    row.error ? [line(from, to, y, y), ...ends] : null,
    svg("circle", { class: `dot${first}`, cx: x(row.score), cy: y, r: 5 }),
  ];
}
