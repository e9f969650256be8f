// The table of trials: sorted by any column, filtered with the pictures, a page at a time.

const PAGE = 25;
const sorting = { column: columnOf.get("rank"), descending: false, page: 0 };
const byRank = orderBy(
  columnOf.get("rank"),
  false,
  Uint32Array.from({ length: numTrials }, (_, row) => row),
);
let order = byRank;
let shown = [];

// Rows sorted by a column, those without a value last, those with the same value as they were.
function orderBy(column, descending, rows) {
  const { values } = column;
  const sign = descending ? -1 : 1;
  return rows.slice().sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (x < y) return -sign;
    if (x > y) return sign;
    return Number.isNaN(x) - Number.isNaN(y);
  });
}

function buildTable() {
  const head = columns.map((column) =>
    h(
      "th",
      { scope: "col", class: column.kind === "choice" ? null : "number" },
      h("button", { type: "button", title: column.doc, click: () => sortBy(column) }, column.label),
    ),
  );
  byId("table").append(
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, "Trials; press a heading to sort by it"),
      h("thead", {}, h("tr", {}, head)),
      h("tbody", { id: "body" }),
    ),
  );
  const body = byId("body");
  body.addEventListener("click", (event) => rowAt(event) !== null && choose(rowAt(event)));
  body.addEventListener(
    "pointerover",
    (event) => event.pointerType !== "touch" && rowAt(event) !== null && hover(rowAt(event)),
  );
  body.addEventListener("pointerleave", () => hover(-1));
  body.addEventListener("keydown", walk);
  const button = (text, label, page) =>
    h(
      "button",
      { type: "button", id: `page-${label}`, "aria-label": `${label} page`, click: () => turn(page()) },
      text,
    );
  byId("pager").append(
    button("«", "first", () => 0),
    button("‹", "previous", () => sorting.page - 1),
    h("span", { id: "page", role: "status" }),
    button("›", "next", () => sorting.page + 1),
    button("»", "last", () => lastPage()),
  );
  on("filter", () => refill(0));
  on("focus", mark);
  refill(0);
}

function sortBy(column) {
  const again = sorting.column === column;
  // The first press shows the best or the largest: what a reader looks for.
  sorting.descending = again ? !sorting.descending : column.group === "score" && Boolean(column.greater);
  sorting.column = column;
  order = orderBy(column, sorting.descending, byRank);
  refill(0);
}

const lastPage = () => Math.max(0, Math.ceil(shown.length / PAGE) - 1);

function refill(page) {
  shown = Array.from(order).filter((row) => state.live[row]);
  turn(page);
}

function turn(page) {
  sorting.page = Math.min(Math.max(page, 0), lastPage());
  const first = sorting.page * PAGE;
  const rows = shown.slice(first, first + PAGE);
  const table = byId("body").parentElement;
  table.setAttribute("aria-rowcount", shown.length + 1);
  for (const [i, heading] of Array.from(table.tHead.rows[0].cells).entries()) {
    if (columns[i] === sorting.column)
      heading.setAttribute("aria-sort", sorting.descending ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  }
  byId("body").replaceChildren(...rows.map((row, i) => line(row, first + i + 2)));
  if (!rows.length)
    byId("body").append(h("tr", {}, h("td", { colspan: columns.length }, "No trial passes the filters.")));
  const to = first + rows.length;
  byId("page").textContent = shown.length ? `${first + 1} to ${to} of ${shown.length.toLocaleString("en")}` : "none";
  for (const label of ["first", "previous"]) byId(`page-${label}`).disabled = sorting.page === 0;
  for (const label of ["next", "last"]) byId(`page-${label}`).disabled = sorting.page === lastPage();
  mark();
}

function line(row, index) {
  const cells = columns.map((column) => {
    const value = column.values[row];
    const absent = Number.isNaN(value);
    const tag = column === trialColumn ? "th" : "td";
    const kind = [column.kind === "choice" ? "" : "number", absent ? "absent" : ""].join(" ").trim();
    return h(
      tag,
      { scope: tag === "th" ? "row" : null, class: kind || null, title: absent ? absentWord(column) : null },
      absent
        ? [h("span", { "aria-hidden": "true" }, ABSENT), h("span", { class: "hidden" }, absentWord(column))]
        : format(column, value),
    );
  });
  return h("tr", { tabindex: -1, "data-row": row, "aria-rowindex": index }, cells);
}

function rowAt(event) {
  const found = event.target.closest("tr[data-row]");
  return found ? Number(found.dataset.row) : null;
}

// The chosen row is the one that Tab reaches; if it is on another page, the first one here is.
function mark() {
  const rows = Array.from(byId("body").querySelectorAll("tr[data-row]"));
  let reached = null;
  for (const element of rows) {
    const row = Number(element.dataset.row);
    element.classList.toggle("hovered", row === state.hovered);
    if (row === state.selected) {
      element.setAttribute("aria-current", "true");
      reached = element;
    } else element.removeAttribute("aria-current");
    element.tabIndex = -1;
  }
  if (rows.length) (reached || rows[0]).tabIndex = 0;
}

function choose(row) {
  select(row);
  const found = byId("body").querySelector(`tr[data-row="${row}"]`);
  if (found) found.focus({ preventScroll: true });
}

// Arrow keys walk, over the ends of pages too.
function walk(event) {
  const here = shown.indexOf(rowAt(event));
  const last = shown.length - 1;
  const to = {
    ArrowDown: here + 1,
    ArrowUp: here - 1,
    PageDown: here + PAGE,
    PageUp: here - PAGE,
    Home: 0,
    End: last,
    Enter: here,
  }[event.key];
  if (to === undefined || here < 0) return;
  event.preventDefault();
  const place = Math.min(Math.max(to, 0), last);
  if (Math.floor(place / PAGE) !== sorting.page) turn(Math.floor(place / PAGE));
  select(shown[place]);
  byId("body").querySelector(`tr[data-row="${shown[place]}"]`).focus({ preventScroll: false });
}

// A trial that was chosen elsewhere is shown in the table, where the keyboard stays where it is.
function bring(row) {
  select(row);
  const place = shown.indexOf(row);
  if (place >= 0) turn(Math.floor(place / PAGE));
}
