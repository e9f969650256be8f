// What is said once: the summary, importance, plan, and how to run it again.

const better = report.greater ? "more is better" : "less is better";

function buildText() {
  buildSummary();
  buildRunners();
  buildImportance();
  buildPlan();
  buildRecipe();
  byId("absent").textContent =
    `${ABSENT} stands for a hyperparameter that a trial does not use, and for the score of a trial that has none. ` +
    "Curves are kept to one part in 65,000 and tables to six digits; in full they are in trials.parquet and " +
    "curves.parquet.";
  byId("colophon").textContent = "Written by jaxbn report; nothing is fetched from anywhere.";
}

function buildSummary() {
  const { winner: best, data, counts } = report;
  const [valid, test] = [best.validation, best.test].map((scores) => score(scores[report.metric]));
  const metric = labelOf(report.metric);
  const each = repeats > 1 ? ` (${count(counts.configs, "configuration")}, ${repeats} trials each)` : "";
  byId("lead").textContent =
    `${count(counts.trials, "trial")}${each} on ${data.name}; ` +
    `the best has a validation ${metric} of ${valid} and a test ${metric} of ${test}.`;
  byId("figures").append(...pairs(figuresOf(metric, valid, test)));
  byId("notes").append(...report.notes.map((note) => h("li", {}, note)));
  byId("baselines").append(baselineTable());
  const rows = data.rows.map((some) => some.toLocaleString("en"));
  const classes = data.classes.length ? ` into ${data.classes.length} classes (${listed(data.classes, 12)})` : "";
  byId("rows").textContent =
    `${capital(data.task)} of ${data.target} from ${count(data.features.length, "feature")}${classes}: ` +
    `${rows[0]} training, ${rows[1]} validation and ${rows[2]} test rows.`;
  const [chosen, others] = [true, false].map((is) => best.config.filter((one) => one.searched === is).map(configPair));
  byId("config").append(...pairs(chosen));
  if (others.length) {
    const rest = h("dl", { class: "pairs" }, pairs(others));
    byId("config").after(h("details", {}, h("summary", {}, "What was not searched"), rest));
  }
}

function figuresOf(metric, valid, test) {
  const { winner: best, counts, plan } = report;
  const known = ["diverged", "pruned", "stopped"].filter((fate) => counts[fate]);
  const fates = known.map((fate) => `${counts[fate].toLocaleString("en")} ${fate}`).join(", ");
  const link = h("button", { type: "button", class: "link", click: () => bring(winner) }, `trial ${best.trial}`);
  const simple = report.baselines.slice(-1);
  return [
    [`Validation ${metric}`, [valid, small(`± ${score(best.error)}, ${better}`)]],
    [`Test ${metric}`, [test, small(plan.extended ? "by the winner; the run was extended" : "scored once, by the winner")]],
    ...simple.map((one) => [capital(one.name), [score(one.test[report.metric]), small(`test ${metric}`)]]),
    ["Winner", [link, small(`configuration ${Math.floor(best.trial / repeats)}`)]],
    ["Trials", [counts.trials.toLocaleString("en"), small(fates || "all trained to their end")]],
    ["Time", [time(plan.seconds.total), small(`${count(counts.epochs, "epoch")} trained`)]],
  ];
}

const configPair = ({ name, value, doc }) => [labelOf(name), number(value), doc];
const small = (text) => h("small", {}, text);

function listed(names, most) {
  return names.length > most ? `${names.slice(0, most).join(", ")} and ${names.length - most} more` : names.join(", ");
}

function time(seconds) {
  const whole = Math.round(seconds);
  const minutes = Math.round(seconds / 60);
  if (whole < 60) return `${seconds.toFixed(1)} s`;
  if (minutes < 60) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function baselineTable() {
  const metrics = Object.keys(report.winner.validation);
  metrics.sort((a, b) => (b === report.metric) - (a === report.metric) || (a === "loss") - (b === "loss"));
  const heads = ["validation", "test"].flatMap((split) => metrics.map((metric) => `${split} ${labelOf(metric)}`));
  const scores = (one) => [one.validation, one.test].flatMap((of) => metrics.map((metric) => score(of[metric])));
  const winning = [`trial ${report.winner.trial}, the winner`, ...scores(report.winner)];
  const rows = report.baselines.map((one) => [one.name, ...scores(one)]).reverse();
  return tableOf("Scores of the winner and the baselines", ["", ...heads], [winning, ...rows]);
}

function buildImportance() {
  const { shares, absent } = report.importance;
  if (absent) {
    byId("importance-lead").textContent = `The importance of hyperparameters is not shown: ${absent}.`;
    return;
  }
  byId("importance-lead").textContent =
    "Share of each hyperparameter in what sets the best tenth of the configurations apart from all, each on its own " +
    "scale (PED-ANOVA, Watanabe et al. 2023). Shares add up to 1.";
  const most = shares[0][1] || 1;
  const rows = shares.map(([name, value]) => [labelOf(name), value.toFixed(3), bar(value / most)]);
  byId("importance-table").append(tableOf("Importance of hyperparameters", ["hyperparameter", "share", ""], rows));
}

// A bar beside a number that says the same.
function bar(part) {
  const shape = { class: "part", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" };
  return svg("svg", shape, svg("rect", { x: 0, y: 0, width: 100 * part, height: 10 }));
}

function buildPlan() {
  const { plan } = report;
  const rounds = plan.rounds > 1 ? ` in ${plan.rounds} rounds` : "";
  const given = plan.enqueued ? `, after ${count(plan.enqueued, "configuration")} that a person gave` : "";
  const patience = plan.patience ? `, fewer without a better score for ${plan.patience}` : "";
  const asked = [
    `Sampler ${plan.sampler}${rounds}${given}`,
    `scheduler ${plan.scheduler}`,
    `at most ${count(plan.epochs, "epoch")} each${patience}`,
    `${count(plan.devices, "device")} (${plan.device}), ${plan.precision}${plan.x64 ? " with float64 enabled" : ""}`,
    `seed ${plan.seed}`,
  ];
  byId("plan-lead").textContent = `${asked.join("; ")}. ${count(plan.compiled, "epoch program")} compiled.`;
  const names = { import: "importing", compile: "compiling", train: "training", total: "in all" };
  const seconds = Object.entries(names).map(([name, text]) => [
    text,
    `${plan.seconds[name].toFixed(1)} s`,
    bar(plan.seconds[name] / (plan.seconds.total || 1)),
  ]);
  byId("seconds").append(
    h("h3", {}, "Where the time went"),
    tableOf("Seconds", ["", "seconds", ""], seconds),
    h("p", { class: "quiet" }, "Compiling and training overlap."),
  );
  if (plan.rungs.length > 1) {
    const rungs = plan.rungs.map((rung, i) => [String(i + 1), String(rung.epochs), rung.survivors.join(" + ")]);
    const whose = plan.rounds > 1 ? "configurations of the first round that train to it" : "configurations that train to it";
    const heads = ["rung", "up to epoch", whose];
    byId("rungs").append(h("h3", {}, "Rungs"), tableOf("Rungs of the scheduler", heads, rungs));
  }
  byId("programs").append(programTable(plan));
}

function programTable(plan) {
  const heads = ["", "network", "batch", "optimizers", "activation", "normalization", "precision", "members of a tile"];
  const rows = plan.programs.map((one, i) => [
    String(i + 1),
    Object.entries(one.own || {}).map((pair) => pair.join(" ")).join(", ") || one.widths.join("-") || "none",
    String(one.batch_size),
    one.optimizers.join(", "),
    one.activation,
    one.normalization,
    one.precision || plan.precision,
    String(one.tile_size),
  ]);
  const title = `${count(rows.length, "epoch program")}, widths and batches as padded`;
  return h("details", { open: rows.length <= 12 }, h("summary", {}, title), tableOf("Programs", heads, rows));
}

function buildRecipe() {
  const { recipe, versions, data, plan } = report;
  const steps = Object.entries(recipe.files).map(([name, text]) => [["Save as ", h("code", {}, name)], text]);
  steps.push([recipe.language === "sh" ? "Type in a shell" : "Run in Python", recipe.text]);
  for (const [title, text] of steps) {
    const code = h("code", {}, text);
    const copy = h("button", { type: "button", click: () => copied(code, copy) }, "Copy");
    byId("steps").append(h("div", { class: "step" }, h("h3", {}, title, " ", copy), h("pre", { tabindex: 0 }, code)));
  }
  byId("cautions").append(...recipe.cautions.map((caution) => h("li", {}, caution)));
  byId("versions").append(...pairs(Object.entries(versions)));
  byId("fingerprint").textContent = `On ${plan.device}. SHA-256 of the data: ${data.fingerprint}`;
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
