// How near each engine comes to what the machine's convolutions attain, and where the rest of its time goes.
const SHADES = ["var(--crack)", "#f08a5d", "#6a8caf", "#8d6fb0", "#4f9d8f", "#b9a44c", "#8a8d92"];

function partsOf({ parts }) {
  const bar = node("div", { class: "parts" }, ...parts.map(([, ms, text], i) => node("i", { title: text, style: `flex: ${ms}; background: ${SHADES[i]}` })));
  const spelt = parts.slice(1).map(([, , text], i) => node("span", { class: "part" }, node("i", { class: "swatch", style: `--c: ${SHADES[i + 1]}` }), text));
  return [bar, node("p", { class: "small" }, "Where the rest goes: ", ...spelt)];
}

function layersOf({ layers }) {
  const grid = node("div", { class: "layers" }, ...["layer", "ms", "share", "GOP/s", "of limit"].map((t, i) => node("span", { class: i ? "soft" : "what soft" }, t)));
  for (const [what, ...numbers] of layers) grid.append(node("span", { class: "what" }, what), ...numbers.map((n) => node("span", {}, n)));
  return grid;
}

const limits = $("#limits");
for (const { text, table } of page.limits) {
  const rates = node("table");
  fill(rates, table);
  limits.append(node("p", {}, text), node("details", {}, node("summary", { class: "soft" }, "Every shape of layer"), node("div", { class: "wide" }, rates)));
}
for (const share of page.shares) {
  const meter = node("span", { class: "meter", style: `--c: ${COLOURS[cases[share.case].precision]}` }, node("i", { style: `width: ${100 * Math.min(1, share.share)}%` }));
  const title = node("summary", {}, meter, node("b", {}, share.percent), ` ${share.title}`, node("span", { class: "soft small" }, share.brief.map((text) => ` · ${text}`).join("")));
  const box = node("details", {}, title);
  if (share.limit) box.append(node("p", { class: "small" }, share.limit));
  if (share.parts.length) box.append(...partsOf(share));
  if (share.layers.length) box.append(node("p", { class: "small" }, share.worst), layersOf(share));
  filtered.push([box, [share.case]]);
  limits.append(box);
}
if (limits.children.length === 1) limits.remove();
draw();
new ResizeObserver(() => draw()).observe($("#plots"));
