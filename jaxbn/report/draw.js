// What tables and pictures share: elements, colours, layers to draw on, and who is told of what.

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

// An element with attributes (functions are listeners) and children (text stays text).
function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// A table from texts and elements; the first of each row is its heading, and numbers stand to the right.
function tableOf(caption, heads, rows) {
  const kind = (i) => (numeric(rows, i) ? "number" : null);
  const cell = (what, i) => h(i ? "td" : "th", { scope: i ? null : "row", class: kind(i) }, what);
  return h(
    "table",
    {},
    h("caption", { class: "hidden" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        heads.map((head, i) => h("th", { scope: "col", class: kind(i) }, head)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) => h("tr", {}, row.map(cell))),
    ),
  );
}

function numeric(rows, i) {
  return i > 0 && rows.every((row) => row[i] === "" || /^[-–±\d.e,\s%]+( s| to .*)?$/.test(row[i]));
}

function pairs(list) {
  return list.map(([term, value, title]) => h("div", {}, h("dt", { title }, term), h("dd", {}, value)));
}

// A picture with its description.
function picture(width, height, label, ...children) {
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, children);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// Who wants to know when trials are filtered, sorted, pointed at, or when the page changes its size or its colours.
const listeners = { filter: [], sort: [], focus: [], look: [] };
const on = (event, listener) => listeners[event].push(listener);
const tell = (event) => listeners[event].forEach((listener) => listener());

// The state of the page: rows that pass the filters, the row that was chosen and the one that is pointed at.
const state = { live: new Uint8Array(numTrials).fill(1), numLive: numTrials, selected: winner, hovered: -1 };
const focused = () => (state.hovered >= 0 ? state.hovered : state.selected);

function hover(row) {
  if (row === state.hovered) return;
  state.hovered = row;
  tell("focus");
}

function select(row) {
  state.selected = row;
  state.hovered = -1;
  tell("focus");
}

// The colours of the style sheet, read again whenever they change.
const colors = {};
function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "quiet", "line", "ground", "accent", "failed", "faint", "bad", "middle", "good"]) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colors.ramp = Array.from({ length: 32 }, (_, i) => mixed(i / 31));
}

// From bad over middling to good, in steps that differ in lightness, which every eye can tell apart.
function mixed(at) {
  const [from, to, part] = at < 0.5 ? [colors.bad, colors.middle, at * 2] : [colors.middle, colors.good, at * 2 - 1];
  const parts = [1, 3, 5].map((i) => {
    const [a, b] = [from, to].map((color) => parseInt(color.slice(i, i + 2), 16));
    return Math.round(a + part * (b - a));
  });
  return `rgb(${parts.join(" ")})`;
}

function rampStep(row) {
  return Math.min(31, Math.floor(goodness(row) * 32));
}

// Two canvases, one above the other: trials are drawn on the lower, what is pointed at on the upper.
function layers(holder, label, height) {
  const [base, top] = [
    h("canvas", { role: "img", "aria-label": label }),
    h("canvas", { class: "top", "aria-hidden": "true" }),
  ];
  holder.append(base, top);
  const made = { holder, base, top, width: 0, height: 0 };
  made.fit = () => {
    const scale = window.devicePixelRatio || 1;
    [made.width, made.height] = [holder.clientWidth, height(holder.clientWidth)];
    holder.style.height = `${made.height}px`;
    for (const canvas of [base, top]) {
      [canvas.width, canvas.height] = [Math.round(made.width * scale), Math.round(made.height * scale)];
      canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    }
  };
  made.clear = (canvas) => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, made.width, made.height);
    context.font = "12px system-ui, sans-serif";
    context.lineJoin = "round";
    return context;
  };
  return made;
}

// Text on a ground of its own, so that lines do not cross it out.
function grounded(context, text, x, y, color = colors.quiet) {
  const width = context.measureText(text).width;
  const left = context.textAlign === "right" ? x - width : context.textAlign === "center" ? x - width / 2 : x;
  context.globalAlpha = 0.8;
  context.fillStyle = colors.ground;
  context.fillRect(left - 2, y - 7, width + 4, 14);
  context.globalAlpha = 1;
  context.fillStyle = color;
  context.fillText(text, x, y);
}

function cross(context, x, y, size) {
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x - size, y + size);
  context.lineTo(x + size, y - size);
  context.stroke();
}

// Rows in the order in which they are drawn: failures first, then from the worst to the best, which lies on top.
const drawn = Uint32Array.from({ length: numTrials }, (_, row) => row);
const worth = Float64Array.from(drawn, (row) => {
  const value = scoreColumn.values[row];
  return Number.isNaN(value) ? -Infinity : report.greater ? value : -value;
});
drawn.sort((a, b) => (worth[a] < worth[b] ? -1 : worth[a] > worth[b] ? 1 : 0));
