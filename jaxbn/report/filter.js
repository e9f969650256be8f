// Which trials are looked at: ranges of numbers and sets of options, by column.

const filters = new Map();
const fields = new Map();

// A row passes if it has a value within every filter; a value that is not there is within none but its own.
function passes(column, filter) {
  const { values } = column;
  if (filter.options) return (row) => filter.options.has(Number.isNaN(values[row]) ? ABSENT : values[row]);
  return (row) => values[row] >= filter.low && values[row] <= filter.high;
}

function setFilter(column, filter) {
  if (filter) filters.set(column.name, filter);
  else filters.delete(column.name);
  applyFilters();
}

function applyFilters() {
  state.live.fill(1);
  for (const [name, filter] of filters) {
    const within = passes(columnOf.get(name), filter);
    for (let row = 0; row < numTrials; row++) if (state.live[row] && !within(row)) state.live[row] = 0;
  }
  state.numLive = state.live.reduce((sum, one) => sum + one, 0);
  showFilters();
  tell("filter");
}

function showFilters() {
  const all = filters.size === 0;
  const some = `${state.numLive.toLocaleString("en")} of ${count(numTrials, "trial")}`;
  const told = `${some}: ${Array.from(filters.keys(), described).join(", ")}`;
  byId("count").textContent = all ? count(numTrials, "trial") : told;
  byId("clear").hidden = all;
}

function described(name) {
  const column = columnOf.get(name);
  const { options, low, high } = filters.get(name);
  if (options) {
    const chosen = Array.from(options, (option) => (option === ABSENT ? absentWord(column) : column.options[option]));
    return `${column.label} ${chosen.join(" or ") || "none"}`;
  }
  const [least, most] = [low, high].map((bound) => number(bound));
  if (low === -Infinity) return `${column.label} up to ${most}`;
  return high === Infinity ? `${column.label} from ${least}` : `${column.label} ${least} to ${most}`;
}

function absentWord(column) {
  return column.group === "hyperparameter" ? "not used" : "none";
}

// The form has a group of fields for each column.
function buildFilters() {
  for (const column of columns)
    byId("filter-form").append(column.kind === "choice" ? optionFields(column) : rangeFields(column));
  byId("filter-form").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => {
    filters.clear();
    fields.forEach((show) => show());
    applyFilters();
    byId("trials-title").scrollIntoView({ block: "nearest" });
  });
  showFilters();
}

function rangeFields(column) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of column.values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const known = least <= most;
  const input = (id, placeholder) =>
    h("input", {
      type: "number",
      step: "any",
      id: `${column.name}-${id}`,
      placeholder: known ? number(placeholder) : "",
      input: read,
    });
  const [low, high] = [input("low", least), input("high", most)];
  function read() {
    const [from, to] = [low.valueAsNumber, high.valueAsNumber];
    const bounds = { low: Number.isNaN(from) ? -Infinity : from, high: Number.isNaN(to) ? Infinity : to };
    setFilter(column, bounds.low === -Infinity && bounds.high === Infinity ? null : bounds);
  }
  fields.set(column.name, () => {
    const filter = filters.get(column.name);
    low.value = filter && filter.low > -Infinity ? Number(filter.low.toPrecision(6)) : "";
    high.value = filter && filter.high < Infinity ? Number(filter.high.toPrecision(6)) : "";
  });
  const label = (field, text) => h("label", { for: field.id }, text);
  return h(
    "fieldset",
    {},
    h("legend", { title: column.doc }, column.label),
    label(low, "from"),
    low,
    label(high, "to"),
    high,
  );
}

function optionFields(column) {
  const choices = column.options.map((option, place) => [place, option]);
  if (column.values.some(Number.isNaN)) choices.push([ABSENT, absentWord(column)]);
  const boxes = choices.map(([key], i) =>
    h("input", { type: "checkbox", id: `${column.name}-${i}`, checked: true, change: read, value: key }),
  );
  function read() {
    const chosen = new Set(choices.filter((_, i) => boxes[i].checked).map(([key]) => key));
    setFilter(column, chosen.size === choices.length ? null : { options: chosen });
  }
  fields.set(column.name, () => {
    const filter = filters.get(column.name);
    choices.forEach(([key], i) => (boxes[i].checked = !filter || filter.options.has(key)));
  });
  const labels = choices.map(([, text], i) => h("span", {}, boxes[i], h("label", { for: boxes[i].id }, text)));
  return h("fieldset", {}, h("legend", { title: column.doc }, column.label), labels);
}

// From a picture: what lies between two shares of an axis.
function filterBetween(column, from, to) {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  if (column.kind === "choice") {
    const chosen = column.options
      .map((_, place) => place)
      .filter((place) => share(column, place) >= low && share(column, place) <= high);
    filters.set(column.name, { options: new Set(chosen) });
  } else {
    // Scores beyond the axis are drawn at its end, and belong to it.
    const beyond = column.group === "score";
    filters.set(column.name, {
      low: beyond && low <= 0 ? -Infinity : valueAt(column, low),
      high: beyond && high >= 1 ? Infinity : valueAt(column, high),
    });
  }
  fields.get(column.name)();
  applyFilters();
}

function unfilter(column) {
  if (!filters.delete(column.name)) return;
  fields.get(column.name)();
  applyFilters();
}
