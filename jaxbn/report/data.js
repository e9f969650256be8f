"use strict";

// What the report holds. Numbers are in typed arrays, NaN where there is none; a trial is known by its row.

const report = JSON.parse(document.getElementById("data").textContent);
const numTrials = report.columns[0].values.length;
const columns = report.columns.map(readColumn);
const columnOf = new Map(columns.map((column) => [column.name, column]));
const scoreColumn = columnOf.get(`valid_${report.metric}`);
const searched = columns.filter((column) => column.group === "hyperparameter");
const trialColumn = columnOf.get("trial");
const rowOf = new Map(Array.from(trialColumn.values, (trial, row) => [trial, row]));
const winner = rowOf.get(report.winner.trial);
const series = report.curves.series.map(({ name, values }) => ({ name, values: unpack(values) }));
const starts = [0];
for (const count of report.curves.counts) starts.push(starts.at(-1) + count);

const ABSENT = "–";
const GOLDEN = 0.6180339887498949;

function readColumn(column) {
  const values = Float64Array.from(column.values, (value) => value ?? NaN);
  return { levels: [], options: [], ...column, values, label: labelOf(column.name) };
}

function labelOf(name) {
  return name
    .replace(/^valid_/, "validation ")
    .replace(/^train_/, "training ")
    .replaceAll("_", " ");
}

// The first three bytes of each 32-bit float.
function unpack(text) {
  const bytes = atob(text);
  const bits = new Uint32Array(bytes.length / 3);
  for (let i = 0, at = 0; i < bits.length; i++, at += 3) {
    bits[i] = (bytes.charCodeAt(at) << 24) | (bytes.charCodeAt(at + 1) << 16) | (bytes.charCodeAt(at + 2) << 8);
  }
  return new Float32Array(bits.buffer);
}

// The values of a curve of one trial, an epoch each.
function curve(one, row) {
  return one.values.subarray(starts[row], starts[row + 1]);
}

// Where values lie on a scale on which their domain is even, and back.
function forward(kind, value) {
  if (kind === "log") return Math.log10(Math.max(value, 1e-300));
  if (kind === "one_minus_log") return -Math.log10(Math.max(1 - value, 1e-15));
  return value;
}

function inverse(kind, place) {
  if (kind === "log") return 10 ** place;
  if (kind === "one_minus_log") return 1 - 10 ** -place;
  return place;
}

// Where a value lies along the axis of its column, in [0, 1]; scores beyond the axis lie at its end.
function share(column, value) {
  const [low, high] = column.ends;
  const at = (forward(column.kind, value) - low) / (high - low);
  return column.group === "score" ? Math.min(Math.max(at, 0), 1) : at;
}

function valueAt(column, at) {
  const [low, high] = column.ends;
  return inverse(column.kind, low + at * (high - low));
}

// The same for every trial; those that share one of few values are moved apart a little, so that none hides another.
function places(column) {
  if (!column.places) {
    const levels = column.levels.map((level) => forward(column.kind, level));
    const steps = levels.slice(1).map((level, i) => level - levels[i]);
    const step = (steps.length ? Math.min(...steps) : levels.length) / (column.ends[1] - column.ends[0]);
    column.places = Float32Array.from(column.values, (value, row) => {
      const apart = levels.length ? ((((row + 1) * GOLDEN) % 1) - 0.5) * 0.5 * step : 0;
      return share(column, value) + apart;
    });
  }
  return column.places;
}

// How good a trial is for the eye, from 0 to 1; NaN without a score.
function goodness(row) {
  const at = share(scoreColumn, scoreColumn.values[row]);
  return report.greater ? at : 1 - at;
}

// A value as it is read: scores with four decimals, others with three digits, or two of their distance to 1.
function format(column, value) {
  if (Number.isNaN(value)) return ABSENT;
  if (column.kind === "choice") return column.options[value];
  if (column.whole) return String(value);
  return column.group === "score" ? score(value) : number(value);
}

function score(value) {
  if (value === null || Number.isNaN(value)) return ABSENT;
  return Math.abs(value) < 100 ? value.toFixed(4) : brief(value, 5);
}

function number(value) {
  if (typeof value !== "number") return value === null ? ABSENT : String(value);
  if (Number.isInteger(value)) return String(value);
  if (value > 0.9 && value < 1) return String(Number(value.toFixed(1 - Math.floor(Math.log10(1 - value)))));
  return brief(value, 3);
}

function brief(value, digits) {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-4)) return value.toExponential(digits - 1).replace("e+", "e");
  return size < 10 ** digits ? String(Number(value.toPrecision(digits))) : value.toFixed(0);
}

function count(amount, noun) {
  return `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
}

// Which values along the axis of a column are written beside it, and how: [value, text] each.
function ticks(column, most = 6) {
  if (column.kind === "choice") return column.options.map((option, place) => [place, option]);
  if (column.levels.length)
    return thinned(
      column.levels.map((level) => [level, number(level)]),
      12,
    );
  const [low, high] = column.ends.map((end) => inverse(column.kind, end));
  if (column.kind === "log") return texts(logTicks(low, high, most));
  if (column.kind === "one_minus_log")
    return texts(
      logTicks(1 - high, 1 - low, most)
        .map((value) => 1 - value)
        .reverse(),
    );
  return texts(evenTicks(low, high, most));
}

function thinned(list, most) {
  const every = Math.ceil(list.length / most);
  return list.filter((_, i) => i % every === 0);
}

function logTicks(low, high, most) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const found = [[1], [1, 2, 5]].map((multiples) => {
    const all = [];
    for (let e = first; e <= last; e++) for (const m of multiples) all.push(Number(`${m}e${e}`));
    return all.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  });
  const powers = found.find((some) => some.length > 2);
  return powers ? thinned(powers, most) : evenTicks(low, high, most);
}

function evenTicks(low, high, most) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((m) => m * power >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++)
    found.push(Number((k * step).toPrecision(12)));
  return found;
}

// Powers of ten are written as such where one of them is far from 1.
function texts(values) {
  const exponents = values.map((value) => Math.log10(value));
  const powers = exponents.every((e) => Math.abs(e - Math.round(e)) < 1e-9) && exponents.some((e) => Math.abs(e) > 3);
  return values.map((value, i) => [
    value,
    powers ? `10${raised(Math.round(exponents[i]))}` : String(Number(value.toPrecision(4))),
  ]);
}

function raised(exponent) {
  return Array.from(String(exponent), (mark) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(mark)]).join("");
}
