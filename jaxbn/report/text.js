// What is said once: the summary, the runners-up, importance, plan, and how to run it again.

const repeats = report.counts.replicates * report.counts.folds;
const paired = report.runners.paired;
const better = report.greater ? "more is better" : "less is better";

function buildText() {
  const { winner: best, data, counts, plan } = report;
  const metric = labelOf(report.metric);
  byId("lead").textContent =
    `${count(counts.trials, "trial")} on ${data.name}` +
    (repeats > 1 ? ` (${count(counts.configs, "configuration")}, ${repeats} trials each)` : "") +
    `; the best has a validation ${metric} of ${score(best.validation[report.metric])} and a test ${metric} of ${score(best.test[report.metric])}.`;
  const fates = ["diverged", "pruned", "stopped"].filter((fate) => counts[fate]).map((fate) => `${counts[fate].toLocaleString("en")} ${fate}`);
  const figures = [
    [`Validation ${metric}`, [score(best.validation[report.metric]), small(`± ${score(best.error)}, ${better}`)]],
    [`Test ${metric}`, [score(best.test[report.metric]), small("scored once, by the winner")]],
    ...report.baselines.slice(-1).map((one) => [capital(one.name), [score(one.test[report.metric]), small(`test ${metric}`)]]),
    ["Winner", [h("button", { type: "button", class: "link", click: () => bring(winner) }, `trial ${best.trial}`), small(`config ${Math.floor(best.trial / repeats)}`)]],
    ["Trials", [counts.trials.toLocaleString("en"), small(fates.join(", ") || "all trained to their end")]],
    ["Time", [time(plan.seconds.total), small(`${counts.epochs.toLocaleString("en")} epochs trained`)]],
  ];
  byId("figures").append(...pairs(figures));
  byId("notes").append(...report.notes.map((note) => h("li", {}, note)));
  byId("baselines").append(baselineTable());
  const [train, valid, test] = data.rows.map((rows) => rows.toLocaleString("en"));
  byId("rows").textContent =
    `${capital(data.task)} of ${data.target} from ${count(data.features.length, "feature")}` +
    (data.classes.length ? ` into ${count(data.classes.length, "class").replace("classs", "classes")} (${listed(data.classes, 12)})` : "") +
    `: ${train} training, ${valid} validation and ${test} test rows.`;
  byId("config").append(...pairs(best.config.filter((one) => one.searched).map(told)));
  const fixed = best.config.filter((one) => !one.searched);
  if (fixed.length) byId("config").after(h("details", {}, h("summary", {}, "What was not searched"), h("dl", { class: "pairs" }, pairs(fixed.map(told)))));
  buildRunners();
  buildImportance();
  buildPlan();
  buildRecipe();
  byId("absent").textContent =
    `${ABSENT} stands for a hyperparameter that a trial does not use, and for the score of a trial that has none. ` +
    "Curves are kept to one part in 100,000, tables to six digits; trials.parquet and curves.parquet hold them in full.";
}

const told = ({ name, value, doc }) => [labelOf(name), number(value), doc];
const small = (text) => h("small", {}, text);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function listed(names, most) {
  return names.length > most ? `${names.slice(0, most).join(", ")} and ${names.length - most} more` : names.join(", ");
}

function time(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function baselineTable() {
  const metrics = Object.keys(report.winner.validation);
  metrics.sort((a, b) => (b === report.metric) - (a === report.metric) || (a === "loss") - (b === "loss"));
  const heads = ["validation", "test"].flatMap((split) => metrics.map((metric) => `${split} ${labelOf(metric)}`));
  const rows = [{ name: `trial ${report.winner.trial}, the winner`, ...report.winner }, ...report.baselines.slice().reverse()];
  const cells = rows.map((row) => [row.name, ...[row.validation, row.test].flatMap((scores) => metrics.map((metric) => score(scores[metric])))]);
  return tableOf("Scores of the winner and the baselines", ["", ...heads], cells);
}

function buildRunners() {
  const { rows } = report.runners;
  byId("runners-lead").textContent = howSure();
  const trial = (row) => h("button", { type: "button", class: "link", click: () => bring(rowOf.get(row.trial)) }, paired ? `config ${row.config}` : `trial ${row.trial}`);
  const heads = paired ? ["", report.metric, "standard error", "behind by", "95 % interval", "p", ""] : ["", report.metric, "standard error", "loss", ""];
  const cells = rows.map((row, i) => {
    const fate = row.status === "ok" ? "" : row.status;
    if (!paired) return [trial(row), score(row.score), row.error === null ? "" : score(row.error), score(row.loss), i ? fate : "the winner"];
    const behind = row.behind;
    const interval = !behind ? "" : behind.low === null ? "no scatter" : `${score(behind.low)} to ${score(behind.high)}`;
    const verdict = i === 0 ? "the winner" : !behind ? fate : behind.real ? "behind" : "no difference shown";
    return [trial(row), score(row.score), score(row.error), behind ? score(behind.mean) : "", interval, behind ? brief(behind.p_value, 2) : "", verdict];
  });
  byId("runners-table").append(tableOf("The highest-ranked configurations", heads, cells));
  on("look", () => byId("runners-figure").replaceChildren(runnersPicture()));
}

function howSure() {
  const { counts, winner: best } = report;
  if (counts.configs === 1) return "There is one configuration, so there is nothing to compare it with.";
  const tied = best.tied - 1;
  const others = `${tied ? `${tied.toLocaleString("en")} other${tied === 1 ? " is" : "s are"}` : "No other is"}`;
  const near = best.error ? `within one standard error (${score(best.error)}) of the best` : "as good as the best";
  if (!paired) {
    return (
      `${others} ${near}. That error is the winner's alone: by the bootstrap, how its score would scatter with other validation rows of the same kind. ` +
      "Each configuration was trained once, so what chance does between seeds is not in it; replicates or folds would show that."
    );
  }
  const blocks = counts.folds > 1 ? count(counts.folds, "fold") : count(counts.replicates, "replicate");
  return (
    `${others} ${near}. Bars are standard errors of the mean over ${blocks}. Differences are paired over them, and p-values are adjusted for all that are compared (Holm). ` +
    "The winner was chosen as the best of many, so its lead is a little too large."
  );
}

function runnersPicture() {
  const rows = report.runners.rows.filter((row) => row.score !== null);
  const width = byId("runners-figure").clientWidth;
  const [left, right, step] = [92, 20, 30];
  const height = rows.length * step + 44;
  const reach = rows.flatMap((row) => [row.score - (row.error || 0), row.score + (row.error || 0)]);
  let [low, high] = [Math.min(...reach), Math.max(...reach)];
  if (low === high) [low, high] = [low - 0.01, high + 0.01];
  const margin = 0.06 * (high - low);
  const x = (value) => left + ((value - low + margin) / (high - low + 2 * margin)) * (width - left - right);
  const marks = rows.map((row, i) => {
    const y = i * step + step / 2;
    const error = row.error || 0;
    const bar = error ? [svg("line", { class: "bar", x1: x(row.score - error), x2: x(row.score + error), y1: y, y2: y }), ...[-1, 1].map((side) => svg("line", { class: "bar", x1: x(row.score + side * error), x2: x(row.score + side * error), y1: y - 5, y2: y + 5 }))] : [];
    const name = paired ? `config ${row.config}` : `trial ${row.trial}`;
    return svg("g", {}, svg("text", { class: i ? "label" : "label first", x: left - 12, y: y + 4, "text-anchor": "end" }, name), bar, svg("circle", { class: i ? "dot" : "dot first", cx: x(row.score), cy: y, r: 5 }));
  });
  const best = rows[0];
  const band = best.error ? svg("rect", { class: "band", x: x(best.score - best.error), width: x(best.score + best.error) - x(best.score - best.error), y: 0, height: rows.length * step }) : null;
  const base = rows.length * step;
  const axis = evenTicks(low, high, width < 400 ? 3 : 5).map((tick) => [
    svg("line", { class: "rule", x1: x(tick), x2: x(tick), y1: 0, y2: base }),
    svg("text", { class: "tick", x: x(tick), y: base + 16, "text-anchor": "middle" }, String(tick)),
  ]);
  const title = svg("text", { class: "axis", x: (left + width - right) / 2, y: base + 38, "text-anchor": "middle" }, `validation ${labelOf(report.metric)}`);
  const said = `Validation ${report.metric} of the ${rows.length} highest-ranked, with one standard error where it is known; the table beside it holds the same numbers.`;
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said }, band, axis, marks, title);
}

function buildImportance() {
  const { shares, absent } = report.importance;
  if (absent) {
    byId("importance-lead").textContent = `The importance of hyperparameters is not shown: ${absent}.`;
    return;
  }
  byId("importance-lead").textContent =
    "Share of each hyperparameter in what sets the best tenth of the configurations apart from all (PED-ANOVA, Watanabe et al. 2023), each on its own scale. Shares add up to 1.";
  const most = shares[0][1] || 1;
  const rows = shares.map(([name, value]) => [labelOf(name), value.toFixed(3), bar(value / most)]);
  byId("importance-table").append(tableOf("Importance of hyperparameters", ["hyperparameter", "share", ""], rows, { class: "bars" }));
}

// A bar beside a number that says the same.
function bar(part) {
  return svg("svg", { class: "part", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { x: 0, y: 0, width: 100 * part, height: 10 }));
}

function buildPlan() {
  const { plan } = report;
  const asked = [
    `Sampler ${plan.sampler}${plan.rounds > 1 ? ` in ${plan.rounds} rounds` : ""}${plan.enqueued ? `, after ${count(plan.enqueued, "configuration")} that a person gave` : ""}`,
    `scheduler ${plan.scheduler}`,
    `at most ${count(plan.epochs, "epoch")} each${plan.patience ? `, fewer without a better score for ${plan.patience}` : ""}`,
    `${count(plan.devices, "device")} (${plan.device}), ${plan.precision}${plan.x64 ? " with float64 enabled" : ""}`,
    `seed ${plan.seed}`,
  ];
  byId("plan-lead").textContent = `${asked.join("; ")}. ${count(plan.compiled, "epoch program")} compiled.`;
  const names = { import: "importing", compile: "compiling", train: "training", total: "in all" };
  const seconds = Object.entries(names).map(([name, text]) => [text, `${plan.seconds[name].toFixed(1)} s`, bar(plan.seconds[name] / (plan.seconds.total || 1))]);
  byId("seconds").append(h("h3", {}, "Where the time went"), tableOf("Seconds", ["", "seconds", ""], seconds, { class: "bars" }), h("p", { class: "quiet" }, "Compiling and training overlap."));
  if (plan.rungs.length > 1) {
    const rungs = plan.rungs.map((rung, i) => [String(i + 1), String(rung.epochs), rung.survivors.join(" + ")]);
    byId("rungs").append(h("h3", {}, "Rungs"), tableOf("Rungs of the scheduler", ["rung", "epochs", "configurations that train to it"], rungs));
  }
  const programs = plan.programs.map((one, i) => [
    String(i + 1),
    one.widths.join("-") || "none",
    String(one.batch_size),
    one.optimizers.join(", "),
    one.activation,
    one.normalization,
    one.precision || plan.precision,
    String(one.tile_size),
  ]);
  const heads = ["program", "padded widths", "padded batch", "optimizers", "activation", "normalization", "precision", "members of a tile"];
  byId("programs").append(h("details", { open: programs.length <= 12 }, h("summary", {}, count(programs.length, "epoch program")), tableOf("Programs", heads, programs)));
}

function buildRecipe() {
  const { recipe, versions, data } = report;
  const steps = Object.entries(recipe.files).map(([name, text]) => [["Save as ", h("code", {}, name)], text]);
  steps.push([recipe.language === "sh" ? "Type in a shell" : "Run in Python", recipe.text]);
  for (const [title, text] of steps) {
    const code = h("code", {}, text);
    const copy = h("button", { type: "button", click: () => copied(code, copy) }, "Copy");
    byId("steps").append(h("div", { class: "step" }, h("h3", {}, title, " ", copy), h("pre", { tabindex: 0 }, code)));
  }
  byId("cautions").append(...recipe.cautions.map((caution) => h("li", {}, caution)));
  byId("versions").append(...pairs([...Object.entries(versions), ["device", report.plan.device], ["SHA-256 of the data", data.fingerprint]]));
  byId("colophon").textContent = `Written by jaxbn report; nothing is fetched from anywhere.`;
}

// Where there is no clipboard the text is selected, to be copied by hand.
async function copied(code, button) {
  getSelection().selectAllChildren(code);
  if (!navigator.clipboard) return;
  await navigator.clipboard.writeText(code.textContent).then(
    () => (button.textContent = "Copied"),
    () => (button.textContent = "Selected"),
  );
}
