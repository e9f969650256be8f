// The page is put together once; afterwards everything follows from filters, the chosen row, and the window.

readColors();
buildText();
buildFilters();
buildTable();
buildParallel();
buildScatter();
buildCurves();
buildKey();
tell("look");
performance.mark("ready");

// What the colours and marks of both pictures mean.
function buildKey() {
  const key = byId("key");
  const fates = new Set(columnOf.get("status").options);
  on("look", () => {
    const ramp = h("canvas", { width: 96, height: 10, role: "img", "aria-label": "from worse to better" });
    const context = ramp.getContext("2d");
    colors.ramp.forEach((color, i) => {
      context.fillStyle = color;
      context.fillRect(i * 3, 0, 3, 10);
    });
    const parts = [h("span", {}, "worse ", ramp, ` better ${scoreColumn.label}`)];
    if (fates.has("pruned") || fates.has("stopped")) parts.push(h("span", {}, "○ ended early"));
    if (fates.has("diverged")) parts.push(h("span", { class: "failed" }, "× diverged (dotted lines)"));
    parts.push(h("span", {}, "grey band: the middle half of the trials in training; thin line: the winner"));
    key.replaceChildren(...parts);
  });
}

let waiting = 0;
function lookAgain() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => {
    readColors();
    tell("look");
  });
}

let width = document.documentElement.clientWidth;
new ResizeObserver(() => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  lookAgain();
}).observe(document.documentElement);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", lookAgain);

// Paper is light, whatever the screen is.
for (const [event, printing] of [
  ["beforeprint", true],
  ["afterprint", false],
]) {
  addEventListener(event, () => {
    document.documentElement.toggleAttribute("data-print", printing);
    readColors();
    tell("look");
  });
}
